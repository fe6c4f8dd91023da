//! Sessions.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::{AuditEvent, Client, UserAgent},
    id::{SessionId, UserId},
    password::PasswordHash,
    refresh_token::{ForeignTokenHash, Generation},
    store::{
        Exchange, ExchangeOutcome, LiveAt, LiveSession, NewSession, OpenOutcome, Opening, Refusal,
        Revocation, RevokeOutcome, RevokedSession, RotateOutcome, Rotation, SessionEvent, SessionRecord,
        Sessions, StoreError,
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    audit::{self, Subject},
    columns::{IdColumn, MethodsColumn, TimeColumn},
    writer::Haste,
};

mod ending;

pub(super) use ending::revoke_all;

#[async_trait]
impl Sessions for SqliteStore {
    async fn open_session(
        &self,
        Opening { user_id, session, seen, most, others_follow }: Opening,
        event: AuditEvent,
    ) -> Result<OpenOutcome, StoreError> {
        let sql = "select 1 from users where id = ?1 and password_hash is ?2 and active = 1";
        let haste = if others_follow { Haste::MayWait } else { Haste::AtOnce };
        self.writer
            .step_in("open_session", haste, move |connection| {
                let seen = seen.as_ref().map(PasswordHash::as_str);
                if !connection.prepare_cached(sql)?.exists(params![IdColumn(user_id), seen])? {
                    return Ok(OpenOutcome::NoSuchUser);
                }
                insert(connection, user_id, &session)?;
                audit::record(connection, &event, Subject::session(user_id, session.id))?;
                if let Some(most) = most {
                    ending::evict(connection, user_id, most, session.id, event.at)?;
                }
                Ok(OpenOutcome::Opened)
            })
            .await
    }

    async fn find_session(
        &self,
        session_id: SessionId,
        at: LiveAt,
    ) -> Result<Option<LiveSession>, StoreError> {
        self.live_sessions.ask((session_id, at)).await
    }

