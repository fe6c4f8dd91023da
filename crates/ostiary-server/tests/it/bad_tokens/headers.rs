//! Tokens that are rightly signed, or not at all, under a header that is not ours.

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::forger::{Forgery, Genuine, good_header, header_with, part, signed_by};
use crate::support::JWT_SECRET;

/// Another `alg` than the one by which the secret signs, or that it was signed by.
pub(super) fn algorithms(genuine: &Genuine) -> Vec<Forgery> {
    let claims = genuine.claims_text();
    let header = |alg: &str| json!({ "typ": "JWT", "alg": alg }).to_string();
    let mut forgeries = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let message = format!("{}.{}", part(header(none)), part(&claims));
        forgeries.push(Forgery::new(format!("alg {none:?}, no signature"), format!("{message}.")));
        forgeries.push(Forgery::new(format!("alg {none:?}, signed"), genuine.under(header(none))));
    }
    for other in [
        "HS384",
        "HS512",
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "ES256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "Ed25519",
        "HS1",
        "hs256",
        "Hs256",
        " HS256",
        "HS256\u{0}",
        "HMAC-SHA256",
        "dir",
        "A128KW",
    ] {
        forgeries.push(Forgery::new(format!("alg {other:?}, signed by HS256"), genuine.under(header(other))));
    }
    for (alg, hash) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        let signed = |name: &str| signed_by(hash, JWT_SECRET.as_bytes(), header(name), &claims);
        forgeries.push(Forgery::new(format!("alg {alg}, signed by it with the secret"), signed(alg)));
        forgeries.push(Forgery::new(format!("alg HS256, signed by {alg}"), signed("HS256")));
    }
    for (name, secret) in [
        ("an empty secret", ""),
        ("a common secret", "secret"),
        ("the secret and a line feed", "the secret that all of the tests share\n"),
    ] {
        let token = signed_by(hmac::HMAC_SHA256, secret.as_bytes(), header("HS256"), &claims);
        forgeries.push(Forgery::new(format!("signed with {name}"), token));
    }
    for (name, alg) in [("null", Value::Null), ("an array", json!(["HS256"])), ("a number", json!(256))] {
        forgeries.push(Forgery::new(format!("alg is {name}"), genuine.under(header_with("alg", alg))));
    }
    forgeries.push(Forgery::new("no alg", genuine.under(json!({ "typ": "JWT" }).to_string())));
    forgeries
}

/// Members that say which key to take, or where to get one. A token of a shared secret names none.
pub(super) fn keys(genuine: &Genuine) -> Vec<Forgery> {
    let mut forgeries = Vec::new();
    for kid in [
        json!(""),
        json!("hs256"),
        json!("0"),
        json!("../../../../dev/null"),
        json!("/proc/sys/kernel/randomize_va_space"),
        json!("' or '1'='1"),
        json!("x' union select 'secret' --"),
        json!("a\u{0}b"),
        json!(["hs256"]),
        json!({ "hs256": true }),
        Value::Null,
        json!(1),
        json!("k".repeat(4096)),
    ] {
        let name: String = format!("kid {kid}").chars().take(48).collect();
        forgeries.push(Forgery::new(name, genuine.under(header_with("kid", kid))));
    }
    let url = "https://attacker.example/keys.json";
    let secret = json!({ "kty": "oct", "k": part("an attacker's own secret, long enough") });
    for (member, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", secret),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("epk", json!({ "kty": "OKP" })),
    ] {
        forgeries.push(Forgery::new(format!("with {member}"), genuine.under(header_with(member, value))));
    }
    forgeries.push(embedded_key(genuine));
    forgeries
}

/// Signed by a key that comes with the token.
fn embedded_key(genuine: &Genuine) -> Forgery {
    let own = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": part(own.public_key()) });
    let header = json!({ "typ": "JWT", "alg": "EdDSA", "jwk": jwk }).to_string();
    let message = format!("{}.{}", part(header), part(genuine.claims_text()));
    let signature = own.sign(message.as_bytes());
    Forgery::new("with the key that signed it", format!("{message}.{}", part(signature)))
}

/// Everything else that a header can say.
pub(super) fn others(genuine: &Genuine) -> Vec<Forgery> {
    let mut forgeries = Vec::new();
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("url", json!("https://attacker.example")),
        ("nonce", json!("1")),
        ("unheard-of", Value::Null),
    ] {
        let name = format!("with {member} {value}");
        forgeries.push(Forgery::new(name, genuine.under(header_with(member, value))));
    }
    for typ in [json!("jwt"), json!("at+jwt"), json!("JWE"), json!(""), json!(["JWT"]), Value::Null] {
        forgeries.push(Forgery::new(format!("typ {typ}"), genuine.under(header_with("typ", typ))));
    }
    forgeries.push(Forgery::new("no typ", genuine.under(json!({ "alg": "HS256" }).to_string())));
    let good = good_header();
    for (name, header) in [
        ("an array of the members", r#"["JWT","HS256",null]"#.to_owned()),
        ("a text", r#""HS256""#.to_owned()),
        ("a number", "256".to_owned()),
        ("null", "null".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("nothing", String::new()),
        ("alg twice", r#"{"typ":"JWT","alg":"none","alg":"HS256"}"#.to_owned()),
        ("alg twice, once escaped", r#"{"typ":"JWT","alg":"HS256","\u0061lg":"HS256"}"#.to_owned()),
        ("typ twice", r#"{"typ":"JWT","typ":"JWT","alg":"HS256"}"#.to_owned()),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("a second object", format!("{good}{good}")),
        ("a NUL at the end", format!("{good}\0")),
        ("a comment", format!("{good}//")),
        ("a comma too many", r#"{"typ":"JWT","alg":"HS256",}"#.to_owned()),
        ("single quotes", "{'typ':'JWT','alg':'HS256'}".to_owned()),
        ("half of it", r#"{"typ":"JWT","alg":"#.to_owned()),
    ] {
        forgeries.push(Forgery::new(format!("the header is or has {name}"), genuine.under(header)));
    }
    let utf16: Vec<u8> = good.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
    forgeries.push(Forgery::new("the header is UTF-16", genuine.under(utf16)));
    let not_utf8 = b"{\"typ\":\"JWT\xff\",\"alg\":\"HS256\"}";
    forgeries.push(Forgery::new("the header is not UTF-8", genuine.under(not_utf8)));
    forgeries
}
