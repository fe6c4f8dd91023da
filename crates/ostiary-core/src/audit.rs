//! The audit trail: what happened to accounts, sessions and keys, written in the transaction of the change
//! itself.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::id::EventId;

/// What happened. The set is closed, and its names never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditAction {
    /// An account was made.
    UserRegistered,
    /// A session was opened by a password.
    UserLoggedIn,
    /// Somebody gave a wrong password, or a login that nobody has.
    UserLoginFailed,
    /// A refresh token was used again after its grace period, and its session was revoked.
    RefreshTokenReused,
    /// A refresh token of the replaced service was spent for a session.
    RefreshTokenExchanged,
    /// A user ended a session by its refresh token.
    UserLoggedOut,
    /// A user ended all of their sessions.
    UserLoggedOutEverywhere,
    /// A user ended one of their sessions, from this or another.
    SessionRevoked,
    /// The oldest session of a user made way for a new one.
    SessionEvicted,
    /// A user changed their profile.
    ProfileChanged,
    /// A user changed their password, which ended their other sessions.
    PasswordChanged,
    /// A user who was logged in gave a wrong password where it was asked for again.
    PasswordRefused,
    /// After too many failures a password opens nothing on devices that are not known.
    PasswordLocked,
    /// A password opens sessions on all devices again.
    PasswordUnlocked,
    /// An account was deleted, with all that hung on it.
    UserDeleted,
    /// The first key of an algorithm was made.
    SigningKeyCreated,
    /// The next signing key was made.
    SigningKeyRotated,
    /// A signing key was withdrawn before its time.
    SigningKeyRetired,
    /// A service was given a credential.
    ServiceCredentialCreated,
    /// A service's credential was withdrawn.
    ServiceCredentialRevoked,
}

impl AuditAction {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::UserRegistered,
        Self::UserLoggedIn,
        Self::UserLoginFailed,
        Self::RefreshTokenReused,
        Self::RefreshTokenExchanged,
        Self::UserLoggedOut,
        Self::UserLoggedOutEverywhere,
        Self::SessionRevoked,
        Self::SessionEvicted,
        Self::ProfileChanged,
        Self::PasswordChanged,
        Self::PasswordRefused,
        Self::PasswordLocked,
        Self::PasswordUnlocked,
        Self::UserDeleted,
        Self::SigningKeyCreated,
        Self::SigningKeyRotated,
        Self::SigningKeyRetired,
        Self::ServiceCredentialCreated,
        Self::ServiceCredentialRevoked,
    ];

    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserRegistered => "user_registered",
            Self::UserLoggedIn => "user_logged_in",
            Self::UserLoginFailed => "user_login_failed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::RefreshTokenExchanged => "refresh_token_exchanged",
            Self::UserLoggedOut => "user_logged_out",
            Self::UserLoggedOutEverywhere => "user_logged_out_everywhere",
            Self::SessionRevoked => "session_revoked",
            Self::SessionEvicted => "session_evicted",
            Self::ProfileChanged => "profile_changed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordRefused => "password_refused",
            Self::PasswordLocked => "password_locked",
            Self::PasswordUnlocked => "password_unlocked",
            Self::UserDeleted => "user_deleted",
            Self::SigningKeyCreated => "signing_key_created",
            Self::SigningKeyRotated => "signing_key_rotated",
            Self::SigningKeyRetired => "signing_key_retired",
            Self::ServiceCredentialCreated => "service_credential_created",
            Self::ServiceCredentialRevoked => "service_credential_revoked",
        }
    }

    /// The action that is stored as `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The user whom it is about.
    User,
    /// Somebody who did not prove who they are.
    Anyone,
    /// Whoever runs the server, from the command line.
    Operator,
    /// The server itself.
    Ostiary,
}

impl Actor {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Anyone => "anyone",
            Self::Operator => "operator",
            Self::Ostiary => "ostiary",
        }
    }
}

/// One line of the trail. The store adds whom and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Names the event.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// Who did it.
    pub actor: Actor,
    /// Where from.
    pub client: Client,
}

impl AuditEvent {
    /// `action`, by `actor` from `client` at `at`.
    #[must_use]
    pub fn new(action: AuditAction, actor: Actor, client: &Client, at: Timestamp) -> Self {
        Self { id: EventId::new(at), at, action, actor, client: client.clone() }
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: Option<UserAgent>,
}

/// What a client calls itself, in at most [`UserAgent::MAX_CHARS`] printable characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Longer names are cut here.
    pub const MAX_CHARS: usize = 256;

    /// The name in `text`, or `None` if nothing in it can be printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let printable: String =
            text.chars().filter(|character| !character.is_control()).take(Self::MAX_CHARS).collect();
        let trimmed = printable.trim();
        (!trimmed.is_empty()).then(|| Self(trimmed.to_owned()))
    }

    /// The name as a store keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_found_by_its_name() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_name(action.as_str()), Some(action));
        }
        assert_eq!(AuditAction::from_name("nothing"), None);
    }

    #[test]
    fn a_user_agent_is_printable_and_short() {
        assert_eq!(UserAgent::parse(" curl/8\r\n\0 ").unwrap().as_str(), "curl/8");
        assert_eq!(UserAgent::parse(&"x".repeat(1000)).unwrap().as_str().len(), UserAgent::MAX_CHARS);
        assert_eq!(UserAgent::parse("\0 \n"), None);
    }
}
