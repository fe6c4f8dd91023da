//! The compare-and-swap of a refresh: who presents a generation spends it, and nobody else can.
//!
//! It is what most requests come to that write, and most of what a database does for one it does once for many: so
//! rotations that are asked for at once go together, in one statement with one wait for the disk.

use std::{collections::HashMap, sync::Arc};

use ostiary_core::{
    audit::AuditEvent,
    clock::earlier,
    store::{LiveSession, Refusal, Revocation, RotateOutcome, Rotation, Sessions, StoreError},
};
use tokio_postgres::types::Type;

use super::{live_session, outcome_of};
use crate::{
    gathered::Batch,
    postgres::{
        PostgresStore,
        columns::EventColumns,
        database::{Database, Parameter},
    },
};

/// On a directory of our own. In SQL and not in a function: it costs a fifth less so.
const SPEND_ON_OWN_DIRECTORY: &str = "
    update auth.sessions as session set generation = $4, refreshed_at = $5
    where id = $1 and secret_hash = $2 and generation = $3 and revoked_at is null and expires_at > $5
        and refreshed_at > $6
        and exists (select from accounts.users where users.id = session.user_id and users.active)
    returning id, user_id, created_at, methods";

/// On a directory of somebody else's, whose function may take its time, or fail for one user: each by itself.
const SPEND_ON_FOREIGN_DIRECTORY: &str = "
    update auth.sessions as session set generation = $4, refreshed_at = $5
    where id = $1 and secret_hash = $2 and generation = $3 and revoked_at is null and expires_at > $5
        and refreshed_at > $6
        and auth.is_active_user(session.user_id)
    returning id, user_id, created_at, methods";

/// Many at once, on a directory of our own. It waits for nobody: a row that somebody else has locked is passed over,
/// so that whoever holds it keeps nobody waiting who did not ask for it, and two of these never wait for each other.
/// Of several who ask for the same, one gets the session; `place` says which, counted from 1.
const SPEND_MANY: &str = "
    with spent as materialized (
        select session.id, asked.next_generation, asked.now, asked.place
        from unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
            with ordinality
            as asked (id, secret_hash, generation, next_generation, now, refreshed_after, place)
        join auth.sessions as session on session.id = asked.id
        where session.secret_hash = asked.secret_hash and session.generation = asked.generation
            and session.revoked_at is null and session.expires_at > asked.now
            and session.refreshed_at > asked.refreshed_after
            and exists (select from accounts.users where users.id = session.user_id and users.active)
        for no key update of session skip locked
    )
    update auth.sessions as session set generation = spent.next_generation, refreshed_at = spent.now
    from spent where session.id = spent.id
    returning session.id, session.user_id, session.created_at, session.methods, spent.place";

/// Rotations on a directory of our own.
pub(in crate::postgres) struct Rotations {
    pub(in crate::postgres) database: Arc<Database>,
}

/// What came of a rotation that went with others.
#[derive(Debug, Clone)]
pub(in crate::postgres) enum Turn {
    /// The generation was spent.
    Spent(LiveSession),
    /// It was not, and a rotation by itself would not have spent it.
    NotSpent,
    /// It was not, and perhaps only because somebody else was about to change the session.
    Undecided,
}

impl Batch for Rotations {
    type Request = Rotation;
    type Answer = Turn;

    async fn run(&self, rotations: Vec<Rotation>) -> Result<Vec<Turn>, StoreError> {
        if let [rotation] = rotations.as_slice() {
            let spent = self.database.spend(SPEND_ON_OWN_DIRECTORY, rotation).await?;
            return Ok(vec![spent.map_or(Turn::NotSpent, Turn::Spent)]);
        }
        match self.database.spend_many(&rotations).await {
            // What is wrong with one is not to be the others' error.
            Err(StoreError::Failed(_)) => Ok(vec![Turn::Undecided; rotations.len()]),
            outcome => outcome,
        }
    }
}

impl Database {
    /// Spends a generation by itself; waits for whoever has locked the session.
    async fn spend(&self, sql: &'static str, rotation: &Rotation) -> Result<Option<LiveSession>, StoreError> {
        let parameters: [Parameter<'_>; 6] = [
            (&rotation.session_id.as_uuid(), Type::UUID),
            (&rotation.secret_hash.as_bytes().as_slice(), Type::BYTEA),
            (&i64::from(rotation.generation.number()), Type::INT8),
            (&i64::from(rotation.generation.next().number()), Type::INT8),
            (&rotation.at.now, Type::TIMESTAMPTZ),
            (&rotation.at.refreshed_after, Type::TIMESTAMPTZ),
        ];
        Ok(self.write("rotate_session", sql, &parameters).await?.first().map(live_session))
    }

