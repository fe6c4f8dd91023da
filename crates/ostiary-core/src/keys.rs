//! The keys that sign access tokens: a secret shared with the verifiers, or key pairs of the store's.
//!
//! A key's stages follow from the time alone, so that all nodes change from one key to the next together,
//! without a word between them: it is published from when it is made, signs from `activates_at` until the next
//! one does, and is trusted until the last token that it signed has expired.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

mod algorithm;
mod lifecycle;
mod material;
mod ring;
mod verified;

pub use algorithm::SigningAlgorithm;
pub use lifecycle::{KeyState, KeySummary, RotateError};
pub use material::PublicJwk;
pub use ring::Key;
pub(crate) use ring::KeyRing;

use ring::Preferred;

use crate::{
    clock::later,
    secret::{MacKey, Purpose, SealingKey, ServerSecret, hex},
    store::{SigningKeys, StoreError, StoredSigningKey},
};

/// The name of a signing key: of a key pair its JWK thumbprint (RFC 7638), so that the same key has the same
/// name everywhere; of a shared secret a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The id that a store kept, or an operator gave, as `text`.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The id as it stands in a token's header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The secret that this server shares with all who verify its HMAC tokens: `JWT_SECRET_KEY`.
#[derive(Clone)]
pub struct SharedSecret(Zeroizing<Vec<u8>>);

/// A shared secret is shorter than the hash that it keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {found} bytes, and {algorithm} needs at least {least} (RFC 7518 §3.2)")]
pub struct SharedSecretTooShort {
    /// What it is to be used for.
    pub algorithm: SigningAlgorithm,
    /// Its length in bytes.
    pub found: usize,
    /// The least length in bytes.
    pub least: usize,
}

impl SharedSecret {
    /// The secret that is `text`, byte for byte, as the services that verify by it have it.
    ///
    /// # Errors
    /// If it is shorter than the hash of `algorithm`, unless `allow_short`; or empty, in any case.
    pub fn parse(
        text: &str,
        algorithm: SigningAlgorithm,
        allow_short: bool,
    ) -> Result<Self, SharedSecretTooShort> {
        let least = algorithm.shared_secret_bytes().unwrap_or_default();
        if text.is_empty() || (text.len() < least && !allow_short) {
            return Err(SharedSecretTooShort { algorithm, found: text.len(), least });
        }
        Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// How access tokens are signed.
#[derive(Debug, Clone)]
pub enum SigningMethod {
    /// HMAC under a secret that the verifiers have too.
    Shared(SigningAlgorithm, SharedSecret),
    /// A key pair that the store keeps; made if there is none.
    KeyPair {
        /// What it signs by.
        algorithm: SigningAlgorithm,
        /// The secret that signed before, by HS256; its tokens verify until they expire.
        before: Option<SharedSecret>,
    },
}

impl SigningMethod {
    /// What new tokens are signed by.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Shared(algorithm, _) | Self::KeyPair { algorithm, .. } => *algorithm,
        }
    }
}

/// What an operator decides about keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyRules {
    /// How long an access token is good.
    pub token_lifetime: SignedDuration,
    /// How long verifiers may keep a key set without asking again.
    pub jwks_max_age: SignedDuration,
    /// How long a key pair signs before the next one does; `None` for as long as nobody rotates it.
    pub rotate_after: Option<SignedDuration>,
}

/// How long after a change every node goes by it; what the nodes ask the store for at least as often.
pub const FOLLOW_WITHIN: SignedDuration = SignedDuration::from_secs(5);

impl KeyRules {
    /// How long before it signs a key is published: until then, each verifier has asked for the key set since the
    /// last node served it without the key.
    fn lead(&self) -> SignedDuration {
        self.jwks_max_age + FOLLOW_WITHIN * 2
    }

    /// How long a key is to be trusted that signs at `now`; ahead, so that it is seldom written.
    fn trust_until(&self, now: Timestamp) -> Timestamp {
        later(now, self.token_lifetime + SignedDuration::from_mins(90))
    }

    /// Before this a key's trust is to be extended before it signs.
    fn least_trust(&self, now: Timestamp) -> Timestamp {
        later(now, self.token_lifetime + SignedDuration::from_mins(30))
    }
}

/// A key set cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeysError {
    /// The store failed.
    #[error("{0}")]
    Store(String),
    /// The private key was sealed under another server's secret.
    #[error(
        "the signing key {0} was made under another server's secret: give the SECRET_KEY (or secret file) that \
         this database was first started with; if that is lost, delete the key's row from the table signing_keys (auth.signing_keys on PostgreSQL), \
         and a new key is made"
    )]
    Sealed(String),
    /// The private key opened, but is none.
    #[error("the signing key {0} is damaged")]
    Damaged(String),
    /// The shared secret is one that an operator has withdrawn.
    #[error("this JWT_SECRET_KEY was retired (`ostiary keys retire`): set another one")]
    SecretRetired,
}

