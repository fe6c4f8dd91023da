//! Signing keys.

use async_trait::async_trait;
use ostiary_core::{
    keys::KeyId,
    store::{KeyState, SigningKeys, StoreError, StoredSigningKey},
};
use rusqlite::{Connection, Row, params, types::FromSqlError};

use super::{SqliteStore, columns::TimeColumn};

#[async_trait]
impl SigningKeys for SqliteStore {
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        let sql = "select id, algorithm, public_key, sealed_private_key, state, created_at
                   from signing_keys order by created_at, id";
        self.readers.read(|connection| connection.prepare_cached(sql)?.query_map([], from_row)?.collect())
    }

    async fn ensure_signing_key(&self, candidate: StoredSigningKey) -> Result<StoredSigningKey, StoreError> {
        let sql = "select id, algorithm, public_key, sealed_private_key, state, created_at
                   from signing_keys where algorithm = ?1 and state = 'active'";
        self.writer
            .step(move |connection| {
                insert_if_first(connection, &candidate)?;
                connection.prepare_cached(sql)?.query_row([&candidate.algorithm], from_row)
            })
            .await
    }
}

/// The unique index on active keys lets only the first one of an algorithm in.
fn insert_if_first(connection: &Connection, key: &StoredSigningKey) -> rusqlite::Result<()> {
    let sql = "insert into signing_keys (id, algorithm, public_key, sealed_private_key, state, created_at)
               values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing";
    connection.prepare_cached(sql)?.execute(params![
        key.id.as_str(),
        key.algorithm,
        key.public_key,
        key.sealed_private_key,
        key.state.as_str(),
        TimeColumn(key.created_at),
    ])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredSigningKey> {
    let state: String = row.get(4)?;
    Ok(StoredSigningKey {
        id: KeyId::from_stored(row.get(0)?),
        algorithm: row.get(1)?,
        public_key: row.get(2)?,
        sealed_private_key: row.get(3)?,
        state: KeyState::from_name(&state).ok_or(FromSqlError::InvalidType)?,
        created_at: row.get::<_, TimeColumn>(5)?.0,
    })
}
