//! Signing keys: public halves in the clear, private halves sealed under the server's secret.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::keys::KeyId;

/// The keys that sign access tokens.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// The keys whose tokens may still be alive, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError>;

    /// Keeps `candidate` unless its algorithm has an active key already; returns the active key.
    ///
    /// # Errors
    /// If the store fails.
    async fn ensure_signing_key(&self, candidate: StoredSigningKey) -> Result<StoredSigningKey, StoreError>;
}

/// A signing key as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// Its name, the header `kid`.
    pub id: KeyId,
    /// The JWA name of its algorithm: `EdDSA`.
    pub algorithm: String,
    /// The public half: for `EdDSA` the 32 bytes of RFC 8032.
    pub public_key: Vec<u8>,
    /// The private half as PKCS #8, sealed with the key's id as context.
    pub sealed_private_key: Vec<u8>,
    /// What it is used for now.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for StoredSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The stages of a key's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that verifiers know it before it signs.
    Next,
    /// Signs new tokens.
    Active,
    /// Signs no more; published until its last token has expired.
    Retired,
}

impl KeyState {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    /// The state that is stored as `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired].into_iter().find(|state| state.as_str() == name)
    }
}
