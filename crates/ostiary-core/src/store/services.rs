//! Credentials of services: by which they ask whether tokens are good.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::{
    audit::AuditEvent,
    id::ServiceCredentialId,
    service::{ServiceName, ServiceSecretHash},
};

/// The credentials of all services.
#[async_trait]
pub trait ServiceCredentials: Send + Sync {
    /// Keeps a new credential.
    ///
    /// # Errors
    /// If the store fails.
    async fn add_service_credential(
        &self,
        credential: StoredServiceCredential,
        event: AuditEvent,
    ) -> Result<(), StoreError>;

    /// The credential of this id, unless it was revoked.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_service_credential(
        &self,
        id: ServiceCredentialId,
    ) -> Result<Option<StoredServiceCredential>, StoreError>;

    /// All credentials that are not revoked, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    async fn service_credentials(&self) -> Result<Vec<StoredServiceCredential>, StoreError>;

    /// Withdraws a credential. Says whether there was one.
    ///
    /// # Errors
    /// If the store fails.
    async fn revoke_service_credential(
        &self,
        id: ServiceCredentialId,
        event: AuditEvent,
    ) -> Result<bool, StoreError>;
}

/// A credential as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredServiceCredential {
    /// Names it.
    pub id: ServiceCredentialId,
    /// Whose it is; a service may have several.
    pub name: ServiceName,
    /// The hash of its secret.
    pub secret_hash: ServiceSecretHash,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for StoredServiceCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredServiceCredential")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
