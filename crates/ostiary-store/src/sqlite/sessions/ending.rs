//! How sessions end before their time.

use jiff::Timestamp;
use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    id::{SessionId, UserId},
    store::Revocation,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::sqlite::{
    audit::{self, Subject},
    columns::{IdColumn, TimeColumn},
};

/// Ends a session that is open, if it is `owner`'s where one is given; says whose it was.
pub(super) fn revoke(
    connection: &Connection,
    session_id: SessionId,
    owner: Option<UserId>,
    why: Revocation,
    now: Timestamp,
) -> rusqlite::Result<Option<UserId>> {
    let sql = "update sessions set revoked_at = ?3, revoked_why = ?4
               where id = ?1 and (?2 is null or user_id = ?2) and revoked_at is null and expires_at > ?3
               returning user_id";
    let parameters = params![IdColumn(session_id), owner.map(IdColumn), TimeColumn(now), why.as_str()];
    let user_id = connection
        .prepare_cached(sql)?
        .query_row(parameters, |row| Ok(row.get::<_, IdColumn<_>>(0)?.0))
        .optional()?;
    if user_id.is_some() {
        list(connection, session_id, now)?;
    }
    Ok(user_id)
}

/// Ends all open sessions of a user but `kept`, and says how many.
pub(in crate::sqlite) fn revoke_all(
    connection: &Connection,
    user_id: UserId,
    kept: Option<SessionId>,
    why: Revocation,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let sql = "update sessions set revoked_at = ?3, revoked_why = ?4
               where user_id = ?1 and id is not ?2 and revoked_at is null and expires_at > ?3
               returning id";
    let parameters = params![IdColumn(user_id), kept.map(IdColumn), TimeColumn(now), why.as_str()];
    let mut statement = connection.prepare_cached(sql)?;
    let ended: Vec<SessionId> = statement
        .query_map(parameters, |row| Ok(row.get::<_, IdColumn<_>>(0)?.0))?
        .collect::<Result<_, _>>()?;
    ended.iter().try_for_each(|session_id| list(connection, *session_id, now))?;
    Ok(ended.len() as u64)
}

/// Of a user's open sessions, ends all but `kept` and the last refreshed, `most` in all.
pub(super) fn evict(
    connection: &Connection,
    user_id: UserId,
    most: u32,
    kept: SessionId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "select id from sessions
               where user_id = ?1 and id <> ?4 and revoked_at is null and expires_at > ?2
               order by refreshed_at desc, id desc limit -1 offset ?3";
    let others = most.saturating_sub(1);
    let mut statement = connection.prepare_cached(sql)?;
    let surplus: Vec<SessionId> = statement
        .query_map(params![IdColumn(user_id), TimeColumn(now), others, IdColumn(kept)], |row| {
            Ok(row.get::<_, IdColumn<_>>(0)?.0)
        })?
        .collect::<Result<_, _>>()?;
    for session_id in surplus {
        revoke(connection, session_id, None, Revocation::Evicted, now)?;
        let event = AuditEvent::new(AuditAction::SessionEvicted, Actor::Ostiary, &Client::default(), now);
        audit::record(connection, &event, Subject::session(user_id, session_id))?;
    }
    Ok(())
}

/// Lists a session among those that were revoked.
fn list(connection: &Connection, session_id: SessionId, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "insert into revocations (session_id, revoked_at) values (?1, ?2) on conflict do nothing";
    connection.prepare_cached(sql)?.execute(params![IdColumn(session_id), TimeColumn(now)]).map(drop)
}
