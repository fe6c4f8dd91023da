//! Deleting what is of no more use.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    id::NodeId,
    store::{Cleanup, Job, Leftover, StoreError},
};
use rusqlite::params;

use super::{
    SqliteStore,
    columns::{IdColumn, TimeColumn},
};

#[async_trait]
impl Cleanup for SqliteStore {
    async fn lease(
        &self,
        job: Job,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "insert into jobs (name, node, leased_until) values (?1, ?2, ?4)
                   on conflict (name) do update set node = excluded.node, leased_until = excluded.leased_until
                   where jobs.node = excluded.node or jobs.leased_until <= ?3";
        self.writer
            .step("lease", move |connection| {
                let parameters = params![job.as_str(), IdColumn(node), TimeColumn(now), TimeColumn(until)];
                Ok(connection.prepare_cached(sql)?.execute(parameters)? == 1)
            })
            .await
    }

    async fn delete_leftovers(
        &self,
        kind: Leftover,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let sql = match kind {
            Leftover::ExpiredSessions => {
                "delete from sessions
                 where id in (select id from sessions where expires_at < ?1 order by expires_at limit ?2)"
            }
            Leftover::Revocations => {
                "delete from revocations where session_id in
                     (select session_id from revocations where revoked_at < ?1 order by revoked_at limit ?2)"
            }
            Leftover::ExpiredKeys => {
                "delete from signing_keys where id in
                         (select id from signing_keys as old where expires_at < ?1 and retired_at is null
                      and exists (select 1 from signing_keys as new
                                  where new.algorithm = old.algorithm and new.generation > old.generation)
                      limit ?2)"
            }
            // The replaced service keeps its tokens in PostgreSQL; there are none here.
            Leftover::ForeignTokens => return Ok(0),
        };
        self.writer
            .step("delete_leftovers", move |connection| {
                let deleted = connection.prepare_cached(sql)?.execute(params![TimeColumn(before), limit])?;
                Ok(u32::try_from(deleted).unwrap_or(limit))
            })
            .await
    }
}
