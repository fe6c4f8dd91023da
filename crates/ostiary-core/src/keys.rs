//! The keys that sign access tokens: a shared secret for HS256, or an Ed25519 key of the store's.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    secret::{Purpose, SealingKey, ServerSecret},
    store::{KeyState, SigningKeys, StoreError, StoredSigningKey},
};

/// The name of a signing key: its JWK thumbprint (RFC 7638), so that the same key has the same name
/// everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The id that a store kept as `text`.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The id as it stands in a token's header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_ed25519(public_key: &[u8]) -> Self {
        let x = BASE64_URL_SAFE_NO_PAD.encode(public_key);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        Self(BASE64_URL_SAFE_NO_PAD.encode(digest))
    }
}

/// The secret that this server shares with all who verify its HS256 tokens: `JWT_SECRET_KEY`.
pub struct SharedSecret(Zeroizing<Vec<u8>>);

/// A shared secret is shorter than the hash that it keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {0} bytes, and HS256 needs at least {min} (RFC 7518 §3.2)", min = SharedSecret::MIN_BYTES)]
pub struct SharedSecretTooShort(pub usize);

impl SharedSecret {
    /// RFC 7518 §3.2: a key of at least the size of the hash.
    pub const MIN_BYTES: usize = 32;

    /// The secret that is `text`, byte for byte, as the services that verify by it have it.
    ///
    /// # Errors
    /// If it is shorter than [`Self::MIN_BYTES`], unless `allow_short`; or empty, in any case.
    pub fn parse(text: &str, allow_short: bool) -> Result<Self, SharedSecretTooShort> {
        if text.is_empty() || (text.len() < Self::MIN_BYTES && !allow_short) {
            return Err(SharedSecretTooShort(text.len()));
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
#[derive(Debug)]
pub enum SigningMethod {
    /// HMAC-SHA-256 under a secret that the verifiers have too.
    Hs256(SharedSecret),
    /// Ed25519 (RFC 8037) by a key that the store keeps; made if there is none.
    EdDsa,
}

/// A key set cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
}

/// The keys of a running server.
#[derive(Debug)]
pub struct Keys {
    signer: Signer,
    published: Vec<PublicJwk>,
}

/// Signs access tokens.
pub(crate) struct Signer {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<KeyId>,
    pub(crate) key: EncodingKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A public key as `/.well-known/jwks.json` has it (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    public_key_use: &'static str,
}

impl Keys {
    /// Opens the keys for `method`, and makes the first Ed25519 key if one is needed.
    ///
    /// # Errors
    /// If the store fails, or its key was sealed under another secret.
    pub async fn open(
        method: &SigningMethod,
        secret: &ServerSecret,
        store: &(impl SigningKeys + ?Sized),
        now: Timestamp,
    ) -> Result<Self, KeysError> {
        let mut stored = store.signing_keys().await?;
        let signer = match method {
            SigningMethod::Hs256(SharedSecret(secret)) => {
                Signer { algorithm: Algorithm::HS256, key_id: None, key: EncodingKey::from_secret(secret) }
            }
            SigningMethod::EdDsa => {
                let sealing = secret.sealing_key(Purpose::SigningKeySeal);
                if !stored.iter().any(|key| key.state == KeyState::Active) {
                    stored.push(store.ensure_signing_key(generate_ed25519(&sealing, now)).await?);
                }
                let active = stored.iter().find(|key| key.state == KeyState::Active).cloned();
                let active = active.expect("the store answers with an active key");
                open_ed25519(active, &sealing)?
            }
        };
        Ok(Self { signer, published: stored.iter().map(PublicJwk::of_ed25519).collect() })
    }

    pub(crate) const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The name of the algorithm that signs new tokens: `HS256` or `EdDSA`.
    #[must_use]
    pub fn algorithm(&self) -> String {
        format!("{:?}", self.signer.algorithm)
    }

    /// The public keys of all tokens that may be alive. A shared secret is never among them.
    #[must_use]
    pub fn published(&self) -> &[PublicJwk] {
        &self.published
    }
}

impl PublicJwk {
    fn of_ed25519(key: &StoredSigningKey) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            x: BASE64_URL_SAFE_NO_PAD.encode(&key.public_key),
            kid: key.id.0.clone(),
            alg: "EdDSA",
            public_key_use: "sig",
        }
    }
}

fn generate_ed25519(sealing: &SealingKey, now: Timestamp) -> StoredSigningKey {
    let pair = Ed25519KeyPair::generate().expect("the operating system's generator answers");
    let pkcs8 = pair.to_pkcs8v1().expect("a key that was just made has a PKCS #8 form");
    let public_key = pair.public_key().as_ref().to_vec();
    let id = KeyId::of_ed25519(&public_key);
    StoredSigningKey {
        sealed_private_key: sealing.seal(pkcs8.as_ref(), id.0.as_bytes()),
        id,
        algorithm: "EdDSA".to_owned(),
        public_key,
        state: KeyState::Active,
        created_at: now,
    }
}

fn open_ed25519(stored: StoredSigningKey, sealing: &SealingKey) -> Result<Signer, KeysError> {
    let pkcs8 = sealing
        .open(&stored.sealed_private_key, stored.id.0.as_bytes())
        .map_err(|_| KeysError::Sealed(stored.id.0.clone()))?;
    let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeysError::Damaged(stored.id.0.clone()))?;
    if pair.public_key().as_ref() != stored.public_key {
        return Err(KeysError::Damaged(stored.id.0));
    }
    Ok(Signer { algorithm: Algorithm::EdDSA, key_id: Some(stored.id), key: EncodingKey::from_ed_der(&pkcs8) })
}
