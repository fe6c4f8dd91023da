//! The keys of one moment, ready to sign and to verify.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use super::{
    KeyId, KeysError, SigningAlgorithm,
    material::{PrivateKey, PublicJwk, VerifyingKey},
};
use crate::{secret::SealingKey, store::StoredSigningKey};

/// The keys whose tokens may be alive, and those that are about to sign.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyRing(Vec<Key>);

/// A key that is trusted until it expires.
#[derive(Clone)]
pub struct Key {
    pub(crate) id: KeyId,
    pub(crate) algorithm: SigningAlgorithm,
    pub(super) activates_at: Timestamp,
    pub(super) expires_at: Timestamp,
    generation: u32,
    material: Arc<Material>,
}

struct Material {
    private: Result<PrivateKey, KeysError>,
    /// `None` for a shared secret that did not open.
    verifying: Option<VerifyingKey>,
    /// `None` for a shared secret, which is never published.
    public: Option<PublicJwk>,
}

/// Which key is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Preferred {
    /// This shared secret.
    Secret(KeyId),
    /// The newest key pair of this algorithm.
    KeyPair(SigningAlgorithm),
}

impl Preferred {
    pub(super) fn is(&self, id: &KeyId, algorithm: SigningAlgorithm) -> bool {
        match self {
            Self::Secret(wanted) => id == wanted,
            Self::KeyPair(wanted) => algorithm == *wanted,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn open(stored: &StoredSigningKey, sealing: &SealingKey) -> Self {
        let StoredSigningKey { id, algorithm, public_key, .. } = stored;
        let plain = sealing.open(&stored.sealed_private_key, id.as_str().as_bytes());
        let verifying = match &plain {
            _ if !algorithm.is_shared() => Some(VerifyingKey::new(*algorithm, public_key)),
            Ok(secret) => Some(VerifyingKey::new(*algorithm, secret)),
            Err(_) => None,
        };
        let private = match &plain {
            Ok(plain) => PrivateKey::open(*algorithm, plain, public_key)
                .ok_or_else(|| KeysError::Damaged(id.as_str().to_owned())),
            Err(_) => Err(KeysError::Sealed(id.as_str().to_owned())),
        };
        let public = PublicJwk::new(*algorithm, public_key);
        let material = Arc::new(Material { private, verifying, public });
        Self::of(stored, material)
    }

    fn of(stored: &StoredSigningKey, material: Arc<Material>) -> Self {
        Self {
            id: stored.id.clone(),
            algorithm: stored.algorithm,
            activates_at: stored.activates_at,
            expires_at: stored.expires_at,
            generation: stored.generation,
            material,
        }
    }

    /// The value of a token's header `kid`; a shared secret has none, as the contract has it.
    pub(crate) fn header_id(&self) -> Option<&str> {
        (!self.algorithm.is_shared()).then(|| self.id.as_str())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let private = self.material.private.as_ref();
        private.expect("only a key that opened is chosen to sign").sign(message)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.material.verifying.as_ref().is_some_and(|key| key.verifies(message, signature))
    }
}

impl KeyRing {
    /// Opens what was not open before.
    pub(super) fn open(stored: &[StoredSigningKey], sealing: &SealingKey, before: &Self) -> Self {
        let trusted = stored.iter().filter(|key| key.retired_at.is_none());
        let open = |stored: &StoredSigningKey| match before.0.iter().find(|key| key.id == stored.id) {
            Some(known) => Key::of(stored, known.material.clone()),
            None => Key::open(stored, sealing),
        };
        Self(trusted.map(open).collect())
    }

    /// The key that signs at `now`: the preferred one, or another that is trusted until that one begins to. If no
    /// key has begun, it is the first that will: a node whose clock is ahead has just made it, or the one before
    /// it was withdrawn, and somebody has to sign.
    pub(super) fn signer(&self, preferred: &Preferred, now: Timestamp) -> Option<&Key> {
        self.chosen(preferred, now).filter(|key| key.material.private.is_ok())
    }

    /// # Errors
    /// If the key that is to sign at `now` did not open.
    pub(super) fn check(&self, preferred: &Preferred, now: Timestamp) -> Result<(), KeysError> {
        match self.chosen(preferred, now).map(|key| &key.material.private) {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// One that is trusted goes before one that is not any more: verifiers may have forgotten that.
    fn chosen(&self, preferred: &Preferred, now: Timestamp) -> Option<&Key> {
        let rank = |key: &&Key| {
            let is_preferred = preferred.is(&key.id, key.algorithm);
            (key.expires_at > now, is_preferred, key.activates_at, key.generation)
        };
        let may_sign = |key: &&Key| {
            key.activates_at <= now && (key.expires_at > now || preferred.is(&key.id, key.algorithm))
        };
        let waits = |key: &&Key| key.activates_at > now;
        let nearest = |key: &&Key| (key.activates_at, !preferred.is(&key.id, key.algorithm), key.generation);
        let active = self.0.iter().filter(may_sign).max_by_key(rank);
        active.or_else(|| self.0.iter().filter(waits).min_by_key(nearest))
    }

    /// The keys that a token with this header may be signed by.
    pub(crate) fn candidates<'a>(
        &'a self,
        algorithm: &'a str,
        id: Option<&'a str>,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            key.algorithm.as_str() == algorithm && key.header_id() == id && key.expires_at > now
        })
    }

    /// The public keys of all tokens that are alive, or are about to be signed.
    pub(super) fn published(&self, preferred: &Preferred, now: Timestamp) -> Vec<PublicJwk> {
        let signer = self.signer(preferred, now).map(|key| &key.id);
        // The one that signs is trusted again as soon as it does.
        let trusted = self.0.iter().filter(|key| key.expires_at > now || Some(&key.id) == signer);
        trusted.filter_map(|key| key.material.public.clone()).collect()
    }

    /// Trusts a key for longer.
    pub(super) fn extend(&mut self, id: &KeyId, expires_at: Timestamp) {
        if let Some(key) = self.0.iter_mut().find(|key| key.id == *id) {
            key.expires_at = key.expires_at.max(expires_at);
        }
    }
}
