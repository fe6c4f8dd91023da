//! Randomness, and the keys that are derived from the server's secret.
//!
//! This is the only module that draws random bytes (`clippy.toml` forbids the others), and the only
//! one that knows the server's secret. Every use of it has a key of its own, derived with
//! HKDF-SHA-256 (RFC 5869) under a label, so that no two uses can be played against each other.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, hkdf, hmac,
};
use zeroize::Zeroizing;

/// `N` random bytes from the operating system's generator.
///
/// # Panics
/// Where the generator fails, nothing can be made safely, and the process must not go on.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system's generator answers");
    bytes
}

/// What a key is for. The text is the label of its derivation and must never change: a token, hash or
/// sealed key that was made under it is readable only under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Authenticates refresh tokens.
    RefreshTokenMac,
    /// Hashes the secrets of sessions before they are stored.
    SessionSecretHash,
    /// Makes the session that takes the place of a refresh token of the replaced service.
    ForeignTokenSession,
    /// Seals private signing keys before they are stored.
    SigningKeySeal,
    /// Names the secrets that are shared with verifiers.
    SharedSecretName,
    /// Hashes the secrets of services before they are stored.
    ServiceSecretHash,
    /// Authenticates the tokens of known devices.
    DeviceTokenMac,
    /// Names what failed logins are counted against.
    BudgetKey,
    /// Tells one server's secret from another.
    Fingerprint,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::RefreshTokenMac => b"ostiary refresh token mac v1",
            Self::SessionSecretHash => b"ostiary session secret hash v1",
            Self::ForeignTokenSession => b"ostiary foreign token session v1",
            Self::SigningKeySeal => b"ostiary signing key seal v1",
            Self::SharedSecretName => b"ostiary shared secret name v1",
            Self::ServiceSecretHash => b"ostiary service secret hash v1",
            Self::DeviceTokenMac => b"ostiary device token mac v1",
            Self::BudgetKey => b"ostiary budget key v1",
            Self::Fingerprint => b"ostiary secret fingerprint v1",
        }
    }
}

/// The server's secret, from which all of its keys are derived.
pub struct ServerSecret(Zeroizing<Vec<u8>>);

/// A server's secret is shorter than [`ServerSecret::MIN_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {0} bytes and needs at least {min}: make one with `openssl rand -hex 32`", min = ServerSecret::MIN_BYTES)]
pub struct SecretTooShort(pub usize);

impl ServerSecret {
    /// The least length in bytes: 256 bits, the strength of the keys that are derived from it.
    pub const MIN_BYTES: usize = 32;

    /// The secret in an operator's words, white space around it left out.
    ///
    /// # Errors
    /// If it has fewer than [`Self::MIN_BYTES`] bytes.
    pub fn parse(text: &str) -> Result<Self, SecretTooShort> {
        let bytes = text.trim().as_bytes();
        if bytes.len() < Self::MIN_BYTES {
            return Err(SecretTooShort(bytes.len()));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The secret of a server that has only `JWT_SECRET_KEY`. Its length is the operator's decision, made
    /// where that setting is read.
    #[must_use]
    pub fn from_jwt_secret(jwt_secret: &[u8]) -> Self {
        Self(Zeroizing::new(jwt_secret.to_vec()))
    }

    /// The text of a new secret: 256 random bits in hexadecimal.
    #[must_use]
    pub fn generate() -> Zeroizing<String> {
        let bits: [u8; 32] = random();
        Zeroizing::new(hex(&bits))
    }

    fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"ostiary");
        let mut key = Zeroizing::new([0; 32]);
        salt.extract(&self.0)
            .expand(&[purpose.label()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *key))
            .expect("32 bytes are within HKDF's limit");
        key
    }

    /// What a store remembers the secret by; it does not lead back to it.
    #[must_use]
    pub fn fingerprint(&self) -> SecretFingerprint {
        SecretFingerprint(self.mac_key(Purpose::Fingerprint).mac(b""))
    }

