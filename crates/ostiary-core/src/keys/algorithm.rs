//! The algorithms that access tokens are signed by, under their names in RFC 7518 and RFC 8037.

use std::fmt;

/// How access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// HMAC-SHA-256 under a secret that the verifiers share.
    Hs256,
    /// HMAC-SHA-384 under such a secret.
    Hs384,
    /// HMAC-SHA-512 under such a secret.
    Hs512,
    /// Ed25519 (RFC 8032).
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl SigningAlgorithm {
    /// All of them, those of a shared secret first.
    pub const ALL: [Self; 6] = [Self::Hs256, Self::Hs384, Self::Hs512, Self::EdDsa, Self::Es256, Self::Rs256];

    /// The value of `alg` in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The least length of a shared secret in bytes, that of the hash (RFC 7518 §3.2); `None` for a key pair.
    #[must_use]
    pub const fn shared_secret_bytes(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            Self::EdDsa | Self::Es256 | Self::Rs256 => None,
        }
    }

    /// Whether signer and verifier have the same secret.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.shared_secret_bytes().is_some()
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