    async fn spend_many(&self, rotations: &[Rotation]) -> Result<Vec<Turn>, StoreError> {
        fn column<T>(rotations: &[Rotation], value: impl Fn(&Rotation) -> T) -> Vec<T> {
            rotations.iter().map(value).collect()
        }
        let parameters: [Parameter<'_>; 6] = [
            (&column(rotations, |rotation| rotation.session_id.as_uuid()), Type::UUID_ARRAY),
            (&column(rotations, |rotation| rotation.secret_hash.as_bytes().to_vec()), Type::BYTEA_ARRAY),
            (&column(rotations, |rotation| i64::from(rotation.generation.number())), Type::INT8_ARRAY),
            (&column(rotations, |rotation| i64::from(rotation.generation.next().number())), Type::INT8_ARRAY),
            (&column(rotations, |rotation| rotation.at.now), Type::TIMESTAMPTZ_ARRAY),
            (&column(rotations, |rotation| rotation.at.refreshed_after), Type::TIMESTAMPTZ_ARRAY),
        ];
        let rows = self.write("rotate_session", SPEND_MANY, &parameters).await?;
        let mut spent: HashMap<i64, LiveSession> =
            rows.iter().map(|row| (row.get(4), live_session(row))).collect();
        let turn = |place| spent.remove(&place).map_or(Turn::Undecided, Turn::Spent);
        Ok((1..).map(turn).take(rotations.len()).collect())
    }
}

impl PostgresStore {
    /// Spends the generation of a rotation, if that is good.
    pub(super) async fn spend(&self, rotation: Rotation) -> Result<Option<LiveSession>, StoreError> {
        if self.directory.is_foreign() {
            return self.database.spend(SPEND_ON_FOREIGN_DIRECTORY, &rotation).await;
        }
        match self.rotations.ask(rotation).await? {
            Turn::Spent(session) => Ok(Some(session)),
            Turn::NotSpent => Ok(None),
            Turn::Undecided => self.database.spend(SPEND_ON_OWN_DIRECTORY, &rotation).await,
        }
    }

    /// What a rotation that spent nothing comes to. A second round trip, for the few that need it; and a third, for
    /// what is repeated.
    pub(super) async fn judge_rotation(
        &self,
        rotation: Rotation,
        on_reuse: AuditEvent,
    ) -> Result<RotateOutcome, StoreError> {
        let sql = "select outcome, session_user_id
                   from auth.judge_refresh($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let session_id = rotation.session_id.as_uuid();
        let repeated_since = earlier(rotation.at.now, rotation.grace);
        let event = EventColumns::of(&on_reuse);
        let own: [Parameter<'_>; 6] = [
            (&session_id, Type::UUID),
            (&rotation.secret_hash.as_bytes().as_slice(), Type::BYTEA),
            (&i64::from(rotation.generation.number()), Type::INT8),
            (&repeated_since, Type::TIMESTAMPTZ),
            (&rotation.at.refreshed_after, Type::TIMESTAMPTZ),
            (&Revocation::TokenReused.as_str(), Type::TEXT),
        ];
        let rows =
            self.database.write("judge_rotation", sql, &[&own[..], &event.parameters()].concat()).await?;
        let refusal = match outcome_of(&rows)? {
            ("repeated", Some(_)) => match self.find_session(rotation.session_id, rotation.at).await? {
                Some(session) => return Ok(RotateOutcome::Repeated(session)),
                None => Refusal::Revoked,
            },
            ("reused", Some(user_id)) => return Ok(RotateOutcome::Reused(user_id)),
            ("absent", _) => Refusal::Absent,
            ("ahead", _) => Refusal::Ahead,
            ("revoked", _) => Refusal::Revoked,
            ("expired", _) => Refusal::Expired,
            ("user_disabled", _) => Refusal::UserDisabled,
            (other, _) => {
                return Err(StoreError::Failed(format!("auth.judge_refresh said {other:?}").into()));
            }
        };
        Ok(RotateOutcome::Refused(refusal))
    }
}
