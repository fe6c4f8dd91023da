//! Credentials of services.

use async_trait::async_trait;
use ostiary_core::{
    audit::AuditEvent,
    id::ServiceCredentialId,
    service::{ServiceName, ServiceSecretHash},
    store::{ServiceCredentials, StoreError, StoredServiceCredential},
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    SqliteStore,
    audit::{self, Subject},
    columns::{IdColumn, TimeColumn},
};

#[async_trait]
impl ServiceCredentials for SqliteStore {
    async fn add_service_credential(
        &self,
        credential: StoredServiceCredential,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        let sql =
            "insert into service_credentials (id, name, secret_hash, created_at) values (?1, ?2, ?3, ?4)";
        self.writer
            .step("add_service_credential", move |connection| {
                connection.prepare_cached(sql)?.execute(params![
                    IdColumn(credential.id),
                    credential.name.as_str(),
                    credential.secret_hash.as_bytes(),
                    TimeColumn(credential.created_at),
                ])?;
                audit::record(connection, &event, Subject::Named(&credential.id.to_string()))
            })
            .await
    }

    async fn find_service_credential(
        &self,
        id: ServiceCredentialId,
    ) -> Result<Option<StoredServiceCredential>, StoreError> {
        let sql = "select id, name, secret_hash, created_at from service_credentials
                   where id = ?1 and revoked_at is null";
        self.readers.read("find_service_credential", |connection| {
            connection.prepare_cached(sql)?.query_row([IdColumn(id)], from_row).optional()
        })
    }

    async fn service_credentials(&self) -> Result<Vec<StoredServiceCredential>, StoreError> {
        let sql = "select id, name, secret_hash, created_at from service_credentials
                   where revoked_at is null order by created_at, id";
        self.readers.read("service_credentials", |connection| {
            connection.prepare_cached(sql)?.query_map([], from_row)?.collect()
        })
    }

    async fn revoke_service_credential(
        &self,
        id: ServiceCredentialId,
        event: AuditEvent,
    ) -> Result<bool, StoreError> {
        let sql = "update service_credentials set revoked_at = ?2 where id = ?1 and revoked_at is null";
        self.writer
            .step("revoke_service_credential", move |connection| {
                let revoked =
                    connection.prepare_cached(sql)?.execute(params![IdColumn(id), TimeColumn(event.at)])?;
                if revoked == 1 {
                    audit::record(connection, &event, Subject::Named(&id.to_string()))?;
                }
                Ok(revoked == 1)
            })
            .await
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredServiceCredential> {
    Ok(StoredServiceCredential {
        id: row.get::<_, IdColumn<_>>(0)?.0,
        name: ServiceName::from_stored(row.get(1)?),
        secret_hash: ServiceSecretHash::from_bytes(row.get(2)?),
        created_at: row.get::<_, TimeColumn>(3)?.0,
    })
}
