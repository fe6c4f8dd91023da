//! Sessions: one row each, which a refresh changes in place.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::StoreError;
use crate::{
    audit::{AuditEvent, Client},
    id::{SessionId, UserId},
    refresh_token::{ForeignTokenHash, Generation, SessionSecretHash},
};

/// The sessions of all users.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session for an active user.
    ///
    /// # Errors
    /// If the store fails.
    async fn open_session(
        &self,
        user_id: UserId,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<OpenOutcome, StoreError>;

    /// Spends a generation of a session, or says why not. A generation that was spent before its
    /// immediate successor within the grace period is answered as it was the first time; one that was
    /// spent longer ago revokes the session, and `on_reuse` is written in the same step.
    ///
    /// # Errors
    /// If the store fails. The rotation may have happened: repeating it is safe.
    async fn rotate_session(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError>;

    /// Spends a refresh token that the replaced service issued, and opens a session in its place; both, or
    /// neither. The token is to the session what a spent generation is: presented again within the grace
    /// period it is answered as it was the first time, while nobody has used the answer; otherwise it
    /// revokes the session, and `on_reuse` is written in the same step.
    ///
    /// # Errors
    /// If the store fails. The exchange may have happened: repeating it is safe.
    async fn exchange_token(
        &self,
        exchange: Exchange,
        event: AuditEvent,
        on_reuse: AuditEvent,
    ) -> Result<ExchangeOutcome, StoreError>;

    /// Ends a session.
    ///
    /// # Errors
    /// If the store fails.
    async fn revoke_session(
        &self,
        session_id: SessionId,
        why: Revocation,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError>;
}

/// A session to be opened, for the user that the method says. Its generation is [`Generation::FIRST`].
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The hash of the secret that its tokens carry.
    pub secret_hash: SessionSecretHash,
    /// When it is opened.
    pub created_at: Timestamp,
    /// When it ends, however often it is refreshed.
    pub expires_at: Timestamp,
    /// Where it was opened from.
    pub client: Client,
    /// How the user proved who they are.
    pub methods: Vec<AuthenticationMethod>,
}

/// How a user proved who they are; the names are those of RFC 8176.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// By a password.
    Password,
}

impl AuthenticationMethod {
    /// The value of the claim `amr`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }
}

/// What came of opening a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// It is open.
    Opened,
    /// The user is gone or disabled.
    NoSuchUser,
}

/// A request to spend a generation.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// The session.
    pub session_id: SessionId,
    /// The hash of the secret in the token.
    pub secret_hash: SessionSecretHash,
    /// The generation in the token.
    pub generation: Generation,
    /// The time of the request.
    pub now: Timestamp,
    /// How long after a rotation the same request is answered the same way.
    pub grace: SignedDuration,
}

/// What came of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateOutcome {
    /// The generation was spent now; the next one is good.
    Rotated(UserId),
    /// It was spent a moment ago; the next one is good still. Nothing was written.
    Repeated(UserId),
    /// It was spent, and its successor too, or longer ago than the grace period: someone holds a
    /// copy. The session is revoked.
    Reused(UserId),
    /// Nothing was done.
    Refused(Refusal),
}

/// Why a rotation was refused. The client is not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such session, or its secret is another.
    Absent,
    /// The session has not come that far: a failover lost its last rotation.
    Ahead,
    /// The session was ended.
    Revoked,
    /// The session has come to its end.
    Expired,
    /// The user is gone or disabled.
    UserDisabled,
}

/// A request to open a session for a refresh token that the replaced service issued.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What that service kept of the token.
    pub token_hash: ForeignTokenHash,
    /// The session to be opened, for the user whose token it is. Its id is a function of the token.
    pub session: NewSession,
    /// How long after the exchange the same request is answered the same way.
    pub grace: SignedDuration,
}

/// What came of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeOutcome {
    /// The token was spent now, and the session is open.
    Opened(UserId),
    /// It was spent a moment ago; the session's first generation is good still. Nothing was written.
    Repeated(UserId),
    /// It was spent longer ago, or its session has been refreshed since: the session is revoked.
    Reused(UserId),
    /// There is no such token, it has expired or was spent elsewhere, or its user is gone or disabled.
    Refused,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// Its user logged out.
    LoggedOut,
    /// A spent refresh token was used again.
    TokenReused,
}

impl Revocation {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::TokenReused => "token_reused",
        }
    }
}

/// What came of ending a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// It was open, and is not any more.
    Revoked,
    /// It was over already, or there is no such session.
    NotOpen,
}