    /// The key that makes and checks message authentication codes for `purpose`.
    #[must_use]
    pub fn mac_key(&self, purpose: Purpose) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, &*self.derive(purpose)))
    }

    /// The key that seals and opens stored secrets for `purpose`.
    #[must_use]
    pub fn sealing_key(&self, purpose: Purpose) -> SealingKey {
        SealingKey(
            RandomizedNonceKey::new(&AES_256_GCM, &*self.derive(purpose))
                .expect("AES-256 takes a key of 32 bytes"),
        )
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(..)")
    }
}

/// Tells one server's secret from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretFingerprint([u8; 32]);

impl SecretFingerprint {
    /// The fingerprint that a store kept as `bytes`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The fingerprint as a store keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A key for HMAC-SHA-256 (RFC 2104).
#[derive(Debug)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The 32 bytes of the authentication code over `message`.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, message);
        tag.as_ref().try_into().expect("HMAC-SHA-256 makes 32 bytes")
    }
}

/// A key for AES-256-GCM.
pub struct SealingKey(RandomizedNonceKey);

/// Sealed bytes did not open: the server's secret is another one, or the bytes were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open under this server's secret")]
pub struct Unopened;

impl SealingKey {
    /// Seals `plain` so that it opens only under this key and beside the same `context`:
    /// 12 bytes of nonce, then the ciphertext and its tag.
    #[must_use]
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Vec<u8> {
        let mut bytes = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(context), &mut bytes)
            .expect("what is sealed is far shorter than GCM's limit");
        [nonce.as_ref().as_slice(), &bytes].concat()
    }

    /// The plain bytes of what [`Self::seal`] made with the same `context`.
    ///
    /// # Errors
    /// If the key, the context or the bytes differ.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(Unopened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened)?;
        let mut bytes = Zeroizing::new(ciphertext.to_vec());
        let length = self.0.open_in_place(nonce, Aad::from(context), &mut bytes).map_err(|_| Unopened)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// SHA-256 of `bytes`, for what is not secret.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().try_into().expect("SHA-256 makes 32 bytes")
}

/// `bytes` in hexadecimal, lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> ServerSecret {
        ServerSecret::parse("a secret of at least thirty-two bytes").unwrap()
    }

    #[test]
    fn a_short_secret_is_refused_with_its_length() {
        assert_eq!(ServerSecret::parse("  too short  ").unwrap_err(), SecretTooShort(9));
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let refresh = secret().mac_key(Purpose::RefreshTokenMac).mac(b"x");
        let session = secret().mac_key(Purpose::SessionSecretHash).mac(b"x");
        assert_ne!(refresh, session);
    }

    #[test]
    fn a_fingerprint_is_of_one_secret() {
        let other = ServerSecret::parse("another secret of thirty-two bytes or more").unwrap();
        assert_eq!(secret().fingerprint(), secret().fingerprint());
        assert_ne!(secret().fingerprint(), other.fingerprint());
    }

    #[test]
    fn a_generated_secret_is_a_valid_one() {
        let text = ServerSecret::generate();
        assert_eq!(text.len(), 64);
        assert!(ServerSecret::parse(&text).is_ok());
    }

    #[test]
    fn sealed_bytes_open_only_unchanged_in_their_context_and_under_their_key() {
        let key = secret().sealing_key(Purpose::SigningKeySeal);
        let sealed = key.seal(b"private", b"key 1");
        assert_eq!(&**key.open(&sealed, b"key 1").unwrap(), b"private");
        assert_eq!(key.open(&sealed, b"key 2").unwrap_err(), Unopened);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, b"key 1").unwrap_err(), Unopened, "byte {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(&sealed[..length], b"key 1").unwrap_err(), Unopened, "length {length}");
        }
        let other = ServerSecret::parse("another secret of thirty-two bytes or more").unwrap();
        assert!(other.sealing_key(Purpose::SigningKeySeal).open(&sealed, b"key 1").is_err());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", secret()), "ServerSecret(..)");
    }
}
