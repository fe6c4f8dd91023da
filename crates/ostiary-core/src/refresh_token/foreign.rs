//! Refresh tokens that the replaced service issued: the URL-safe base64 of 64 random bytes, of which its
//! database keeps the SHA-256 in hexadecimal. Each is good for one exchange.
//!
//! The session that takes its place is a function of the token, as a successor is of ours: whoever
//! repeats an exchange whose answer was lost is given the same session.

use std::fmt;

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Generation, RefreshToken, RefreshTokenKeys, SessionSecret, field};
use crate::{
    id::SessionId,
    secret::{hex, sha256},
};

const BYTES: usize = 64;

/// A text of the form of the replaced service's refresh tokens. Whether that service issued it, only its
/// database knows.
#[derive(Clone)]
pub struct ForeignToken(Zeroizing<String>);

impl ForeignToken {
    /// The token whose text this is, or `None` for a text of another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let mut bytes = Zeroizing::new([0; BYTES]);
        let length = GeneralPurpose::new(&URL_SAFE, config).decode_slice(text, &mut *bytes).ok()?;
        (length == BYTES).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// What the replaced service's database keeps of the token.
    #[must_use]
    pub fn hash(&self) -> ForeignTokenHash {
        ForeignTokenHash(hex(&sha256(self.0.as_bytes())))
    }
}

impl fmt::Debug for ForeignToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignToken(..)")
    }
}

/// The SHA-256 of a [`ForeignToken`], 64 hexadecimal digits in lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignTokenHash(String);

impl ForeignTokenHash {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ForeignTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignTokenHash(..)")
    }
}

impl RefreshTokenKeys {
    /// The first token of the session that takes the place of `token`. Its id is a UUID of version 8
    /// (RFC 9562 §5.8): 122 bits of a keyed hash of the token.
    #[must_use]
    pub fn in_place_of(&self, token: &ForeignToken) -> RefreshToken {
        let bytes = Zeroizing::new(self.foreign_session.mac(token.0.as_bytes()));
        let id: Uuid = uuid::Builder::from_custom_bytes(field(&*bytes, 0)).into_uuid();
        RefreshToken {
            session_id: SessionId::from_uuid(id),
            generation: Generation::FIRST,
            secret: SessionSecret(field(&*bytes, 16)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ServerSecret;

    /// 64 zero bytes.
    fn text() -> String {
        "A".repeat(86)
    }

    #[test]
    fn a_token_is_64_bytes_with_or_without_padding() {
        for text in [text(), text() + "==", format!("-_{}", &text()[2..])] {
            assert!(ForeignToken::parse(&text).is_some(), "{text}");
        }
        let long = "A".repeat(87);
        for text in ["", "ort_x", &text()[1..], &long, &format!("+/{}", &text()[2..]), "nope"] {
            assert!(ForeignToken::parse(text).is_none(), "{text}");
        }
    }

    /// `printf 'A%.0s' $(seq 86) | sha256sum`
    #[test]
    fn a_token_is_kept_as_the_sha_256_of_its_text() {
        let token = ForeignToken::parse(&text()).unwrap();
        assert_eq!(token.hash().as_str(), "e1659ad54063a379f77fee108a376a6a7d5ae3d0c437bf847203963bd0078dfc");
    }

    #[test]
    fn the_session_in_its_place_is_a_function_of_the_token_and_the_servers_secret() {
        let keys = |secret| RefreshTokenKeys::derive(&ServerSecret::parse(secret).unwrap());
        let (ours, others) =
            (keys("a secret of at least thirty-two bytes"), keys("another secret of at least 32 bytes"));
        let token = ForeignToken::parse(&text()).unwrap();
        let session = ours.in_place_of(&token);
        assert_eq!(session, ours.in_place_of(&token));
        assert_eq!(session.session_id.as_uuid().get_version_num(), 8);
        assert_ne!(session, others.in_place_of(&token));
        assert_ne!(session, ours.in_place_of(&ForeignToken::parse(&format!("B{}", &text()[1..])).unwrap()));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let token = ForeignToken::parse(&text()).unwrap();
        assert_eq!(format!("{token:?} {:?}", token.hash()), "ForeignToken(..) ForeignTokenHash(..)");
    }
}