    async fn sessions_of(&self, user_id: UserId, at: LiveAt) -> Result<Vec<SessionRecord>, StoreError> {
        let sql = "select id, created_at, refreshed_at, expires_at, address, user_agent, methods
                   from sessions
                   where user_id = ?1 and revoked_at is null and expires_at > ?2 and refreshed_at > ?3
                     and exists (select 1 from users where users.id = sessions.user_id and users.active = 1)
                   order by refreshed_at desc, id desc";
        self.readers.read("sessions_of", |connection| {
            let parameters = params![IdColumn(user_id), TimeColumn(at.now), TimeColumn(at.refreshed_after)];
            let from_row = |row: &rusqlite::Row<'_>| {
                Ok(SessionRecord {
                    id: row.get::<_, IdColumn<_>>(0)?.0,
                    created_at: row.get::<_, TimeColumn>(1)?.0,
                    refreshed_at: row.get::<_, TimeColumn>(2)?.0,
                    expires_at: row.get::<_, TimeColumn>(3)?.0,
                    client: Client {
                        address: row.get::<_, Option<String>>(4)?.and_then(|address| address.parse().ok()),
                        user_agent: row.get::<_, Option<String>>(5)?.and_then(|name| UserAgent::parse(&name)),
                    },
                    methods: row.get::<_, MethodsColumn>(6)?.0,
                })
            };
            connection.prepare_cached(sql)?.query_map(parameters, from_row)?.collect()
        })
    }

    async fn rotate_session(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError> {
        self.writer
            .step("rotate_session", move |connection| {
                if let Some(session) = rotate(connection, &rotation)? {
                    return Ok(RotateOutcome::Rotated(session));
                }
                let Some(row) = find(connection, &rotation)? else {
                    return Ok(RotateOutcome::Refused(Refusal::Absent));
                };
                let user_id = row.session.user_id;
                let outcome = row.judge(&rotation);
                if matches!(outcome, RotateOutcome::Reused(_)) {
                    let now = rotation.at.now;
                    ending::revoke(connection, rotation.session_id, None, Revocation::TokenReused, now)?;
                    audit::record(connection, &on_reuse, Subject::session(user_id, rotation.session_id))?;
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
        owner: Option<UserId>,
        why: Revocation,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError> {
        self.writer
            .step("revoke_session", move |connection| {
                match ending::revoke(connection, session_id, owner, why, event.at)? {
                    Some(user_id) => {
                        audit::record(connection, &event, Subject::session(user_id, session_id))?;
                        Ok(RevokeOutcome::Revoked)
                    }
                    None => Ok(RevokeOutcome::NotOpen),
                }
            })
            .await
    }

    async fn revoke_sessions_of(
        &self,
        user_id: UserId,
        why: Revocation,
        SessionEvent { event, session_id }: SessionEvent,
    ) -> Result<u64, StoreError> {
        self.writer
            .step("revoke_sessions_of", move |connection| {
                let ended = revoke_all(connection, user_id, None, why, event.at)?;
                audit::record(connection, &event, Subject::session(user_id, session_id))?;
                Ok(ended)
            })
            .await
    }

    /// The replaced service keeps its tokens in PostgreSQL; there are none here.
    async fn revoke_foreign_token(
        &self,
        _token_hash: ForeignTokenHash,
        _in_its_place: SessionId,
        _event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError> {
        Ok(RevokeOutcome::NotOpen)
    }

    async fn revocations(&self, after: Timestamp) -> Result<Vec<RevokedSession>, StoreError> {
        let sql = "select session_id, revoked_at from revocations where revoked_at > ?1
                   order by revoked_at, session_id";
        self.readers.read("revocations", |connection| {
            let from_row = |row: &rusqlite::Row<'_>| {
                Ok(RevokedSession {
                    id: row.get::<_, IdColumn<_>>(0)?.0,
                    revoked_at: row.get::<_, TimeColumn>(1)?.0,
                })
            };
            connection.prepare_cached(sql)?.query_map([TimeColumn(after)], from_row)?.collect()
        })
    }
}

/// Writes a session, in the transaction that is open.
pub(super) fn insert(connection: &Connection, user_id: UserId, session: &NewSession) -> rusqlite::Result<()> {
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
        MethodsColumn(session.methods.clone()),
    ])?;
    Ok(())
}

/// The compare-and-swap: spends the generation if it is the session's. A session has a user, by the schema, so it asks
/// only whether they are disabled.
fn rotate(connection: &Connection, rotation: &Rotation) -> rusqlite::Result<Option<LiveSession>> {
    let sql = "update sessions set generation = ?4, refreshed_at = ?5
               where id = ?1 and secret_hash = ?2 and generation = ?3
                 and revoked_at is null and expires_at > ?5 and refreshed_at > ?6
                 and not exists (select 1 from users indexed by users_disabled
                                 where users.id = sessions.user_id and users.active = 0)
               returning id, user_id, created_at, methods";
    let parameters = params![
        IdColumn(rotation.session_id),
        rotation.secret_hash.as_bytes(),
        rotation.generation.number(),
        rotation.generation.next().number(),
        TimeColumn(rotation.at.now),
        TimeColumn(rotation.at.refreshed_after),
    ];
    connection.prepare_cached(sql)?.query_row(parameters, live_from_row).optional()
}

/// A session that is alive.
pub(super) fn find_live(
    connection: &Connection,
    session_id: SessionId,
    at: LiveAt,
) -> rusqlite::Result<Option<LiveSession>> {
    let sql = "select id, user_id, created_at, methods from sessions
               where id = ?1 and revoked_at is null and expires_at > ?2 and refreshed_at > ?3
                 and exists (select 1 from users where users.id = sessions.user_id and users.active = 1)";
    let parameters = params![IdColumn(session_id), TimeColumn(at.now), TimeColumn(at.refreshed_after)];
    connection.prepare_cached(sql)?.query_row(parameters, live_from_row).optional()
}

/// `id`, `user_id`, `created_at`, `methods`.
fn live_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<LiveSession> {
    Ok(LiveSession {
        id: row.get::<_, IdColumn<_>>(0)?.0,
        user_id: row.get::<_, IdColumn<_>>(1)?.0,
        created_at: row.get::<_, TimeColumn>(2)?.0,
        methods: row.get::<_, MethodsColumn>(3)?.0,
    })
}

/// A session that a rotation found, but could not spend a generation of.
struct Row {
    session: LiveSession,
    generation: Generation,
    refreshed_at: Timestamp,
    expires_at: Timestamp,
    revoked: bool,
    user_is_active: bool,
}

fn find(connection: &Connection, rotation: &Rotation) -> rusqlite::Result<Option<Row>> {
    let sql =
        "select sessions.id, user_id, sessions.created_at, methods, generation, refreshed_at, expires_at,
                   revoked_at is not null, users.active
               from sessions join users on users.id = sessions.user_id
               where sessions.id = ?1 and secret_hash = ?2";
    connection
        .prepare_cached(sql)?
        .query_row(params![IdColumn(rotation.session_id), rotation.secret_hash.as_bytes()], |row| {
            Ok(Row {
                session: live_from_row(row)?,
                generation: Generation::from_number(row.get(4)?),
                refreshed_at: row.get::<_, TimeColumn>(5)?.0,
                expires_at: row.get::<_, TimeColumn>(6)?.0,
                revoked: row.get(7)?,
                user_is_active: row.get(8)?,
            })
        })
        .optional()
}

impl Row {
    /// What a rotation that changed nothing comes to.
    fn judge(self, rotation: &Rotation) -> RotateOutcome {
        let LiveAt { now, refreshed_after } = rotation.at;
        let elapsed = now.duration_since(self.refreshed_at);
        if self.revoked {
            RotateOutcome::Refused(Refusal::Revoked)
        } else if self.expires_at <= now || self.refreshed_at <= refreshed_after {
            RotateOutcome::Refused(Refusal::Expired)
        } else if !self.user_is_active {
            RotateOutcome::Refused(Refusal::UserDisabled)
        } else if self.generation <= rotation.generation {
            RotateOutcome::Refused(Refusal::Ahead)
        } else if self.generation == rotation.generation.next() && elapsed <= rotation.grace {
            RotateOutcome::Repeated(self.session)
        } else {
            RotateOutcome::Reused(self.session.user_id)
        }
    }
}
