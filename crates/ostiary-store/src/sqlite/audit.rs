//! The audit trail.

use ostiary_core::{
    audit::{AuditEvent, UserAgent},
    id::{SessionId, UserId},
};
use rusqlite::{Connection, params};

use super::columns::{IdColumn, TimeColumn};

/// Writes `event` about a user and a session, in the transaction that is open.
pub(super) fn record(
    connection: &Connection,
    event: &AuditEvent,
    user_id: UserId,
    session_id: SessionId,
) -> rusqlite::Result<()> {
    let sql = "insert into audit_events (id, at, action, user_id, session_id, address, user_agent)
               values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        IdColumn(event.id),
        TimeColumn(event.at),
        event.action.as_str(),
        IdColumn(user_id),
        IdColumn(session_id),
        event.client.address.map(|address| address.to_string()),
        event.client.user_agent.as_ref().map(UserAgent::as_str),
    ])?;
    Ok(())
}
