//! Deleting what is of no more use.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    id::NodeId,
    store::{Cleanup, Job, Leftover, StoreError},
};
use tokio_postgres::types::Type;

use super::{PostgresStore, database::Parameter};

#[async_trait]
impl Cleanup for PostgresStore {
    async fn lease(
        &self,
        job: Job,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "insert into auth.jobs as job (name, node, leased_until) values ($1, $2, $4)
                   on conflict (name) do update set node = excluded.node, leased_until = excluded.leased_until
                   where job.leased_until <= $3 or job.node = excluded.node
                   returning name";
        let parameters: [Parameter<'_>; 4] = [
            (&job.as_str(), Type::TEXT),
            (&node.as_uuid(), Type::UUID),
            (&now, Type::TIMESTAMPTZ),
            (&until, Type::TIMESTAMPTZ),
        ];
        Ok(!self.database.write("lease", sql, &parameters).await?.is_empty())
    }

    async fn delete_leftovers(
        &self,
        kind: Leftover,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        // What somebody else is at work on is left for the next time.
        let sql = match kind {
            Leftover::ExpiredSessions => {
                "with leftover as (
                     select id from auth.sessions where expires_at < $1 limit $2 for update skip locked
                 )
                 delete from auth.sessions using leftover where sessions.id = leftover.id returning 1"
            }
            Leftover::Revocations => {
                "with leftover as (
                     select session_id from auth.revocations where revoked_at < $1 limit $2 for update skip locked
                 )
                 delete from auth.revocations using leftover
                 where revocations.session_id = leftover.session_id returning 1"
            }
            // Those of somebody else's directory are its own affair.
            Leftover::ForeignTokens if self.directory.is_foreign() => return Ok(0),
            Leftover::ForeignTokens => {
                "with leftover as (
                     select token_hash from auth.refresh_tokens where used_at < $1 or expires_at < $1
                     limit $2 for update skip locked
                 )
                 delete from auth.refresh_tokens using leftover
                 where refresh_tokens.token_hash = leftover.token_hash returning 1"
            }
            Leftover::ExpiredKeys => {
                "with leftover as (
                     select id from auth.signing_keys as old
                     where expires_at < $1 and retired_at is null and exists (
                         select from auth.signing_keys as new
                         where new.algorithm = old.algorithm and new.generation > old.generation
                     )
                     limit $2 for update skip locked
                 )
                 delete from auth.signing_keys using leftover where signing_keys.id = leftover.id returning 1"
            }
        };
        let parameters: [Parameter<'_>; 2] = [(&before, Type::TIMESTAMPTZ), (&i64::from(limit), Type::INT8)];
        let deleted = self.database.write("delete_leftovers", sql, &parameters).await?;
        Ok(u32::try_from(deleted.len()).unwrap_or(limit))
    }
}
