//! The audit trail: what happened to an account, written in the transaction of the change itself.

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
    /// A refresh token was used again after its grace period, and its session was revoked.
    RefreshTokenReused,
    /// A refresh token of the replaced service was spent for a session.
    RefreshTokenExchanged,
    /// A session was revoked.
    SessionRevoked,
}

impl AuditAction {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserRegistered => "user_registered",
            Self::UserLoggedIn => "user_logged_in",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::RefreshTokenExchanged => "refresh_token_exchanged",
            Self::SessionRevoked => "session_revoked",
        }
    }
}

/// One line of the trail. The store adds the user and the session that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Names the event.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// Who asked for it.
    pub client: Client,
}

impl AuditEvent {
    /// `action`, asked for by `client` at `at`.
    #[must_use]
    pub fn new(action: AuditAction, client: &Client, at: Timestamp) -> Self {
        Self { id: EventId::new(at), at, action, client: client.clone() }
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
    fn a_user_agent_is_printable_and_short() {
        assert_eq!(UserAgent::parse(" curl/8\r\n\0 ").unwrap().as_str(), "curl/8");
        assert_eq!(UserAgent::parse(&"x".repeat(1000)).unwrap().as_str().len(), UserAgent::MAX_CHARS);
        assert_eq!(UserAgent::parse("\0 \n"), None);
    }
}
