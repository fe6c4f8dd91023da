//! Sessions.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    audit::AuditEvent,
    id::{SessionId, UserId},
    store::{
        Exchange, ExchangeOutcome, NewSession, OpenOutcome, Refusal, Revocation, RevokeOutcome,
        RotateOutcome, Rotation, Sessions, StoreError,
    },
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    PostgresStore,
    columns::{EventColumns, SessionColumns},
    database::Parameter,
    directory::CONSUME_REFRESH_TOKEN,
};

/// The compare-and-swap on a directory of our own. In SQL and not in a function: it is what most requests
/// come to, and costs a fifth less so.
const ROTATE_ON_OWN_DIRECTORY: &str = "
    update auth.sessions as session set generation = $4, refreshed_at = $5
    where id = $1 and secret_hash = $2 and generation = $3 and revoked_at is null and expires_at > $5
        and exists (select from accounts.users where users.id = session.user_id and users.active)
    returning user_id";

const ROTATE_ON_FOREIGN_DIRECTORY: &str = "
    update auth.sessions as session set generation = $4, refreshed_at = $5
    where id = $1 and secret_hash = $2 and generation = $3 and revoked_at is null and expires_at > $5
        and auth.is_active_user(session.user_id)
    returning user_id";

#[async_trait]
impl Sessions for PostgresStore {
    async fn open_session(
        &self,
        user_id: UserId,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<OpenOutcome, StoreError> {
        let sql = "
            with opened as (
                insert into auth.sessions (
                    id, user_id, secret_hash, created_at, refreshed_at, expires_at, address, user_agent, methods
                )
                select $2, $1, $3, $4, $4, $5, $6, $7, $8 where auth.is_active_user($1)
                returning id, user_id
            ), recorded as (
                insert into auth.audit_events (id, at, action, user_id, session_id, address, user_agent)
                select $9, $10, $11, opened.user_id, opened.id, $12, $13 from opened
            )
            select from opened";
        let user_id = user_id.as_uuid();
        let (session, event) = (SessionColumns::of(&session), EventColumns::of(&event));
        let own: [Parameter<'_>; 1] = [(&user_id, Type::UUID)];
        let parameters = [&own[..], &session.parameters(), &event.parameters()].concat();
        let opened = self.database.write(sql, &parameters).await?;
        Ok(if opened.is_empty() { OpenOutcome::NoSuchUser } else { OpenOutcome::Opened })
    }

    async fn rotate_session(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError> {
        let sql =
            if self.directory.is_foreign() { ROTATE_ON_FOREIGN_DIRECTORY } else { ROTATE_ON_OWN_DIRECTORY };
        let rotated = self
            .database
            .write(
                sql,
                &[
                    (&rotation.session_id.as_uuid(), Type::UUID),
                    (&rotation.secret_hash.as_bytes().as_slice(), Type::BYTEA),
                    (&i64::from(rotation.generation.number()), Type::INT8),
                    (&i64::from(rotation.generation.next().number()), Type::INT8),
                    (&rotation.now, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        match rotated.first() {
            Some(row) => Ok(RotateOutcome::Rotated(UserId::from_uuid(row.get(0)))),
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
        let sql = "select outcome, session_user_id
                   from auth.exchange_token($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let Exchange { token_hash, session, grace } = exchange;
        let repeated_since = before(session.created_at, grace);
        let (event_id, reuse_event_id) = (event.id.as_uuid(), on_reuse.id.as_uuid());
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
        let parameters = [&own[..], &columns.parameters()].concat();
        let rows = self.database.write(sql, &parameters).await?;
        match outcome_of(&rows)? {
            ("opened", Some(user_id)) => Ok(ExchangeOutcome::Opened(user_id)),
            ("repeated", Some(user_id)) => Ok(ExchangeOutcome::Repeated(user_id)),
            ("reused", Some(user_id)) => Ok(ExchangeOutcome::Reused(user_id)),
            _ => Ok(ExchangeOutcome::Refused),
        }
    }

    async fn revoke_session(
        &self,
        session_id: SessionId,
        why: Revocation,
        event: AuditEvent,
    ) -> Result<RevokeOutcome, StoreError> {
        let sql = "
            with revoked as (
                update auth.sessions set revoked_at = $4, revoked_why = $2
                where id = $1 and revoked_at is null and expires_at > $4
                returning id, user_id
            ), recorded as (
                insert into auth.audit_events (id, at, action, user_id, session_id, address, user_agent)
                select $3, $4, $5, revoked.user_id, revoked.id, $6, $7 from revoked
            )
            select from revoked";
        let (session_id, event) = (session_id.as_uuid(), EventColumns::of(&event));
        let own: [Parameter<'_>; 2] = [(&session_id, Type::UUID), (&why.as_str(), Type::TEXT)];
        let parameters = [&own[..], &event.parameters()].concat();
        let revoked = self.database.write(sql, &parameters).await?;
        Ok(if revoked.is_empty() { RevokeOutcome::NotOpen } else { RevokeOutcome::Revoked })
    }
}

impl PostgresStore {
    /// What a rotation that spent nothing comes to. A second round trip, for the few that need it.
    async fn judge_rotation(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError> {
        let sql = "select outcome, session_user_id
                   from auth.judge_rotation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let session_id = rotation.session_id.as_uuid();
        let repeated_since = before(rotation.now, rotation.grace);
        let event = EventColumns::of(&on_reuse);
        let own: [Parameter<'_>; 5] = [
            (&session_id, Type::UUID),
            (&rotation.secret_hash.as_bytes().as_slice(), Type::BYTEA),
            (&i64::from(rotation.generation.number()), Type::INT8),
            (&repeated_since, Type::TIMESTAMPTZ),
            (&Revocation::TokenReused.as_str(), Type::TEXT),
        ];
        let parameters = [&own[..], &event.parameters()].concat();
        let rows = self.database.write(sql, &parameters).await?;
        match outcome_of(&rows)? {
            ("repeated", Some(user_id)) => Ok(RotateOutcome::Repeated(user_id)),
            ("reused", Some(user_id)) => Ok(RotateOutcome::Reused(user_id)),
            ("absent", _) => Ok(RotateOutcome::Refused(Refusal::Absent)),
            ("ahead", _) => Ok(RotateOutcome::Refused(Refusal::Ahead)),
            ("revoked", _) => Ok(RotateOutcome::Refused(Refusal::Revoked)),
            ("expired", _) => Ok(RotateOutcome::Refused(Refusal::Expired)),
            ("user_disabled", _) => Ok(RotateOutcome::Refused(Refusal::UserDisabled)),
            (other, _) => Err(StoreError::Failed(format!("auth.judge_rotation said {other:?}").into())),
        }
    }
}

/// The two columns of a function that says what came of a step.
fn outcome_of(rows: &[Row]) -> Result<(&str, Option<UserId>), StoreError> {
    let row = rows.first().ok_or_else(|| StoreError::Failed("a function returned no row".into()))?;
    Ok((row.get(0), row.get::<_, Option<Uuid>>(1).map(UserId::from_uuid)))
}

fn before(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_sub(span).unwrap_or(Timestamp::MIN)
}
