//! Sessions.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    clock::earlier,
    id::{SessionId, UserId},
    password::PasswordHash,
    refresh_token::ForeignTokenHash,
    store::{
        Exchange, ExchangeOutcome, LiveAt, LiveSession, OpenOutcome, Opening, Revocation, RevokeOutcome,
        RevokedSession, RotateOutcome, Rotation, SessionEvent, SessionRecord, Sessions, StoreError,
    },
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    PostgresStore,
    columns::{EventColumns, SessionColumns, client, is_true, methods},
    database::Parameter,
    directory::CONSUME_REFRESH_TOKEN,
};

pub(super) mod rotation;

/// Many at once.
pub(super) const FIND_ON_OWN_DIRECTORY: &str = "
    select id, user_id, created_at, methods, expires_at, refreshed_at from auth.sessions as session
    where id = any($1) and revoked_at is null
        and exists (select from accounts.users where users.id = session.user_id and users.active)";

const FIND_ON_FOREIGN_DIRECTORY: &str = "
    select id, user_id, created_at, methods from auth.sessions as session
    where id = $1 and revoked_at is null and expires_at > $2 and refreshed_at > $3
        and auth.is_active_user(session.user_id)";

#[async_trait]
impl Sessions for PostgresStore {
    async fn open_session(
        &self,
        Opening { user_id, session, seen, most, others_follow: _ }: Opening,
        event: AuditEvent,
    ) -> Result<OpenOutcome, StoreError> {
        let sql = "
            select auth.open_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
        let (user_id, most) = (user_id.as_uuid(), most.map(i64::from));
        let seen = seen.as_ref().map(PasswordHash::as_str);
        let (session, event) = (SessionColumns::of(&session), EventColumns::of(&event));
        let own: [Parameter<'_>; 3] = [(&user_id, Type::UUID), (&seen, Type::TEXT), (&most, Type::INT8)];
        let parameters = [&own[..], &session.parameters(), &event.parameters()].concat();
        let is_open = is_true(&self.database.write("open_session", sql, &parameters).await?);
        Ok(if is_open { OpenOutcome::Opened } else { OpenOutcome::NoSuchUser })
    }

    async fn find_session(
        &self,
        session_id: SessionId,
        at: LiveAt,
    ) -> Result<Option<LiveSession>, StoreError> {
        if !self.directory.is_foreign() {
            let found = self.open_sessions.ask(session_id.as_uuid()).await?;
            return Ok(found.and_then(|session| session.live_at(at)));
        }
        let parameters: [Parameter<'_>; 3] = [
            (&session_id.as_uuid(), Type::UUID),
            (&at.now, Type::TIMESTAMPTZ),
            (&at.refreshed_after, Type::TIMESTAMPTZ),
        ];
        Ok(self
            .look_up("find_session", FIND_ON_FOREIGN_DIRECTORY, &parameters)
            .await?
            .first()
            .map(live_session))
    }

    async fn sessions_of(&self, user_id: UserId, at: LiveAt) -> Result<Vec<SessionRecord>, StoreError> {
        let sql = "
            select id, created_at, refreshed_at, expires_at, address, user_agent, methods from auth.sessions
            where user_id = $1 and revoked_at is null and expires_at > $2 and refreshed_at > $3
                and auth.is_active_user($1)
            order by refreshed_at desc, id desc";
        let parameters: [Parameter<'_>; 3] = [
            (&user_id.as_uuid(), Type::UUID),
            (&at.now, Type::TIMESTAMPTZ),
            (&at.refreshed_after, Type::TIMESTAMPTZ),
        ];
        Ok(self.look_up("sessions_of", sql, &parameters).await?.iter().map(session_record).collect())
    }

    async fn rotate_session(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError> {
        match self.spend(rotation).await? {
            Some(session) => Ok(RotateOutcome::Rotated(session)),
            None => self.judge_rotation(rotation, on_reuse).await,
        }
    }

    async fn exchange_token(
        &self,
        exchange: Exchange,
        event: AuditEvent,
        on_reuse: AuditEvent,
    ) -> Result<ExchangeOutcome, StoreError> {
        // Nobody can have issued a token that nobody can spend.
        if !self.directory.has(&CONSUME_REFRESH_TOKEN) {
            return Ok(ExchangeOutcome::Refused);
        }
        let sql = "
            select outcome, session_user_id,
                case outcome when 'opened' then auth.evict_sessions(session_user_id, $15, $8, $10) end
            from auth.exchange_token($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let Exchange { token_hash, session, grace, most } = exchange;
        let repeated_since = earlier(session.created_at, grace);
        let (event_id, reuse_event_id) = (event.id.as_uuid(), on_reuse.id.as_uuid());
        let most = most.map(i64::from);
        let columns = SessionColumns::of(&session);
        let own: [Parameter<'_>; 7] = [
            (&token_hash.as_str(), Type::TEXT),
            (&repeated_since, Type::TIMESTAMPTZ),
            (&Revocation::TokenReused.as_str(), Type::TEXT),
            (&event_id, Type::UUID),
            (&event.action.as_str(), Type::TEXT),
            (&reuse_event_id, Type::UUID),
            (&on_reuse.action.as_str(), Type::TEXT),
        ];
        let cap: [Parameter<'_>; 1] = [(&most, Type::INT8)];
        let parameters = [&own[..], &columns.parameters(), &cap].concat();
        let rows = self.database.write("exchange_token", sql, &parameters).await?;
        match outcome_of(&rows)? {
            ("opened", Some(user_id)) => Ok(ExchangeOutcome::Opened(session.of(user_id))),
            ("repeated", Some(_)) => {
                // Opened within the grace period, so it cannot have waited too long for a refresh.
                let at = LiveAt { now: session.created_at, refreshed_after: Timestamp::UNIX_EPOCH };
                let kept = self.find_session(session.id, at).await?;
                Ok(kept.map_or(ExchangeOutcome::Refused, ExchangeOutcome::Repeated))
            }
            ("reused", Some(user_id)) => Ok(ExchangeOutcome::Reused(user_id)),
            _ => Ok(ExchangeOutcome::Refused),
        }
    }

    async fn revoke_session(
        &self,
        session_id: SessionId,
        owner: Option<UserId>,
        why: Revocation,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError> {
        let sql = "
            with revoked as (
                update auth.sessions set revoked_at = $5, revoked_why = $3
                where id = $1 and ($2::uuid is null or user_id = $2) and revoked_at is null and expires_at > $5
                returning id, user_id
            ), listed as (
                insert into auth.revocations (session_id, revoked_at) select revoked.id, $5 from revoked
                on conflict do nothing
            ), recorded as (
                insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
                select $4, $5, $6, $7, $8, $9, revoked.user_id, revoked.id from revoked
            )
            select from revoked";
        let (session_id, owner) = (session_id.as_uuid(), owner.map(|owner| owner.as_uuid()));
        let event = EventColumns::of(&event);
        let own: [Parameter<'_>; 3] =
            [(&session_id, Type::UUID), (&owner, Type::UUID), (&why.as_str(), Type::TEXT)];
        let revoked =
            self.database.write("revoke_session", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(if revoked.is_empty() { RevokeOutcome::NotOpen } else { RevokeOutcome::Revoked })
    }

    async fn revoke_sessions_of(
        &self,
        user_id: UserId,
        why: Revocation,
        event: SessionEvent,
    ) -> Result<u64, StoreError> {
        let sql = "
            with ended as materialized (
                select auth.end_sessions($1, null, $5, $3) as number
            ), recorded as (
                insert into auth.audit_events (id, at, action, actor, address, user_agent, user_id, session_id)
                select $4, $5, $6, $7, $8, $9, $1, $2 from ended
            )
            select number from ended";
        let (user_id, session_id) = (user_id.as_uuid(), event.session_id.as_uuid());
        let event = EventColumns::of(&event.event);
        let own: [Parameter<'_>; 3] =
            [(&user_id, Type::UUID), (&session_id, Type::UUID), (&why.as_str(), Type::TEXT)];
        let rows =
            self.database.write("revoke_sessions_of", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
    }

    async fn revoke_foreign_token(
        &self,
        token_hash: ForeignTokenHash,
        in_its_place: SessionId,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError> {
        let sql = "select auth.revoke_foreign_token($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (in_its_place, event) = (in_its_place.as_uuid(), EventColumns::of(&event));
        let own: [Parameter<'_>; 3] = [
            (&token_hash.as_str(), Type::TEXT),
            (&in_its_place, Type::UUID),
            (&Revocation::LoggedOut.as_str(), Type::TEXT),
        ];
        let is_void = is_true(
            &self
                .database
                .write("revoke_foreign_token", sql, &[&own[..], &event.parameters()].concat())
                .await?,
        );
        Ok(if is_void { RevokeOutcome::Revoked } else { RevokeOutcome::NotOpen })
    }

    async fn revocations(&self, after: Timestamp) -> Result<Vec<RevokedSession>, StoreError> {
        let sql = "select session_id, revoked_at from auth.revocations where revoked_at > $1
                   order by revoked_at, session_id";
        let rows = self.database.read("revocations", sql, &[(&after, Type::TIMESTAMPTZ)]).await?;
        let revoked =
            |row: &Row| RevokedSession { id: SessionId::from_uuid(row.get(0)), revoked_at: row.get(1) };
        Ok(rows.iter().map(revoked).collect())
    }
}

/// `id`, `user_id`, `created_at`, `methods`.
fn live_session(row: &Row) -> LiveSession {
    LiveSession {
        id: SessionId::from_uuid(row.get(0)),
        user_id: UserId::from_uuid(row.get(1)),
        created_at: row.get(2),
        methods: methods(row.get(3)),
    }
}

/// A session that was not ended; what else it takes to be alive depends on the time.
pub(super) struct OpenSession {
    session: LiveSession,
    expires_at: Timestamp,
    refreshed_at: Timestamp,
}

impl OpenSession {
    /// `id`, `user_id`, `created_at`, `methods`, `expires_at`, `refreshed_at`.
    pub(super) fn of(row: &Row) -> Self {
        Self { session: live_session(row), expires_at: row.get(4), refreshed_at: row.get(5) }
    }

    pub(super) fn live_at(self, at: LiveAt) -> Option<LiveSession> {
        (self.expires_at > at.now && self.refreshed_at > at.refreshed_after).then_some(self.session)
    }
}

/// `id`, `created_at`, `refreshed_at`, `expires_at`, `address`, `user_agent`, `methods`.
fn session_record(row: &Row) -> SessionRecord {
    SessionRecord {
        id: SessionId::from_uuid(row.get(0)),
        created_at: row.get(1),
        refreshed_at: row.get(2),
        expires_at: row.get(3),
        client: client(row.get(4), row.get(5)),
        methods: methods(row.get(6)),
    }
}

/// The two columns of a function that says what came of a step.
fn outcome_of(rows: &[Row]) -> Result<(&str, Option<UserId>), StoreError> {
    let row = rows.first().ok_or_else(|| StoreError::Failed("a function returned no row".into()))?;
    Ok((row.get(0), row.get::<_, Option<Uuid>>(1).map(UserId::from_uuid)))
}
