//! Tokens whose signature is not the one of their parts, or is written in another way.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};

use ostiary_core::secret::hex;

use super::forger::{Forgery, Genuine, part, signed_message};

/// Another signature.
pub(super) fn wrong(genuine: &Genuine, other: &Genuine) -> Vec<Forgery> {
    let [header, claims, _] = genuine.parts();
    let signature = genuine.signature();
    let with = |bytes: &[u8]| format!("{header}.{claims}.{}", part(bytes));
    let mut forgeries = Vec::new();
    for length in [0, 1, 8, 16, 31] {
        forgeries.push(Forgery::new(format!("cut to {length} bytes"), with(&signature[..length])));
    }
    for bit in [0, 7, 100, 248, 255] {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        forgeries.push(Forgery::new(format!("bit {bit} flipped"), with(&flipped)));
    }
    let reversed: Vec<u8> = signature.iter().rev().copied().collect();
    for (name, bytes) in [
        ("a zero byte at the end", [&signature[..], &[0]].concat()),
        ("a zero byte before", [&[0], &signature[..]].concat()),
        ("twice", signature.repeat(2)),
        ("backwards", reversed),
        ("zeros", vec![0; 32]),
        ("the signature of another token", other.signature()),
    ] {
        forgeries.push(Forgery::new(name, with(&bytes)));
    }
    let [other_header, other_claims, _] = other.parts();
    let signature = part(signature);
    for (name, token) in [
        ("the claims of another token", format!("{header}.{other_claims}.{signature}")),
        ("the message of another token", format!("{other_header}.{other_claims}.{signature}")),
        ("the header as claims", format!("{header}.{header}.{signature}")),
        ("header and claims changed about", format!("{claims}.{header}.{signature}")),
    ] {
        forgeries.push(Forgery::new(name, token));
    }
    forgeries
}

/// The right signature, or the right parts, in another spelling. A token has one.
pub(super) fn respelt(genuine: &Genuine) -> Vec<Forgery> {
    let [header, claims, text] = genuine.parts();
    let bytes = genuine.signature();
    let hex = hex(&bytes);
    let middle = |between: &str| format!("{}{between}{}", &text[..20], &text[20..]);
    let percent = format!("%{:02X}{}", text.as_bytes()[0], &text[1..]);
    let mut forgeries: Vec<Forgery> = [
        ("with padding", BASE64_URL_SAFE.encode(&bytes)),
        ("with more padding", format!("{text}==")),
        ("in hexadecimal", hex.clone()),
        ("base64 of hexadecimal", part(hex)),
        ("base64 of base64", part(text)),
        ("with other bits at the end", with_other_last_bits(text)),
        ("with a space inside", middle(" ")),
        ("with a tab inside", middle("\t")),
        ("with a line feed inside", middle("\n")),
        ("with a line feed at the end", format!("{text}\n")),
        ("with a NUL at the end", format!("{text}\0")),
        ("percent-encoded", percent),
        ("with a letter like another", middle("\u{430}")),
        ("with a sign of no alphabet", middle("!")),
    ]
    .into_iter()
    .map(|(name, signature)| Forgery::new(name, format!("{header}.{claims}.{signature}")))
    .collect();
    for (name, token) in [
        ("with padding after the claims", signed_message(&format!("{header}.{claims}="))),
        ("with padding after the header", signed_message(&format!("{header}=.{claims}"))),
        ("with a space in the claims", signed_message(&format!("{header}. {claims}"))),
        ("with a line feed in the header", signed_message(&format!("{header}\n.{claims}"))),
        ("with claims that are not encoded", signed_message(&format!("{header}.{}", genuine.claims_text()))),
        ("in lower case", genuine.token.to_lowercase()),
        ("in upper case", genuine.token.to_uppercase()),
        ("in quotes", format!("\"{}\"", genuine.token)),
        ("with its scheme", format!("Bearer {}", genuine.token)),
        ("twice, with a comma", format!("{0},{0}", genuine.token)),
        ("backwards", genuine.token.chars().rev().collect()),
    ] {
        forgeries.push(Forgery::new(name, token));
    }
    forgeries
}

/// The right signature in the alphabet of RFC 4648 §4, of a token in which that makes a difference.
pub(super) fn in_the_other_alphabet(genuine: &Genuine) -> Vec<Forgery> {
    let tokens = (0..).map(|number: u32| genuine.with("number", number.into()));
    let token =
        tokens.into_iter().find(|token| token.rsplit('.').next().unwrap().contains(['-', '_'])).unwrap();
    let (message, text) = token.rsplit_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let forge = |name: &str, signature| Forgery::new(name, format!("{message}.{signature}"));
    vec![
        forge("in the alphabet of + and /", BASE64_STANDARD_NO_PAD.encode(&bytes)),
        forge("in the alphabet of + and /, with padding", BASE64_STANDARD.encode(&bytes)),
    ]
}

/// The 43rd character of 32 bytes has two bits that mean nothing.
fn with_other_last_bits(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = text.split_at(text.len() - 1);
    let value = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{start}{}", char::from(ALPHABET[value ^ 1]))
}
