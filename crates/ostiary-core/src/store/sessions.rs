//! Sessions: one row each, which a refresh changes in place.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::StoreError;
use crate::{
    audit::{AuditEvent, Client},
    id::{SessionId, UserId},
    password::PasswordHash,
    refresh_token::{ForeignTokenHash, Generation, SessionSecretHash},
};

/// The sessions of all users.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session for an active user, unless the password has been changed since it was compared.
    ///
    /// # Errors
    /// If the store fails.
    async fn open_session(&self, opening: Opening, event: AuditEvent) -> Result<OpenOutcome, StoreError>;

    /// A session that is alive, of an active user.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_session(
        &self,
        session_id: SessionId,
        at: LiveAt,
    ) -> Result<Option<LiveSession>, StoreError>;

    /// A user's sessions that are alive, the last refreshed first.
    ///
    /// # Errors
    /// If the store fails.
    async fn sessions_of(&self, user_id: UserId, at: LiveAt) -> Result<Vec<SessionRecord>, StoreError>;

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

    /// Ends a session, if it is `owner`'s where one is given.
    ///
    /// # Errors
    /// If the store fails.
    async fn revoke_session(
        &self,
        session_id: SessionId,
        owner: Option<UserId>,
        why: Revocation,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError>;

    /// Ends all sessions of a user, and makes void what the replaced service has issued to them. Says how many
    /// sessions were ended.
    ///
    /// # Errors
    /// If the store fails.
    async fn revoke_sessions_of(
        &self,
        user_id: UserId,
        why: Revocation,
        event: SessionEvent,
    ) -> Result<u64, StoreError>;

    /// Makes void a refresh token that the replaced service issued, and ends the session that may have taken its
    /// place.
    ///
    /// # Errors
    /// If the store fails.
    async fn revoke_foreign_token(
        &self,
        token_hash: ForeignTokenHash,
        in_its_place: SessionId,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError>;

    /// The sessions that were revoked after a time, the first revoked first.
    ///
    /// # Errors
    /// If the store fails.
    async fn revocations(&self, after: Timestamp) -> Result<Vec<RevokedSession>, StoreError>;
}

/// An event, and the session that it was done in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvent {
    /// What happened.
    pub event: AuditEvent,
    /// Where it was done.
    pub session_id: SessionId,
}

/// The time at which a session is to be alive, and what that takes.
#[derive(Debug, Clone, Copy)]
pub struct LiveAt {
    /// The time; a session that has come to its end by then is over.
    pub now: Timestamp,
    /// A session that was not refreshed after this is over too.
    pub refreshed_after: Timestamp,
}

/// A session that is alive, as far as its tokens tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// How they proved who they are.
    pub methods: Vec<AuthenticationMethod>,
}

/// A session, for its user to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub refreshed_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Where it was opened from.
    pub client: Client,
    /// How the user proved who they are.
    pub methods: Vec<AuthenticationMethod>,
}

/// A session that was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedSession {
    /// Its id.
    pub id: SessionId,
    /// When it was ended.
    pub revoked_at: Timestamp,
}

/// A session to be opened for a user who has given their password.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session: NewSession,
    /// The hash that the password was compared with. If the user's is another by now, then whoever knows the former
    /// password is not let in. (A directory that Ostiary did not make may be unable to say.)
    pub seen: Option<PasswordHash>,
    /// How many sessions the user may have; of more those are ended that were refreshed the longest ago.
    pub most: Option<u32>,
    /// Whether other logins follow within milliseconds. A store may wait a moment for them then, to open all of their
    /// sessions in one commit.
    pub others_follow: bool,
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

    /// The method whose `amr` is `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Password].into_iter().find(|method| method.as_str() == name)
    }
}

/// What came of opening a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// It is open.
    Opened,
    /// The user is gone or disabled, or has another password now.
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
    pub at: LiveAt,
    /// How long after a rotation the same request is answered the same way.
    pub grace: SignedDuration,
}

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotateOutcome {
    /// The generation was spent now; the next one is good.
    Rotated(LiveSession),
    /// It was spent a moment ago; the next one is good still. Nothing was written.
    Repeated(LiveSession),
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
    /// How many sessions the user may have.
    pub most: Option<u32>,
}

/// What came of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeOutcome {
    /// The token was spent now, and the session is open.
    Opened(LiveSession),
    /// It was spent a moment ago; the session's first generation is good still. Nothing was written.
    Repeated(LiveSession),
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
    /// Its user ended it from elsewhere.
    EndedByUser,
    /// Its user changed the password, in another session.
    PasswordChanged,
    /// Its user has opened more sessions than they may have.
    Evicted,
    /// A spent refresh token was used again.
    TokenReused,
}

impl Revocation {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::EndedByUser => "ended_by_user",
            Self::PasswordChanged => "password_changed",
            Self::Evicted => "evicted",
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
