//! Signing keys.

use async_trait::async_trait;
use ostiary_core::{
    keys::KeyId,
    store::{KeyState, SigningKeys, StoreError, StoredSigningKey},
};
use tokio_postgres::{Row, types::Type};

use super::PostgresStore;

#[async_trait]
impl SigningKeys for PostgresStore {
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        let sql = "select id, algorithm, public_key, sealed_private_key, state, created_at
                   from auth.signing_keys order by created_at, id";
        self.database.read(sql, &[]).await?.iter().map(from_row).collect()
    }

    async fn ensure_signing_key(&self, candidate: StoredSigningKey) -> Result<StoredSigningKey, StoreError> {
        // The unique index on active keys lets only the first one of an algorithm in. Where another node was
        // first, the update that changes nothing waits for it and returns its key.
        let sql = "insert into auth.signing_keys
                       (id, algorithm, public_key, sealed_private_key, state, created_at)
                   values ($1, $2, $3, $4, $5, $6)
                   on conflict (algorithm) where state = 'active' do update set state = excluded.state
                   returning id, algorithm, public_key, sealed_private_key, state, created_at";
        let rows = self
            .database
            .write(
                sql,
                &[
                    (&candidate.id.as_str(), Type::TEXT),
                    (&candidate.algorithm, Type::TEXT),
                    (&candidate.public_key, Type::BYTEA),
                    (&candidate.sealed_private_key, Type::BYTEA),
                    (&candidate.state.as_str(), Type::TEXT),
                    (&candidate.created_at, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        rows.first().map_or_else(|| Err(StoreError::Failed("no active key was kept".into())), from_row)
    }
}

fn from_row(row: &Row) -> Result<StoredSigningKey, StoreError> {
    let state: &str = row.get(4);
    let unknown = || StoreError::Failed(format!("a signing key has the unknown state {state:?}").into());
    Ok(StoredSigningKey {
        id: KeyId::from_stored(row.get(0)),
        algorithm: row.get(1),
        public_key: row.get(2),
        sealed_private_key: row.get(3),
        state: KeyState::from_name(state).ok_or_else(unknown)?,
        created_at: row.get(5),
    })
}
