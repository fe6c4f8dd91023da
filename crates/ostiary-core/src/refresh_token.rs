//! Refresh tokens: a session and a generation, authenticated by the server.
//!
//! A token is `ort_` and the URL-safe base64 (RFC 4648 §5, no padding) of 53 bytes:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version of the key, 1 |
//! | 16 | session id |
//! | 4 | generation, big-endian |
//! | 16 | the session's secret, the same for its life |
//! | 16 | HMAC-SHA-256 over all of the above, cut to 128 bits |
//!
//! So a forged token is refused before the database is asked, the database holds no token, and the
//! successor of a token is a function of it: a repeated request can be given the same one.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    id::SessionId,
    secret::{self, MacKey, Purpose, ServerSecret},
};

mod foreign;

pub use foreign::{ForeignToken, ForeignTokenHash};

const PREFIX: &str = "ort_";
const KEY_VERSION: u8 = 1;
const SIGNED_BYTES: usize = 1 + 16 + 4 + 16;
const MAC_BYTES: usize = 16;

/// The random part of a session's tokens: 128 bits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SessionSecret([u8; 16]);

impl SessionSecret {
    /// A new secret.
    #[must_use]
    pub fn generate() -> Self {
        Self(secret::random())
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// What the database keeps of a session's secret: HMAC-SHA-256 under a key that it does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSecretHash([u8; 32]);

impl SessionSecretHash {
    /// The hash as a store keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecretHash(..)")
    }
}

/// How often a session has been refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u32);

impl Generation {
    /// That of a session's first token.
    pub const FIRST: Self = Self(0);

    /// The generation that a store kept as `number`.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The generation as a store keeps it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The one after it. A session refreshed once a millisecond reaches the last after 49 days.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A refresh token, parsed and authentic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session that it refreshes.
    pub session_id: SessionId,
    /// The generation that it spends.
    pub generation: Generation,
    /// The session's secret.
    pub secret: SessionSecret,
}

impl RefreshToken {
    /// The token that takes this one's place once it is spent.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { generation: self.generation.next(), ..self.clone() }
    }
}

/// A text is no refresh token of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no refresh token of this server")]
pub struct NotOurs;

/// The keys that make and check refresh tokens.
#[derive(Debug)]
pub struct RefreshTokenKeys {
    mac: MacKey,
    secret_hash: MacKey,
    foreign_session: MacKey,
}

impl RefreshTokenKeys {
    /// The keys of the server whose secret this is.
    #[must_use]
    pub fn derive(secret: &ServerSecret) -> Self {
        Self {
            mac: secret.mac_key(Purpose::RefreshTokenMac),
            secret_hash: secret.mac_key(Purpose::SessionSecretHash),
            foreign_session: secret.mac_key(Purpose::ForeignTokenSession),
        }
    }

    /// What the database keeps of `secret`.
    #[must_use]
    pub fn hash(&self, secret: &SessionSecret) -> SessionSecretHash {
        SessionSecretHash(self.secret_hash.mac(&secret.0))
    }

    /// The text of `token`: 75 characters.
    #[must_use]
    pub fn write(&self, token: &RefreshToken) -> String {
        let mut bytes = Vec::with_capacity(SIGNED_BYTES + MAC_BYTES);
        bytes.push(KEY_VERSION);
        bytes.extend(token.session_id.as_uuid().as_bytes());
        bytes.extend(token.generation.number().to_be_bytes());
        bytes.extend(token.secret.0);
        let mac = self.mac.mac(&bytes);
        bytes.extend(&mac[..MAC_BYTES]);
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes));
        bytes.zeroize();
        text
    }

    /// The token whose text this is.
    ///
    /// # Errors
    /// If this server did not write it; nothing in it is to be believed then.
    pub fn read(&self, text: &str) -> Result<RefreshToken, NotOurs> {
        let mut bytes = [0; SIGNED_BYTES + MAC_BYTES];
        let encoded = text.strip_prefix(PREFIX).ok_or(NotOurs)?;
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).map_err(|_| NotOurs)?;
        let (signed, mac) = bytes.split_at(SIGNED_BYTES);
        let authentic: bool = self.mac.mac(signed)[..MAC_BYTES].ct_eq(mac).into();
        if length != bytes.len() || !authentic || signed[0] != KEY_VERSION {
            return Err(NotOurs);
        }
        Ok(RefreshToken {
            session_id: SessionId::from_uuid(Uuid::from_bytes(field(signed, 1))),
            generation: Generation(u32::from_be_bytes(field(signed, 17))),
            secret: SessionSecret(field(signed, 21)),
        })
    }
}

fn field<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes[start..start + N].try_into().expect("the fields fill the signed bytes")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn keys(secret: &str) -> RefreshTokenKeys {
        RefreshTokenKeys::derive(&ServerSecret::parse(secret).unwrap())
    }

    fn ours() -> RefreshTokenKeys {
        keys("a secret of at least thirty-two bytes")
    }

    fn token() -> RefreshToken {
        RefreshToken {
            session_id: SessionId::new(Timestamp::UNIX_EPOCH),
            generation: Generation(7),
            secret: SessionSecret::generate(),
        }
    }

    #[test]
    fn a_token_reads_as_it_was_written() {
        let token = token();
        let text = ours().write(&token);
        assert_eq!(text.len(), 75);
        assert_eq!(ours().read(&text), Ok(token));
    }

    #[test]
    fn a_successor_is_a_function_of_its_token() {
        let token = token();
        assert_eq!(ours().write(&token.successor()), ours().write(&token.clone().successor()));
        assert_eq!(token.successor().generation, Generation(8));
    }

    #[test]
    fn a_token_of_another_server_is_not_ours() {
        let text = keys("another secret of at least thirty-two bytes").write(&token());
        assert_eq!(ours().read(&text), Err(NotOurs));
    }

    #[test]
    fn a_token_with_any_character_changed_added_or_left_out_is_not_ours() {
        let text = ours().write(&token());
        for at in 0..text.len() {
            for other in ['A', 'b', '_', '=', ' ', '+', '\0', 'é'] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, &other.to_string());
                assert!(changed == text || ours().read(&changed) == Err(NotOurs), "{other} at {at}");
            }
            assert_eq!(ours().read(&text[..at]), Err(NotOurs));
            assert_eq!(ours().read(&format!("{text}{}", &text[..at]).repeat(2)), Err(NotOurs));
        }
        assert_eq!(ours().read(&format!("{text}=")), Err(NotOurs));
        assert_eq!(ours().read(&format!("{text}A")), Err(NotOurs));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let token = RefreshToken { session_id: SessionId::from_uuid(Uuid::nil()), ..token() };
        let expected = "RefreshToken { session_id: 00000000-0000-0000-0000-000000000000, \
                        generation: Generation(7), secret: SessionSecret(..) }";
        assert_eq!(format!("{token:?}"), expected);
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_token(text in "(ort_)?[A-Za-z0-9_-]{0,80}|\\PC{0,80}") {
            prop_assert_eq!(ours().read(&text), Err(NotOurs));
        }
    }
}
