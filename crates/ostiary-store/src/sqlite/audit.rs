//! The audit trail.

use async_trait::async_trait;
use ostiary_core::{
    audit::{AuditEvent, UserAgent},
    id::{SessionId, UserId},
    store::{About, AuditQuery, AuditTrail, RecordedEvent, StoreError},
};
use rusqlite::{Connection, Row, params};

use super::{
    SqliteStore,
    columns::{IdColumn, TimeColumn},
};

/// What an event is about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A user, if one is known, and a session, if there is one.
    Of(About),
    /// A key or a credential.
    Named(&'a str),
}

impl Subject<'_> {
    /// A user.
    pub(super) fn user(user_id: UserId) -> Self {
        Self::Of(About { user_id: Some(user_id), session_id: None })
    }

    /// A user in a session.
    pub(super) fn session(user_id: UserId, session_id: SessionId) -> Self {
        Self::Of(About { user_id: Some(user_id), session_id: Some(session_id) })
    }
}

#[async_trait]
impl AuditTrail for SqliteStore {
    async fn record(&self, event: AuditEvent, about: About) -> Result<(), StoreError> {
        self.writer.step("record", move |connection| record(connection, &event, Subject::Of(about))).await
    }

    async fn audit_events(&self, query: &AuditQuery) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = "select id, at, action, actor, user_id, session_id, subject, address, user_agent
                   from audit_events
                   where (?1 is null or at >= ?1) and (?2 is null or user_id = ?2)
                     and (?3 = '[]' or action in (select value from json_each(?3)))
                   order by at desc, id desc limit ?4";
        let actions = serde_json::to_string(&query.actions).expect("texts have a JSON form");
        let mut events: Vec<_> = self.readers.read("audit_events", |connection| {
            let parameters =
                params![query.since.map(TimeColumn), query.user_id.map(IdColumn), actions, query.limit];
            connection.prepare_cached(sql)?.query_map(parameters, from_row)?.collect()
        })?;
        events.reverse();
        Ok(events)
    }
}

/// Writes `event`, in the transaction that is open.
pub(super) fn record(
    connection: &Connection,
    event: &AuditEvent,
    subject: Subject<'_>,
) -> rusqlite::Result<()> {
    let (about, name) = match subject {
        Subject::Of(about) => (about, None),
        Subject::Named(name) => (About::default(), Some(name)),
    };
    let sql = "insert into audit_events
                   (id, at, action, actor, user_id, session_id, subject, address, user_agent)
               values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        IdColumn(event.id),
        TimeColumn(event.at),
        event.action.as_str(),
        event.actor.as_str(),
        about.user_id.map(IdColumn),
        about.session_id.map(IdColumn),
        name,
        event.client.address.map(|address| address.to_string()),
        event.client.user_agent.as_ref().map(UserAgent::as_str),
    ])?;
    Ok(())
}

/// Lets the events about a user keep the id alone, and not where they came from.
pub(super) fn forget_clients(connection: &Connection, user_id: UserId) -> rusqlite::Result<()> {
    let sql = "update audit_events set address = null, user_agent = null where user_id = ?1";
    connection.prepare_cached(sql)?.execute([IdColumn(user_id)]).map(drop)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RecordedEvent> {
    Ok(RecordedEvent {
        id: row.get::<_, IdColumn<_>>(0)?.0,
        at: row.get::<_, TimeColumn>(1)?.0,
        action: row.get(2)?,
        actor: row.get(3)?,
        user_id: row.get::<_, Option<IdColumn<_>>>(4)?.map(|id| id.0),
        session_id: row.get::<_, Option<IdColumn<_>>>(5)?.map(|id| id.0),
        subject: row.get(6)?,
        address: row.get::<_, Option<String>>(7)?.and_then(|address| address.parse().ok()),
        user_agent: row.get(8)?,
    })
}
