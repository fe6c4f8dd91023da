//! Signing keys.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    keys::{KeyId, SigningAlgorithm},
    store::{SigningKeys, StoreError, StoredSigningKey},
};
use rusqlite::{Row, params};

use super::{
    SqliteStore,
    audit::{self, Subject},
    columns::TimeColumn,
};

#[async_trait]
impl SigningKeys for SqliteStore {
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        let sql =
            "select id, algorithm, generation, public_key, sealed_private_key, created_at, activates_at,
                       expires_at, retired_at
                   from signing_keys order by activates_at, generation";
        self.readers.read("signing_keys", |connection| {
            // A key of an algorithm that a newer version knows is nothing to this one.
            let keys: Result<Vec<_>, _> = connection.prepare_cached(sql)?.query_map([], from_row)?.collect();
            Ok(keys?.into_iter().flatten().collect())
        })
    }

    async fn add_signing_key(&self, key: StoredSigningKey, event: AuditEvent) -> Result<bool, StoreError> {
        let sql =
            "insert into signing_keys (id, algorithm, generation, public_key, sealed_private_key, created_at,
                       activates_at, expires_at, retired_at)
                   values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) on conflict do nothing";
        self.writer
            .step("add_signing_key", move |connection| {
                let added = connection.prepare_cached(sql)?.execute(params![
                    key.id.as_str(),
                    key.algorithm.as_str(),
                    key.generation,
                    key.public_key,
                    key.sealed_private_key,
                    TimeColumn(key.created_at),
                    TimeColumn(key.activates_at),
                    TimeColumn(key.expires_at),
                    key.retired_at.map(TimeColumn),
                ])?;
                if added == 1 {
                    audit::record(connection, &event, Subject::Named(key.id.as_str()))?;
                }
                Ok(added == 1)
            })
            .await
    }

    async fn extend_signing_key(&self, id: &KeyId, expires_at: Timestamp) -> Result<(), StoreError> {
        let sql = "update signing_keys set expires_at = ?2
                   where id = ?1 and expires_at < ?2 and retired_at is null";
        let id = id.clone();
        self.writer
            .step("extend_signing_key", move |connection| {
                connection
                    .prepare_cached(sql)?
                    .execute(params![id.as_str(), TimeColumn(expires_at)])
                    .map(drop)
            })
            .await
    }

    async fn retire_signing_key(&self, id: &KeyId, event: AuditEvent) -> Result<bool, StoreError> {
        let sql = "update signing_keys set retired_at = ?2 where id = ?1 and retired_at is null";
        let id = id.clone();
        self.writer
            .step("retire_signing_key", move |connection| {
                let retired =
                    connection.prepare_cached(sql)?.execute(params![id.as_str(), TimeColumn(event.at)])?;
                if retired == 1 {
                    audit::record(connection, &event, Subject::Named(id.as_str()))?;
                }
                Ok(retired == 1)
            })
            .await
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Option<StoredSigningKey>> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, TimeColumn>(column)?.0);
    let Some(algorithm) = SigningAlgorithm::from_name(&row.get::<_, String>(1)?) else { return Ok(None) };
    Ok(Some(StoredSigningKey {
        id: KeyId::from_stored(row.get(0)?),
        algorithm,
        generation: row.get(2)?,
        public_key: row.get(3)?,
        sealed_private_key: row.get(4)?,
        created_at: time(5)?,
        activates_at: time(6)?,
        expires_at: time(7)?,
        retired_at: row.get::<_, Option<TimeColumn>>(8)?.map(|time| time.0),
    }))
}
