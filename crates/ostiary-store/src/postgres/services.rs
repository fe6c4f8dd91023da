//! Credentials of services.

use async_trait::async_trait;
use ostiary_core::{
    audit::AuditEvent,
    id::ServiceCredentialId,
    service::{ServiceName, ServiceSecretHash},
    store::{ServiceCredentials, StoreError, StoredServiceCredential},
};
use tokio_postgres::{Row, types::Type};

use super::{PostgresStore, columns::EventColumns, database::Parameter};

#[async_trait]
impl ServiceCredentials for PostgresStore {
    async fn add_service_credential(
        &self,
        credential: StoredServiceCredential,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        let sql = "
            with added as (
                insert into auth.service_credentials (id, name, secret_hash, created_at) values ($1, $2, $3, $4)
                returning id
            )
            insert into auth.audit_events (id, at, action, actor, address, user_agent, subject)
            select $5, $6, $7, $8, $9, $10, added.id::text from added";
        let (id, event) = (credential.id.as_uuid(), EventColumns::of(&event));
        let own: [Parameter<'_>; 4] = [
            (&id, Type::UUID),
            (&credential.name.as_str(), Type::TEXT),
            (&credential.secret_hash.as_bytes().as_slice(), Type::BYTEA),
            (&credential.created_at, Type::TIMESTAMPTZ),
        ];
        self.database.write("add_service_credential", sql, &[&own[..], &event.parameters()].concat()).await?;
        Ok(())
    }

    async fn find_service_credential(
        &self,
        id: ServiceCredentialId,
    ) -> Result<Option<StoredServiceCredential>, StoreError> {
        let sql = "select id, name, secret_hash, created_at from auth.service_credentials
                   where id = $1 and revoked_at is null";
        let rows = self.database.read("find_service_credential", sql, &[(&id.as_uuid(), Type::UUID)]).await?;
        rows.first().map(from_row).transpose()
    }

    async fn service_credentials(&self) -> Result<Vec<StoredServiceCredential>, StoreError> {
        let sql = "select id, name, secret_hash, created_at from auth.service_credentials
                   where revoked_at is null order by created_at, id";
        self.database.read("service_credentials", sql, &[]).await?.iter().map(from_row).collect()
    }

    async fn revoke_service_credential(
        &self,
        id: ServiceCredentialId,
        event: AuditEvent,
    ) -> Result<bool, StoreError> {
        let sql = "
            with revoked as (
                update auth.service_credentials set revoked_at = $3 where id = $1 and revoked_at is null
                returning id
            ), recorded as (
                insert into auth.audit_events (id, at, action, actor, address, user_agent, subject)
                select $2, $3, $4, $5, $6, $7, revoked.id::text from revoked
            )
            select from revoked";
        let (id, event) = (id.as_uuid(), EventColumns::of(&event));
        let own: [Parameter<'_>; 1] = [(&id, Type::UUID)];
        let revoked = self
            .database
            .write("revoke_service_credential", sql, &[&own[..], &event.parameters()].concat())
            .await?;
        Ok(!revoked.is_empty())
    }
}

fn from_row(row: &Row) -> Result<StoredServiceCredential, StoreError> {
    let secret_hash: &[u8] = row.get(2);
    let secret_hash = secret_hash.try_into().map_err(|error| StoreError::Failed(Box::new(error)))?;
    Ok(StoredServiceCredential {
        id: ServiceCredentialId::from_uuid(row.get(0)),
        name: ServiceName::from_stored(row.get(1)),
        secret_hash: ServiceSecretHash::from_bytes(secret_hash),
        created_at: row.get(3),
    })
}
