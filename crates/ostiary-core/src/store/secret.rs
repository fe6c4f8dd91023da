//! The server's secret, as far as a store knows it: by its fingerprint.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::secret::SecretFingerprint;

/// Which secret the store's sessions and keys were made under.
#[async_trait]
pub trait KnownSecret: Send + Sync {
    /// The fingerprint of the secret that the store was last used with.
    ///
    /// # Errors
    /// If the store fails.
    async fn secret_fingerprint(&self) -> Result<Option<SecretFingerprint>, StoreError>;

    /// Remembers `fingerprint` in the place of `known`; says whether that was still what the store knew.
    ///
    /// # Errors
    /// If the store fails.
    async fn remember_secret(
        &self,
        known: Option<SecretFingerprint>,
        fingerprint: SecretFingerprint,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}
