//! Signing keys: public halves in the clear, private halves sealed under the server's secret.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::{
    audit::AuditEvent,
    keys::{KeyId, SigningAlgorithm},
};

/// The keys that sign access tokens.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// All keys that have not been deleted, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError>;

    /// Keeps a key, unless its algorithm has one of that generation already: of several nodes that make the
    /// next key at once, one does. Says whether it was kept.
    ///
    /// # Errors
    /// If the store fails.
    async fn add_signing_key(&self, key: StoredSigningKey, event: AuditEvent) -> Result<bool, StoreError>;

    /// Lets a key be trusted until `expires_at`, if it is not already trusted for longer, nor retired.
    ///
    /// # Errors
    /// If the store fails.
    async fn extend_signing_key(&self, id: &KeyId, expires_at: Timestamp) -> Result<(), StoreError>;

    /// Withdraws the trust in a key and its tokens. Says whether there was such a key, not retired before.
    ///
    /// # Errors
    /// If the store fails.
    async fn retire_signing_key(&self, id: &KeyId, event: AuditEvent) -> Result<bool, StoreError>;
}

/// A signing key as it is kept. Its stages follow from the time: see [`crate::keys::KeyState`].
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// Its name, the header `kid`.
    pub id: KeyId,
    /// What it signs by.
    pub algorithm: SigningAlgorithm,
    /// Counts the keys of the algorithm, from 1.
    pub generation: u32,
    /// The public half: of `EdDSA` the 32 bytes of RFC 8032, of `ES256` the point of SEC 1 §2.3.3 uncompressed,
    /// of `RS256` the DER of RFC 8017 §A.1.1; of a shared secret nothing.
    pub public_key: Vec<u8>,
    /// The private half as PKCS #8, or the shared secret; sealed with the key's id as context.
    pub sealed_private_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins to sign.
    pub activates_at: Timestamp,
    /// No token that it has signed lives longer than this.
    pub expires_at: Timestamp,
    /// When an operator withdrew it, and all of its tokens with it.
    pub retired_at: Option<Timestamp>,
}

impl fmt::Debug for StoredSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