impl From<StoreError> for KeysError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.with_causes())
    }
}

/// The keys of a running server.
pub struct Keys {
    preferred: Preferred,
    sealing: SealingKey,
    rules: KeyRules,
    ring: RwLock<Arc<KeyRing>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("preferred", &self.preferred).finish_non_exhaustive()
    }
}

impl Keys {
    /// Opens the keys for `method`, and makes the first of them if there is none. While another key is trusted, a
    /// new key pair is published before it signs. `is_in_use` says that tokens may have been issued from this
    /// store before, also by a secret that it does not know.
    ///
    /// # Errors
    /// If the store fails, or the key that signs was sealed under another secret.
    pub async fn open(
        method: &SigningMethod,
        secret: &ServerSecret,
        store: &(impl SigningKeys + ?Sized),
        rules: KeyRules,
        is_in_use: bool,
        now: Timestamp,
    ) -> Result<Self, KeysError> {
        let names = secret.mac_key(Purpose::SharedSecretName);
        let keys = Self {
            preferred: match method {
                SigningMethod::Shared(algorithm, shared) => {
                    Preferred::Secret(name_of(&names, *algorithm, shared))
                }
                SigningMethod::KeyPair { algorithm, .. } => Preferred::KeyPair(*algorithm),
            },
            sealing: secret.sealing_key(Purpose::SigningKeySeal),
            rules,
            ring: RwLock::default(),
        };
        match method {
            SigningMethod::Shared(algorithm, shared) => {
                keys.keep_secret(store, &names, *algorithm, shared, now).await?;
            }
            SigningMethod::KeyPair { algorithm, before } => {
                if let Some(shared) = before.as_ref().filter(|_| is_in_use) {
                    keys.keep_secret(store, &names, SigningAlgorithm::Hs256, shared, now).await?;
                }
                keys.ensure_pair(store, *algorithm, now).await?;
            }
        }
        keys.load(store).await?;
        keys.ring().check(&keys.preferred, now)?;
        keys.signer(store, now).await?;
        Ok(keys)
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace_ring(&self, change: impl FnOnce(&KeyRing) -> KeyRing) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        *ring = Arc::new(change(&ring));
    }

    async fn load(&self, store: &(impl SigningKeys + ?Sized)) -> Result<Vec<StoredSigningKey>, StoreError> {
        let stored = store.signing_keys().await?;
        self.replace_ring(|before| KeyRing::open(&stored, &self.sealing, before));
        Ok(stored)
    }

    /// The key that signs at `now`, which is trusted for at least as long as a token of now lives.
    ///
    /// # Errors
    /// If the store fails where its trust has to be extended.
    pub async fn signer(
        &self,
        store: &(impl SigningKeys + ?Sized),
        now: Timestamp,
    ) -> Result<Key, StoreError> {
        let signer = self.ring().signer(&self.preferred, now).cloned();
        let signer = signer.ok_or_else(|| StoreError::Failed("all signing keys are gone".into()))?;
        if signer.expires_at < self.rules.least_trust(now) {
            let expires_at = self.rules.trust_until(now);
            store.extend_signing_key(&signer.id, expires_at).await?;
            self.replace_ring(|ring| {
                let mut ring = ring.clone();
                ring.extend(&signer.id, expires_at);
                ring
            });
        }
        Ok(signer)
    }

    /// What tokens are signed by at `now`.
    #[must_use]
    pub fn algorithm(&self, now: Timestamp) -> Option<SigningAlgorithm> {
        self.ring().signer(&self.preferred, now).map(|key| key.algorithm)
    }

    /// The public keys of all tokens that may be alive, and of those that are about to be signed. A shared
    /// secret is never among them.
    #[must_use]
    pub fn published(&self, now: Timestamp) -> Vec<PublicJwk> {
        self.ring().published(&self.preferred, now)
    }

    /// How long verifiers may keep the public keys without asking again.
    #[must_use]
    pub const fn max_age(&self) -> SignedDuration {
        self.rules.jwks_max_age
    }
}

/// A shared secret can be too weak to be named by a plain hash, by which it could be guessed.
fn name_of(names: &MacKey, algorithm: SigningAlgorithm, shared: &SharedSecret) -> KeyId {
    let hash = names.mac(&[algorithm.as_str().as_bytes(), b":", &*shared.0].concat());
    KeyId(format!("{}-{}", algorithm.as_str().to_lowercase(), hex(&hash[..8])))
}
