//! Known devices: those that a user has logged in on before. Each has a budget of failures of its own, so whoever
//! guesses from elsewhere cannot lock the user out.
//!
//! A device token is `odt_` and the URL-safe base64 (RFC 4648 §5, no padding) of 57 bytes:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version of the key, 1 |
//! | 16 | device id, random |
//! | 16 | user id |
//! | 8 | when it was issued, in milliseconds since 1970, big-endian |
//! | 16 | HMAC-SHA-256 over all of the above, cut to 128 bits |
//!
//! It opens nothing by itself, and the store keeps nothing of it.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    clock::later,
    id::UserId,
    secret::{self, MacKey, Purpose, ServerSecret},
};

const PREFIX: &str = "odt_";
const KEY_VERSION: u8 = 1;
const SIGNED_BYTES: usize = 1 + 16 + 16 + 8;
const MAC_BYTES: usize = 16;

/// A device on which a user has logged in.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownDevice {
    /// Tells it from the user's others.
    pub(crate) id: [u8; 16],
    /// Who has logged in on it.
    pub user_id: UserId,
    /// When that was last.
    pub issued_at: Timestamp,
}

impl fmt::Debug for KnownDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownDevice").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// The text of a device token.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken(String);

impl DeviceToken {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken(..)")
    }
}

/// The key that makes and checks device tokens.
#[derive(Debug)]
pub struct DeviceTokenKeys(MacKey);

impl DeviceTokenKeys {
    /// The key of the server whose secret this is.
    #[must_use]
    pub fn derive(secret: &ServerSecret) -> Self {
        Self(secret.mac_key(Purpose::DeviceTokenMac))
    }

    /// A token for the device on which `user_id` logs in at `now`: the one that they logged in on as `before`, or else
    /// a new one.
    #[must_use]
    pub fn issue(&self, user_id: UserId, before: Option<&KnownDevice>, now: Timestamp) -> DeviceToken {
        let id =
            before.filter(|device| device.user_id == user_id).map_or_else(secret::random, |device| device.id);
        let mut bytes = Vec::with_capacity(SIGNED_BYTES + MAC_BYTES);
        bytes.push(KEY_VERSION);
        bytes.extend(id);
        bytes.extend(user_id.as_uuid().as_bytes());
        bytes.extend(now.as_millisecond().to_be_bytes());
        let mac = self.0.mac(&bytes);
        bytes.extend(&mac[..MAC_BYTES]);
        DeviceToken(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes)))
    }

    /// The device whose token this is, if this server issued it no longer than `lifetime` ago.
    #[must_use]
    pub fn read(&self, text: &str, lifetime: SignedDuration, now: Timestamp) -> Option<KnownDevice> {
        let mut bytes = [0; SIGNED_BYTES + MAC_BYTES];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        let (signed, mac) = bytes.split_at(SIGNED_BYTES);
        let authentic: bool = self.0.mac(signed)[..MAC_BYTES].ct_eq(mac).into();
        if length != bytes.len() || !authentic || signed[0] != KEY_VERSION {
            return None;
        }
        let issued_at = Timestamp::from_millisecond(i64::from_be_bytes(field(signed, 33))).ok()?;
        (later(issued_at, lifetime) > now).then(|| KnownDevice {
            id: field(signed, 1),
            user_id: UserId::from_uuid(Uuid::from_bytes(field(signed, 17))),
            issued_at,
        })
    }
}

fn field<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes[start..start + N].try_into().expect("the fields fill the signed bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

    fn keys(secret: &str) -> DeviceTokenKeys {
        DeviceTokenKeys::derive(&ServerSecret::parse(secret).unwrap())
    }

    fn ours() -> DeviceTokenKeys {
        keys("a secret of at least thirty-two bytes")
    }

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_device_is_known_by_its_token_for_its_time() {
        let user_id = UserId::new(now());
        let token = ours().issue(user_id, None, now());
        assert_eq!(token.expose().len(), 4 + 76);
        let device = ours().read(token.expose(), LIFETIME, now()).unwrap();
        assert_eq!((device.user_id, device.issued_at), (user_id, now()));
        assert!(ours().read(token.expose(), LIFETIME, later(now(), LIFETIME)).is_none());
    }

    #[test]
    fn a_device_stays_the_same_for_its_user_and_becomes_another_for_another() {
        let user_id = UserId::new(now());
        let read = |token: &DeviceToken| ours().read(token.expose(), LIFETIME, now()).unwrap();
        let device = read(&ours().issue(user_id, None, now()));
        assert_eq!(read(&ours().issue(user_id, Some(&device), now())).id, device.id);
        assert_ne!(read(&ours().issue(UserId::new(now()), Some(&device), now())).id, device.id);
        assert_ne!(read(&ours().issue(user_id, None, now())).id, device.id);
    }

    #[test]
    fn a_changed_or_foreign_token_names_no_device() {
        let token = ours().issue(UserId::new(now()), None, now());
        let text = token.expose();
        assert!(keys("another secret of thirty-two bytes or more").read(text, LIFETIME, now()).is_none());
        for at in PREFIX.len()..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(ours().read(&changed, LIFETIME, now()).is_none(), "{at}");
        }
        for length in 0..text.len() {
            assert!(ours().read(&text[..length], LIFETIME, now()).is_none(), "{length}");
        }
        for other in ["", "odt_", "request", &format!("{text}A"), &text.replacen("odt_", "ort_", 1)] {
            assert!(ours().read(other, LIFETIME, now()).is_none(), "{other}");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        let token = ours().issue(UserId::new(now()), None, now());
        assert_eq!(format!("{token:?}"), "DeviceToken(..)");
    }
}
