//! The audit trail, beside the changes that write to it.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::{
    audit::AuditEvent,
    id::{EventId, SessionId, UserId},
};

/// The audit trail.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Writes an event that comes with no change.
    ///
    /// # Errors
    /// If the store fails.
    async fn record(&self, event: AuditEvent, about: About) -> Result<(), StoreError>;

    /// The events that `query` asks for, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    async fn audit_events(&self, query: &AuditQuery) -> Result<Vec<RecordedEvent>, StoreError>;
}

/// Whom an event is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About {
    /// The user, if one is known.
    pub user_id: Option<UserId>,
    /// The session, if there is one.
    pub session_id: Option<SessionId>,
}

/// Which events to read.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// About this user alone.
    pub user_id: Option<UserId>,
    /// Of these actions alone, by their names; of any, if there are none.
    pub actions: Vec<String>,
    /// At most this many: the newest.
    pub limit: u32,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Names the event.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened; a name that a newer version wrote may be unknown here.
    pub action: String,
    /// Who did it: the name of an [`crate::audit::Actor`].
    pub actor: String,
    /// The user whom it is about.
    pub user_id: Option<UserId>,
    /// The session that it is about, or was done in.
    pub session_id: Option<SessionId>,
    /// What else it is about: a key or a credential.
    pub subject: Option<String>,
    /// Where it was asked for from.
    pub address: Option<IpAddr>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}
