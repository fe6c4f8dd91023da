//! What a key is made of: its private part, which signs, and its public part, which verifies.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    hmac, rsa, signature,
    signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyId, SigningAlgorithm, verified::Verified};
use crate::secret::sha256;

/// The least modulus that RFC 7518 §3.3 allows, and what NIST SP 800-57 takes until 2030.
const RSA_SIZE: rsa::KeySize = rsa::KeySize::Rsa2048;

/// The private part of a key, ready to sign.
pub(super) enum PrivateKey {
    Hmac(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key pair that was just made.
pub(super) struct NewKeyPair {
    /// PKCS #8.
    pub(super) private: Zeroizing<Vec<u8>>,
    pub(super) public: Vec<u8>,
}

/// Makes a key pair. For RSA that takes up to a second.
pub(super) fn generate(algorithm: SigningAlgorithm) -> NewKeyPair {
    const ANSWERS: &str = "the operating system's generator answers";
    const FORM: &str = "a key that was just made has a PKCS #8 form";
    match algorithm {
        SigningAlgorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().expect(ANSWERS);
            let private = pair.to_pkcs8v1().expect(FORM).as_ref().to_vec();
            NewKeyPair { private: Zeroizing::new(private), public: pair.public_key().as_ref().to_vec() }
        }
        SigningAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).expect(ANSWERS);
            let private = pair.to_pkcs8v1().expect(FORM).as_ref().to_vec();
            NewKeyPair { private: Zeroizing::new(private), public: pair.public_key().as_ref().to_vec() }
        }
        SigningAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(RSA_SIZE).expect(ANSWERS);
            let private: Pkcs8V1Der<'_> = pair.as_der().expect(FORM);
            let private = private.as_ref().to_vec();
            NewKeyPair { private: Zeroizing::new(private), public: pair.public_key().as_ref().to_vec() }
        }
        SigningAlgorithm::Hs256 | SigningAlgorithm::Hs384 | SigningAlgorithm::Hs512 => {
            unreachable!("a shared secret is the operator's")
        }
    }
}

impl PrivateKey {
    /// The key in `private`: PKCS #8 of a key pair whose public part is `public`, or a shared secret.
    pub(super) fn open(algorithm: SigningAlgorithm, private: &[u8], public: &[u8]) -> Option<Self> {
        let key = match algorithm {
            SigningAlgorithm::EdDsa => Self::Ed25519(Ed25519KeyPair::from_pkcs8(private).ok()?),
            SigningAlgorithm::Es256 => {
                let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                Self::Ecdsa(EcdsaKeyPair::from_pkcs8(kind, private).ok()?)
            }
            SigningAlgorithm::Rs256 => Self::Rsa(RsaKeyPair::from_pkcs8(private).ok()?),
            SigningAlgorithm::Hs256 | SigningAlgorithm::Hs384 | SigningAlgorithm::Hs512 => {
                Self::Hmac(Box::new(hmac_key(algorithm, private)))
            }
        };
        let is_of_pair = match &key {
            Self::Hmac(_) => true,
            Self::Ed25519(pair) => pair.public_key().as_ref() == public,
            Self::Ecdsa(pair) => pair.public_key().as_ref() == public,
            Self::Rsa(pair) => pair.public_key().as_ref() == public,
        };
        is_of_pair.then_some(key)
    }

    /// The signature over `message` in the form of RFC 7518 §3.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        const SIGNS: &str = "a key that was opened signs";
        let random = aws_lc_rs::rand::SystemRandom::new();
        match self {
            Self::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Ecdsa(pair) => pair.sign(&random, message).expect(SIGNS).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut bytes).expect(SIGNS);
                bytes
            }
        }
    }
}

/// What verifies a key's signatures.
pub(super) enum VerifyingKey {
    Hmac(Box<hmac::Key>),
    Public(UnparsedPublicKey<Vec<u8>>, Verified),
}

impl VerifyingKey {
    /// From a public key, or from a shared secret.
    pub(super) fn new(algorithm: SigningAlgorithm, bytes: &[u8]) -> Self {
        let public = |kind| Self::Public(UnparsedPublicKey::new(kind, bytes.to_vec()), Verified::new());
        match algorithm {
            SigningAlgorithm::EdDsa => public(&signature::ED25519),
            SigningAlgorithm::Es256 => public(&signature::ECDSA_P256_SHA256_FIXED),
            SigningAlgorithm::Rs256 => public(&signature::RSA_PKCS1_2048_8192_SHA256),
            SigningAlgorithm::Hs256 | SigningAlgorithm::Hs384 | SigningAlgorithm::Hs512 => {
                Self::Hmac(Box::new(hmac_key(algorithm, bytes)))
            }
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key, verified) => {
                verified.or_verify(message, signature, || key.verify(message, signature).is_ok())
            }
        }
    }
}

