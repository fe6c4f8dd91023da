//! Sessions.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::{AuditEvent, UserAgent},
    id::{SessionId, UserId},
    refresh_token::Generation,
    store::{
        AuthenticationMethod, Exchange, ExchangeOutcome, NewSession, OpenOutcome, Refusal, Revocation,
        RevokeOutcome, RotateOutcome, Rotation, Sessions, StoreError,
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore, audit,
    columns::{IdColumn, TimeColumn},
};

#[async_trait]
impl Sessions for SqliteStore {
    async fn open_session(
        &self,
        user_id: UserId,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<OpenOutcome, StoreError> {
        let sql = "select 1 from users where id = ?1 and active = 1";
        self.writer
            .step(move |connection| {
                if !connection.prepare_cached(sql)?.exists([IdColumn(user_id)])? {
                    return Ok(OpenOutcome::NoSuchUser);
                }
                insert(connection, user_id, &session)?;
                audit::record(connection, &event, user_id, session.id)?;
                Ok(OpenOutcome::Opened)
            })
            .await
    }

    async fn rotate_session(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError> {
        self.writer
            .step(move |connection| {
                if let Some(user_id) = rotate(connection, &rotation)? {
                    return Ok(RotateOutcome::Rotated(user_id));
                }
                let Some(row) = find(connection, &rotation)? else {
                    return Ok(RotateOutcome::Refused(Refusal::Absent));
                };
                let outcome = row.judge(&rotation);
                if outcome == RotateOutcome::Reused(row.user_id) {
                    revoke(connection, rotation.session_id, Revocation::TokenReused, rotation.now)?;
                    audit::record(connection, &on_reuse, row.user_id, rotation.session_id)?;
                }
                Ok(outcome)
            })
            .await
    }

    /// The replaced service keeps its tokens in PostgreSQL; there are none here.
    async fn exchange_token(
        &self,
        _exchange: Exchange,
        _event: AuditEvent,
        _on_reuse: AuditEvent,
    ) -> Result<ExchangeOutcome, StoreError> {
        Ok(ExchangeOutcome::Refused)
    }

    async fn revoke_session(
        &self,
        session_id: SessionId,
        why: Revocation,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError> {
        self.writer
            .step(move |connection| match revoke(connection, session_id, why, event.at)? {
                Some(user_id) => {
                    audit::record(connection, &event, user_id, session_id)?;
                    Ok(RevokeOutcome::Revoked)
                }
                None => Ok(RevokeOutcome::NotOpen),
            })
            .await
    }
}

/// Writes a session, in the transaction that is open.
pub(super) fn insert(connection: &Connection, user_id: UserId, session: &NewSession) -> rusqlite::Result<()> {
    let methods: Vec<_> = session.methods.iter().copied().map(AuthenticationMethod::as_str).collect();
    let sql =
        "insert into sessions (id, user_id, secret_hash, generation, created_at, refreshed_at, expires_at,
                                     address, user_agent, methods)
               values (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        IdColumn(session.id),
        IdColumn(user_id),
        session.secret_hash.as_bytes(),
        Generation::FIRST.number(),
        TimeColumn(session.created_at),
        TimeColumn(session.expires_at),
        session.client.address.map(|address| address.to_string()),
        session.client.user_agent.as_ref().map(UserAgent::as_str),
        methods.join(" "),
    ])?;
    Ok(())
}

/// The compare-and-swap: spends the generation if it is the session's, and says whose session it is.
fn rotate(connection: &Connection, rotation: &Rotation) -> rusqlite::Result<Option<UserId>> {
    let sql = "update sessions set generation = ?4, refreshed_at = ?5
               where id = ?1 and secret_hash = ?2 and generation = ?3
                 and revoked_at is null and expires_at > ?5
                 and exists (select 1 from users where users.id = sessions.user_id and users.active = 1)
               returning user_id";
    connection
        .prepare_cached(sql)?
        .query_row(
            params![
                IdColumn(rotation.session_id),
                rotation.secret_hash.as_bytes(),
                rotation.generation.number(),
                rotation.generation.next().number(),
                TimeColumn(rotation.now),
            ],
            |row| Ok(row.get::<_, IdColumn<_>>(0)?.0),
        )
        .optional()
}

/// A session that a rotation found, but could not spend a generation of.
struct Row {
    user_id: UserId,
    generation: Generation,
    refreshed_at: Timestamp,
    expires_at: Timestamp,
    revoked: bool,
    user_is_active: bool,
}

fn find(connection: &Connection, rotation: &Rotation) -> rusqlite::Result<Option<Row>> {
    let sql = "select user_id, generation, refreshed_at, expires_at, revoked_at is not null, users.active
               from sessions join users on users.id = sessions.user_id
               where sessions.id = ?1 and secret_hash = ?2";
    connection
        .prepare_cached(sql)?
        .query_row(params![IdColumn(rotation.session_id), rotation.secret_hash.as_bytes()], |row| {
            Ok(Row {
                user_id: row.get::<_, IdColumn<_>>(0)?.0,
                generation: Generation::from_number(row.get(1)?),
                refreshed_at: row.get::<_, TimeColumn>(2)?.0,
                expires_at: row.get::<_, TimeColumn>(3)?.0,
                revoked: row.get(4)?,
                user_is_active: row.get(5)?,
            })
        })
        .optional()
}

impl Row {
    /// What a rotation that changed nothing comes to.
    fn judge(&self, rotation: &Rotation) -> RotateOutcome {
        let elapsed = rotation.now.duration_since(self.refreshed_at);
        if self.revoked {
            RotateOutcome::Refused(Refusal::Revoked)
        } else if self.expires_at <= rotation.now {
            RotateOutcome::Refused(Refusal::Expired)
        } else if !self.user_is_active {
            RotateOutcome::Refused(Refusal::UserDisabled)
        } else if self.generation <= rotation.generation {
            RotateOutcome::Refused(Refusal::Ahead)
        } else if self.generation == rotation.generation.next() && elapsed <= rotation.grace {
            RotateOutcome::Repeated(self.user_id)
        } else {
            RotateOutcome::Reused(self.user_id)
        }
    }
}

/// Ends a session that is open, and says whose it was.
fn revoke(
    connection: &Connection,
    session_id: SessionId,
    why: Revocation,
    now: Timestamp,
) -> rusqlite::Result<Option<UserId>> {
    let sql = "update sessions set revoked_at = ?2, revoked_why = ?3
               where id = ?1 and revoked_at is null and expires_at > ?2 returning user_id";
    connection
        .prepare_cached(sql)?
        .query_row(params![IdColumn(session_id), TimeColumn(now), why.as_str()], |row| {
            Ok(row.get::<_, IdColumn<_>>(0)?.0)
        })
        .optional()
}
