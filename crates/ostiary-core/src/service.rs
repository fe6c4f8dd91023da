//! Credentials of services: those that ask whether a token is good, or which sessions were revoked.
//!
//! A credential is `osc_` and the URL-safe base64 (RFC 4648 §5, no padding) of 48 bytes: its id (16) and a secret
//! (32 random bytes), of which the store keeps a keyed hash. A service may have several at a time, so that one can
//! take the place of another without a break.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    Ostiary,
    id::ServiceCredentialId,
    secret::{self, MacKey, Purpose, ServerSecret},
    store::{StoreError, StoredServiceCredential},
};

const PREFIX: &str = "osc_";
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// What a service is called: 1 to 64 letters, digits, dots, hyphens and underscores of ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

/// A text is no name for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a service is named by 1 to 64 letters, digits, dots, hyphens and underscores")]
pub struct NotAServiceName;

impl ServiceName {
    /// The name that `text` is.
    ///
    /// # Errors
    /// If it is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, NotAServiceName> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(is_plain);
        is_name.then(|| Self(text.to_owned())).ok_or(NotAServiceName)
    }

    /// The name that a store kept as `text`.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the database keeps of a credential's secret: HMAC-SHA-256 under a key that it does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceSecretHash([u8; 32]);

impl ServiceSecretHash {
    /// The hash that a store kept as `bytes`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as a store keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ServiceSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecretHash(..)")
    }
}

/// The keys that hash the secrets of services.
#[derive(Debug)]
pub struct ServiceCredentialKeys(MacKey);

impl ServiceCredentialKeys {
    /// The keys of the server whose secret this is.
    #[must_use]
    pub fn derive(secret: &ServerSecret) -> Self {
        Self(secret.mac_key(Purpose::ServiceSecretHash))
    }

    fn hash(&self, secret: &[u8; SECRET_BYTES]) -> ServiceSecretHash {
        ServiceSecretHash(self.0.mac(secret))
    }
}

/// The text of a credential, which is shown once.
pub struct ServiceCredentialText(Zeroizing<String>);

impl ServiceCredentialText {
    fn write(id: ServiceCredentialId, secret: &[u8; SECRET_BYTES]) -> Self {
        let bytes = Zeroizing::new([&id.as_uuid().as_bytes()[..], secret].concat());
        Self(Zeroizing::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(&*bytes))))
    }

    fn read(text: &str) -> Option<(ServiceCredentialId, Zeroizing<[u8; SECRET_BYTES]>)> {
        let mut bytes = Zeroizing::new([0; ID_BYTES + SECRET_BYTES]);
        let encoded = text.strip_prefix(PREFIX)?;
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut *bytes).ok()?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        let id = Uuid::from_slice(id).ok().filter(|_| length == bytes.len())?;
        Some((ServiceCredentialId::from_uuid(id), Zeroizing::new(secret.try_into().ok()?)))
    }

    /// The text, to be shown to whoever asked for it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServiceCredentialText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceCredentialText(..)")
    }
}

impl ServiceCredentialKeys {
    /// A new credential for a service, beside those that it may have, and its text.
    #[must_use]
    pub fn make(
        &self,
        name: ServiceName,
        now: Timestamp,
    ) -> (StoredServiceCredential, ServiceCredentialText) {
        let id = ServiceCredentialId::new(now);
        let secret: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(secret::random());
        let secret_hash = self.hash(&secret);
        let text = ServiceCredentialText::write(id, &secret);
        (StoredServiceCredential { id, name, secret_hash, created_at: now }, text)
    }
}

impl Ostiary {
    /// The service whose credential `text` is, if it is one. Where the service has said its name too, as clients
    /// of OAuth do, it must be that.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn authenticate_service(
        &self,
        text: &str,
        name: Option<&str>,
    ) -> Result<Option<ServiceName>, StoreError> {
        let Some((id, secret)) = ServiceCredentialText::read(text) else { return Ok(None) };
        let Some(credential) = self.store.find_service_credential(id).await? else { return Ok(None) };
        let given = self.service_credentials.hash(&secret);
        let is_right: bool = given.0.ct_eq(&credential.secret_hash.0).into();
        let is_named_so = name.is_none_or(|name| name == credential.name.as_str());
        Ok((is_right && is_named_so).then_some(credential.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_reads_as_it_was_written_and_no_other_text_does() {
        let id = ServiceCredentialId::new(Timestamp::UNIX_EPOCH);
        let text = ServiceCredentialText::write(id, &[7; SECRET_BYTES]);
        assert_eq!(text.expose().len(), 68);
        let (read, secret) = ServiceCredentialText::read(text.expose()).unwrap();
        assert_eq!((read, *secret), (id, [7; SECRET_BYTES]));
        for other in ["", "osc_", &text.expose()[4..], &text.expose()[..67], &format!("{}A", text.expose())] {
            assert!(ServiceCredentialText::read(other).is_none(), "{other}");
        }
        assert_eq!(format!("{text:?}"), "ServiceCredentialText(..)");
    }

    #[test]
    fn a_name_is_plain() {
        for name in ["billing", "a", "a.b-c_D9", &"x".repeat(64)] {
            assert!(ServiceName::parse(name).is_ok(), "{name}");
        }
        for name in ["", " billing", "a:b", "ü", &"x".repeat(65)] {
            assert_eq!(ServiceName::parse(name), Err(NotAServiceName), "{name}");
        }
    }
}
