//! A forger: has a genuine token, knows the secret that signed it, and makes others of it.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::support::{JWT_SECRET, claims};

/// A token that is not to be accepted.
pub(super) struct Forgery {
    /// What is wrong with it.
    pub(super) name: String,
    pub(super) token: String,
}

impl Forgery {
    pub(super) fn new(name: impl Into<String>, token: String) -> Self {
        Self { name: name.into(), token }
    }
}

/// A good token that was signed by [`JWT_SECRET`], taken apart.
pub(super) struct Genuine {
    pub(super) token: String,
    pub(super) claims: Map<String, Value>,
}

impl Genuine {
    pub(super) fn new(token: &str) -> Self {
        Self { token: token.to_owned(), claims: claims(token) }
    }

    /// The three parts of the token as they are.
    pub(super) fn parts(&self) -> [&str; 3] {
        self.token.split('.').collect::<Vec<_>>().try_into().unwrap()
    }

    pub(super) fn signature(&self) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(self.parts()[2]).unwrap()
    }

    /// The claims as a JSON text.
    pub(super) fn claims_text(&self) -> String {
        Value::from(self.claims.clone()).to_string()
    }

    /// The same claims under another header, rightly signed.
    pub(super) fn under(&self, header: impl AsRef<[u8]>) -> String {
        signed(header, self.claims_text())
    }

    /// Other claims under a good header, rightly signed.
    pub(super) fn saying(claims: impl AsRef<[u8]>) -> String {
        signed(good_header().to_string(), claims)
    }

    /// The same claims but for one, rightly signed.
    pub(super) fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims.insert(claim.to_owned(), value);
        Self::saying(Value::from(claims).to_string())
    }

    /// The same claims without one, rightly signed.
    pub(super) fn without(&self, claim: &str) -> String {
        let mut claims = self.claims.clone();
        claims.remove(claim).unwrap();
        Self::saying(Value::from(claims).to_string())
    }

    /// A claim that is a text.
    pub(super) fn text(&self, claim: &str) -> &str {
        self.claims[claim].as_str().unwrap()
    }

    pub(super) fn number(&self, claim: &str) -> i64 {
        self.claims[claim].as_i64().unwrap()
    }
}

pub(super) fn good_header() -> Value {
    json!({ "typ": "JWT", "alg": "HS256" })
}

/// A good header and one more member.
pub(super) fn header_with(name: &str, value: Value) -> String {
    let mut header = good_header();
    header[name] = value;
    header.to_string()
}

/// A part of a token.
pub(super) fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these parts, signed by the secret of the server.
pub(super) fn signed(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    signed_by(hmac::HMAC_SHA256, JWT_SECRET.as_bytes(), header, claims)
}

/// A token of these parts, signed by HMAC under any secret.
pub(super) fn signed_by(
    hash: hmac::Algorithm,
    secret: &[u8],
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = hmac::sign(&hmac::Key::new(hash, secret), message.as_bytes());
    format!("{message}.{}", part(signature))
}

/// Any text as what stands before the signature, signed by the secret of the server.
pub(super) fn signed_message(message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, JWT_SECRET.as_bytes());
    format!("{message}.{}", part(hmac::sign(&key, message.as_bytes())))
}
