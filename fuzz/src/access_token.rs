//! Access tokens: only what a key of ours signed, for us and for now, is one.
//!
//! An input says in its first line how a token is made of the rest: `edit ALGORITHM` changes a good one by a script
//! (see [`crate::edits`]), `sign ALGORITHM` signs a header, in a line of its own, and claims; anything else is a
//! token as it stands.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ostiary_core::jwt::{AccessTokenClaims, TokenParties};
use serde_json::{Value, json};

use crate::edits::edited;

mod keys;

use keys::{Algorithm, FuzzedKeys};

/// When all tokens are read.
const NOW: i64 = 1_800_000_000;
/// How far the clock of an issuer may be ahead, in seconds.
const MAX_SKEW: i64 = 60;
const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "shop";

static KEYS: LazyLock<FuzzedKeys> = LazyLock::new(|| FuzzedKeys::open(now()));

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time within jiff's range")
}

/// Reads a token that was changed, signed or taken as it stands.
pub fn access_token(data: &[u8]) {
    let (first, rest) = split_line(data);
    let token = match first.split_once(' ').map(|(verb, name)| (verb, Algorithm::from_name(name))) {
        Some(("edit", Some(algorithm))) => return check_edited(algorithm, rest),
        Some(("sign", Some(algorithm))) => {
            let (header, claims) = split_line(rest);
            signed(algorithm, header, &String::from_utf8_lossy(claims))
        }
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    is_accepted(&token);
}

fn split_line(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, rest) = data.split_at(end);
    (std::str::from_utf8(line).unwrap_or_default(), rest.get(1..).unwrap_or_default())
}

fn signed(algorithm: Algorithm, header: &str, claims: &str) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(header), part(claims));
    format!("{message}.{}", KEYS.signature(algorithm, message.as_bytes()))
}

fn check_edited(algorithm: Algorithm, script: &[u8]) {
    let claims = json!({
        "sub": "019abcde-0000-7000-8000-0123456789ab", "exp": NOW + 60, "iat": NOW, "jti": "1",
        "sid": "019abcde-0000-7000-8000-0123456789ac", "iss": ISSUER, "aud": [AUDIENCE],
    });
    let good = signed(algorithm, &algorithm.header().to_string(), &claims.to_string());
    let changed = edited(&good, script);
    assert_eq!(is_accepted(&changed), changed == good, "{changed:?}");
}

/// Whether `token` is accepted; it panics if it is and must not be.
fn is_accepted(token: &str) -> bool {
    let parties = TokenParties { issuer: Some(ISSUER.to_owned()), audience: Some(AUDIENCE.to_owned()) };
    let outcome = AccessTokenClaims::verify(token, &KEYS.keys, &parties, now());
    let without = AccessTokenClaims::verify(token, &KEYS.keys, &TokenParties::default(), now());
    assert!(without.is_err() || outcome.is_ok(), "who is told more of itself does not accept less");
    let Ok(claims) = outcome else { return false };

    let (message, signature) = token.rsplit_once('.').expect("it has parts");
    let (header, body) = message.split_once('.').expect("it has three parts");
    let header = read(header);
    let algorithm =
        header["alg"].as_str().and_then(Algorithm::from_name).expect("its algorithm is one of ours");
    assert_eq!(header, algorithm.header(), "a header has what ours has, and no more");
    assert_eq!(signature, KEYS.signature(algorithm, message.as_bytes()), "a signature has one spelling");
    check_claims(&claims, &read(body));
    true
}

fn check_claims(claims: &AccessTokenClaims, read: &Value) {
    for (name, value) in [("sub", &claims.sub), ("jti", &claims.jti), ("sid", &claims.sid)] {
        assert_eq!(read[name], **value);
    }
    assert_eq!(read["exp"].as_i64(), Some(claims.exp));
    assert!(claims.exp > NOW, "it has not expired");
    for name in ["iat", "nbf"] {
        let time = read.get(name).map(Value::as_i64);
        assert!(
            time.is_none_or(|time| time.is_some_and(|time| time <= NOW + MAX_SKEW)),
            "it is not of the future"
        );
    }
    assert!(read.get("iss").is_none_or(|issuer| issuer == ISSUER), "nobody else issued it");
    let names_us = |audience: &Value| match audience {
        Value::Array(several) => several.iter().any(|one| one == AUDIENCE),
        one => one == AUDIENCE,
    };
    assert!(read.get("aud").is_none_or(names_us), "it is for us");
}

fn read(part: &str) -> Value {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).expect("a part of a good token is base64url");
    serde_json::from_slice(&json).expect("a part of a good token is JSON")
}
