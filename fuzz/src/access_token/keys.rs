//! A server's keys, and the same keys in our own hands: a secret that it shares, and a key pair of its own.

use std::sync::Mutex;

use async_trait::async_trait;
use aws_lc_rs::{hmac, signature::Ed25519KeyPair, signature::KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    audit::AuditEvent,
    clock::later,
    keys::{KeyId, KeyRules, Keys, SharedSecret, SigningAlgorithm, SigningMethod},
    secret::{Purpose, ServerSecret},
    store::{SigningKeys, StoreError, StoredSigningKey},
};
use serde_json::{Value, json};

const SHARED: &str = "the secret that the fuzzed server shares";
const KEY_ID: &str = "fuzz";
const SEED: [u8; 32] = [7; 32];

/// What a token can be signed by.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    Hs256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The header of a token that the server signs.
    pub(super) fn header(self) -> Value {
        match self {
            Self::Hs256 => json!({ "typ": "JWT", "alg": "HS256" }),
            Self::EdDsa => json!({ "typ": "JWT", "alg": "EdDSA", "kid": KEY_ID }),
        }
    }
}

/// The server's, and ours.
pub(super) struct FuzzedKeys {
    pub(super) keys: Keys,
    shared: hmac::Key,
    pair: Ed25519KeyPair,
}

impl FuzzedKeys {
    pub(super) fn open(now: Timestamp) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).expect("any 32 bytes are a seed");
        let secret = ServerSecret::parse("the secret of a server that is fuzzed").expect("it is long enough");
        let store = MemoryStore(Mutex::new(vec![stored(&pair, &secret, now)]));
        let shared = SharedSecret::parse(SHARED, SigningAlgorithm::Hs256, false).expect("it is long enough");
        let method = SigningMethod::KeyPair { algorithm: SigningAlgorithm::EdDsa, before: Some(shared) };
        let rules = KeyRules {
            token_lifetime: SignedDuration::from_hours(1),
            jwks_max_age: SignedDuration::from_mins(5),
            rotate_after: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing");
        let keys = runtime.block_on(Keys::open(&method, &secret, &store, rules, true, now));
        Self {
            keys: keys.expect("the keys were made for this server"),
            shared: hmac::Key::new(hmac::HMAC_SHA256, SHARED.as_bytes()),
            pair,
        }
    }

    /// The third part of a token.
    pub(super) fn signature(&self, algorithm: Algorithm, message: &[u8]) -> String {
        match algorithm {
            Algorithm::Hs256 => BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.shared, message)),
            Algorithm::EdDsa => BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(message)),
        }
    }
}

fn stored(pair: &Ed25519KeyPair, secret: &ServerSecret, now: Timestamp) -> StoredSigningKey {
    let private = pair.to_pkcs8v1().expect("a key pair has a PKCS #8 form");
    let sealing = secret.sealing_key(Purpose::SigningKeySeal);
    StoredSigningKey {
        id: KeyId::from_stored(KEY_ID.to_owned()),
        algorithm: SigningAlgorithm::EdDsa,
        generation: 1,
        public_key: pair.public_key().as_ref().to_vec(),
        sealed_private_key: sealing.seal(private.as_ref(), KEY_ID.as_bytes()),
        created_at: now,
        activates_at: now,
        expires_at: later(now, SignedDuration::from_hours(24)),
        retired_at: None,
    }
}

/// Keys that nobody else has.
struct MemoryStore(Mutex<Vec<StoredSigningKey>>);

#[async_trait]
impl SigningKeys for MemoryStore {
    async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        Ok(self.0.lock().expect("no step panics").clone())
    }

    async fn add_signing_key(&self, key: StoredSigningKey, _: AuditEvent) -> Result<bool, StoreError> {
        self.0.lock().expect("no step panics").push(key);
        Ok(true)
    }

    async fn extend_signing_key(&self, _: &KeyId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn retire_signing_key(&self, _: &KeyId, _: AuditEvent) -> Result<bool, StoreError> {
        Ok(false)
    }
}
