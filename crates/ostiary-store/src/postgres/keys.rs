//! Signing keys.

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::{
    audit::AuditEvent,
    keys::{KeyId, SigningAlgorithm},
    store::{SigningKeys, StoreError, StoredSigningKey},
};
use tokio_postgres::{Row, types::Type};

use super::{PostgresStore, columns::EventColumns, database::Parameter};

#[async_trait]
impl SigningKeys for PostgresStore {
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        let sql =
            "select id, algorithm, generation, public_key, sealed_private_key, created_at, activates_at,
                       expires_at, retired_at
                   from auth.signing_keys order by activates_at, generation";
        Ok(self.database.read("signing_keys", sql, &[]).await?.iter().filter_map(from_row).collect())
    }

    async fn add_signing_key(&self, key: StoredSigningKey, event: AuditEvent) -> Result<bool, StoreError> {
        let sql = "
            with added as (
                insert into auth.signing_keys (
                    id, algorithm, generation, public_key, sealed_private_key, created_at, activates_at, expires_at,
                    retired_at
                )
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                on conflict do nothing
                returning id
            ), recorded as (
                insert into auth.audit_events (id, at, action, actor, address, user_agent, subject)
                select $10, $11, $12, $13, $14, $15, added.id from added
            )
            select from added";
        let event = EventColumns::of(&event);
        let own: [Parameter<'_>; 9] = [
            (&key.id.as_str(), Type::TEXT),
            (&key.algorithm.as_str(), Type::TEXT),
            (&i64::from(key.generation), Type::INT8),
            (&key.public_key, Type::BYTEA),
            (&key.sealed_private_key, Type::BYTEA),
            (&key.created_at, Type::TIMESTAMPTZ),
            (&key.activates_at, Type::TIMESTAMPTZ),
            (&key.expires_at, Type::TIMESTAMPTZ),
            (&key.retired_at, Type::TIMESTAMPTZ),
        ];
        let added =
            self.database.write("add_signing_key", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(!added.is_empty())
    }

    async fn extend_signing_key(&self, id: &KeyId, expires_at: Timestamp) -> Result<(), StoreError> {
        let sql = "update auth.signing_keys set expires_at = $2
                   where id = $1 and expires_at < $2 and retired_at is null";
        let parameters: [Parameter<'_>; 2] = [(&id.as_str(), Type::TEXT), (&expires_at, Type::TIMESTAMPTZ)];
        self.database.write("extend_signing_key", sql, &parameters).await?;
        Ok(())
    }

    async fn retire_signing_key(&self, id: &KeyId, event: AuditEvent) -> Result<bool, StoreError> {
        let sql = "
            with retired as (
                update auth.signing_keys set retired_at = $3 where id = $1 and retired_at is null
                returning id
            ), recorded as (
                insert into auth.audit_events (id, at, action, actor, address, user_agent, subject)
                select $2, $3, $4, $5, $6, $7, retired.id from retired
            )
            select from retired";
        let event = EventColumns::of(&event);
        let own: [Parameter<'_>; 1] = [(&id.as_str(), Type::TEXT)];
        let retired =
            self.database.write("retire_signing_key", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(!retired.is_empty())
    }
}

/// `None` for a key of an algorithm that only a newer version knows.
fn from_row(row: &Row) -> Option<StoredSigningKey> {
    Some(StoredSigningKey {
        id: KeyId::from_stored(row.get(0)),
        algorithm: SigningAlgorithm::from_name(row.get(1))?,
        generation: u32::try_from(row.get::<_, i64>(2)).ok()?,
        public_key: row.get(3),
        sealed_private_key: row.get(4),
        created_at: row.get(5),
        activates_at: row.get(6),
        expires_at: row.get(7),
        retired_at: row.get(8),
    })
}
