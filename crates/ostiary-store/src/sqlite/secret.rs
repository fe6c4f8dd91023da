//! The server's secret, by its fingerprint.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    secret::SecretFingerprint,
    store::{KnownSecret, StoreError},
};
use rusqlite::{OptionalExtension, params};

use super::{SqliteStore, columns::TimeColumn};

#[async_trait]
impl KnownSecret for SqliteStore {
    async fn secret_fingerprint(&self) -> Result<Option<SecretFingerprint>, StoreError> {
        let sql = "select fingerprint from known_secret";
        self.readers.read("secret_fingerprint", |connection| {
            let bytes = connection.query_row(sql, [], |row| row.get(0)).optional()?;
            Ok(bytes.map(SecretFingerprint::from_bytes))
        })
    }

    async fn remember_secret(
        &self,
        known: Option<SecretFingerprint>,
        fingerprint: SecretFingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "insert into known_secret (id, fingerprint, since) values (1, ?1, ?2)
                   on conflict (id) do update set fingerprint = excluded.fingerprint, since = excluded.since
                   where known_secret.fingerprint = ?3";
        self.writer
            .step("remember_secret", move |connection| {
                let known = known.map(|known| *known.as_bytes());
                let changed =
                    connection.execute(sql, params![fingerprint.as_bytes(), TimeColumn(now), known])?;
                Ok(changed == 1)
            })
            .await
    }
}
