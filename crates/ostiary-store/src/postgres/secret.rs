//! The server's secret, by its fingerprint.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    secret::SecretFingerprint,
    store::{KnownSecret, StoreError},
};
use tokio_postgres::types::Type;

use super::PostgresStore;

#[async_trait]
impl KnownSecret for PostgresStore {
    async fn secret_fingerprint(&self) -> Result<Option<SecretFingerprint>, StoreError> {
        let rows = self
            .database
            .read("secret_fingerprint", "select fingerprint from auth.known_secret", &[])
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let bytes: &[u8] = row.get(0);
        let bytes = bytes.try_into().map_err(|error| StoreError::Failed(Box::new(error)))?;
        Ok(Some(SecretFingerprint::from_bytes(bytes)))
    }

    async fn remember_secret(
        &self,
        known: Option<SecretFingerprint>,
        fingerprint: SecretFingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "insert into auth.known_secret as kept (id, fingerprint, since) values (1, $1, $2)
                   on conflict (id) do update set fingerprint = excluded.fingerprint, since = excluded.since
                   where kept.fingerprint = $3
                   returning id";
        let known = known.map(|known| known.as_bytes().to_vec());
        let rows = self
            .database
            .write(
                "remember_secret",
                sql,
                &[
                    (&fingerprint.as_bytes().as_slice(), Type::BYTEA),
                    (&now, Type::TIMESTAMPTZ),
                    (&known, Type::BYTEA),
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }
}
