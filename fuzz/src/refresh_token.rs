//! Refresh tokens: ours are read back and nothing else is; those of the replaced service have a form.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE};
use ostiary_core::{
    refresh_token::{ForeignToken, Generation, NotOurs, RefreshToken, RefreshTokenKeys},
    secret::{ServerSecret, hex, sha256},
};

use crate::edits::edited;

static KEYS: LazyLock<RefreshTokenKeys> = LazyLock::new(|| {
    let secret = ServerSecret::parse("the secret of a server that is fuzzed").expect("it is long enough");
    RefreshTokenKeys::derive(&secret)
});

/// Reads a text as a token of ours and as one of the replaced service; and changes a good one.
pub fn refresh_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let ours = KEYS.read(&text);
    let foreign = ForeignToken::parse(&text);
    assert!(ours.is_err() || foreign.is_none(), "a text is of one service");
    if let Ok(token) = &ours {
        check(token, &text);
    }
    if let Some(token) = &foreign {
        check_foreign(token, &text);
    }
    if let Some((number, script)) = data.split_first_chunk() {
        check_edited(u32::from_be_bytes(*number), script);
    }
}

fn check(token: &RefreshToken, text: &str) {
    assert_eq!(KEYS.write(token), text, "a token has one spelling");
    let id = token.session_id.as_uuid();
    let generation = token.generation;
    let shown =
        format!("RefreshToken {{ session_id: {id}, generation: {generation:?}, secret: SessionSecret(..) }}");
    assert_eq!(format!("{token:?}"), shown);
    let successor = token.successor();
    assert_eq!(KEYS.read(&KEYS.write(&successor)), Ok(successor));
}

fn check_foreign(token: &ForeignToken, text: &str) {
    let padded = format!("{text:=<88}");
    assert_eq!(BASE64_URL_SAFE.decode(padded).map(|bytes| bytes.len()), Ok(64));
    assert_eq!(token.hash().as_str(), hex(&sha256(text.as_bytes())));
    assert_eq!(format!("{token:?} {:?}", token.hash()), "ForeignToken(..) ForeignTokenHash(..)");
    let first = KEYS.in_place_of(token);
    assert_eq!(first, KEYS.in_place_of(token));
    assert_eq!(first.generation, Generation::FIRST);
    check(&first, &KEYS.write(&first));
}

/// A token of any generation is good as it was written, and with no change to it.
fn check_edited(generation: u32, script: &[u8]) {
    let foreign = ForeignToken::parse(&"A".repeat(86)).expect("it has the form");
    let good = RefreshToken { generation: Generation::from_number(generation), ..KEYS.in_place_of(&foreign) };
    let text = KEYS.write(&good);
    assert_eq!(text.len(), 75);
    let changed = edited(&text, script);
    let expected = if changed == text { Ok(good) } else { Err(NotOurs) };
    assert_eq!(KEYS.read(&changed), expected, "{changed:?}");
}