fn hmac_key(algorithm: SigningAlgorithm, secret: &[u8]) -> hmac::Key {
    let hash = match algorithm {
        SigningAlgorithm::Hs384 => hmac::HMAC_SHA384,
        SigningAlgorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::Key::new(hash, secret)
}

/// A public key as `/.well-known/jwks.json` has it (RFC 7517, RFC 7518 §6, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    #[serde(flatten)]
    parameters: JwkParameters,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    public_key_use: &'static str,
}

/// The members that make the key. Their order is that of RFC 7638, whose thumbprint is over just them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum JwkParameters {
    OctetKeyPair { crv: &'static str, kty: &'static str, x: String },
    EllipticCurve { crv: &'static str, kty: &'static str, x: String, y: String },
    Rsa { e: String, kty: &'static str, n: String },
}

impl JwkParameters {
    /// `None` if the bytes are no public key of the algorithm.
    fn of(algorithm: SigningAlgorithm, public: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match algorithm {
            SigningAlgorithm::EdDsa if public.len() == 32 => {
                Some(Self::OctetKeyPair { crv: "Ed25519", kty: "OKP", x: text(public) })
            }
            // SEC 1 §2.3.3: 4, then both coordinates.
            SigningAlgorithm::Es256 if public.len() == 65 && public[0] == 4 => {
                let (x, y) = public[1..].split_at(32);
                Some(Self::EllipticCurve { crv: "P-256", kty: "EC", x: text(x), y: text(y) })
            }
            SigningAlgorithm::Rs256 => {
                let key = rsa::PublicKey::from_der(public).ok()?;
                let parts = signature::RsaPublicKeyComponents::<Vec<u8>>::from(&key);
                Some(Self::Rsa { e: text(&parts.e), kty: "RSA", n: text(&parts.n) })
            }
            _ => None,
        }
    }
}

impl PublicJwk {
    /// The key whose public part is `public`; `None` if that is no key of the algorithm.
    pub(super) fn new(algorithm: SigningAlgorithm, public: &[u8]) -> Option<Self> {
        let parameters = JwkParameters::of(algorithm, public)?;
        let canonical = serde_json::to_vec(&parameters).expect("the members are plain text");
        let thumbprint = sha256(&canonical);
        Some(Self {
            parameters,
            kid: BASE64_URL_SAFE_NO_PAD.encode(thumbprint),
            alg: algorithm.as_str(),
            public_key_use: "sig",
        })
    }

    /// Its name: the thumbprint of RFC 7638, so that the same key has the same name everywhere.
    pub(super) fn id(&self) -> KeyId {
        KeyId::from_stored(self.kid.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_PAIRS: [SigningAlgorithm; 3] =
        [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256];

    #[test]
    fn what_a_key_signs_its_public_part_verifies_and_no_other() {
        for algorithm in KEY_PAIRS {
            let (made, other) = (generate(algorithm), generate(algorithm));
            let key = PrivateKey::open(algorithm, &made.private, &made.public).unwrap();
            let signature = key.sign(b"message");
            assert!(VerifyingKey::new(algorithm, &made.public).verifies(b"message", &signature));
            assert!(!VerifyingKey::new(algorithm, &made.public).verifies(b"massage", &signature));
            assert!(!VerifyingKey::new(algorithm, &other.public).verifies(b"message", &signature));
            assert!(PrivateKey::open(algorithm, &made.private, &other.public).is_none(), "not of one pair");
            assert!(PrivateKey::open(algorithm, &made.private[1..], &made.public).is_none());
        }
    }

    /// The example of RFC 8037 appendix A.3.
    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let public = BASE64_URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let jwk = PublicJwk::new(SigningAlgorithm::EdDsa, &public).unwrap();
        assert_eq!(jwk.id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_public_key_has_just_the_members_of_its_kind() {
        for (algorithm, members) in [
            ("EdDSA", "crv kty x kid alg use"),
            ("ES256", "crv kty x y kid alg use"),
            ("RS256", "e kty n kid alg use"),
        ] {
            let algorithm = SigningAlgorithm::from_name(algorithm).unwrap();
            let jwk = PublicJwk::new(algorithm, &generate(algorithm).public).unwrap();
            let serde_json::Value::Object(jwk) = serde_json::to_value(jwk).unwrap() else {
                panic!("an object")
            };
            assert_eq!(jwk.keys().cloned().collect::<Vec<_>>().join(" "), members);
        }
    }

    #[test]
    fn what_is_no_public_key_is_not_published() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(PublicJwk::new(algorithm, b"no key"), None);
        }
    }
}
