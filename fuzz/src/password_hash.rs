//! Stored password hashes: a hostile row is refused, or costs what its parameters say and no more than the limits.

use argon2::password_hash::phc;
use ostiary_core::password::{Password, PasswordHash, PasswordScheme, UnusableHash, Workspace};

/// Hashes that cost more than this, in KiB times passes, are judged and not computed.
const CHEAP: u64 = 2048;
/// bcrypt of this cost takes a few milliseconds.
const CHEAP_BCRYPT: u32 = 5;

/// What the hashing lane computes at most: 256 MiB, 10 passes, 4 lanes; bcrypt of cost 14.
const MOST: (u64, u64, u64, u64) = (256 * 1024, 10, 4, 14);

/// Judges a stored hash, and compares a password with one that is cheap.
pub fn password_hash(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let stored = PasswordHash::from_stored(text.clone().into_owned());
    assert_eq!(format!("{stored:?}"), "PasswordHash(..)");
    if text.starts_with("$2") {
        if let Ok(parsed) = stored.parse() {
            assert!(PasswordScheme::Argon2id.replaces(&parsed), "bcrypt is weaker than Argon2id");
        }
        return check_bcrypt(&text, &stored);
    }
    match argon2_cost(&text) {
        Some((memory, passes, lanes)) => {
            let is_beyond = memory > MOST.0 || passes > MOST.1 || lanes > MOST.2;
            if is_beyond || memory.saturating_mul(passes) <= CHEAP {
                let outcome = verify(PasswordScheme::Argon2id, &stored);
                assert!(!is_beyond || outcome == Err(UnusableHash), "a dear hash is refused");
            }
        }
        None => assert_eq!(verify(PasswordScheme::Argon2id, &stored), Err(UnusableHash)),
    }
}

fn check_bcrypt(text: &str, stored: &PasswordHash) {
    let cost = text.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
    match cost {
        Some(cost) if cost > CHEAP_BCRYPT && u64::from(cost) <= MOST.3 => {}
        Some(cost) if cost <= CHEAP_BCRYPT => {
            let outcomes =
                [PasswordScheme::Argon2id, PasswordScheme::Bcrypt].map(|scheme| verify(scheme, stored));
            assert_eq!(outcomes[0], outcomes[1]);
        }
        _ => assert_eq!(verify(PasswordScheme::Argon2id, stored), Err(UnusableHash)),
    }
}

fn verify(scheme: PasswordScheme, stored: &PasswordHash) -> Result<bool, UnusableHash> {
    let mut workspace = Workspace::default();
    scheme.verify(&Password::new("correct horse"), stored, &mut workspace)
}

/// Memory in KiB, passes and lanes, as the text says them or else by default; `None` if it is no such text.
fn argon2_cost(text: &str) -> Option<(u64, u64, u64)> {
    let hash = phc::PasswordHash::new(text).ok()?;
    // Of a parameter that is there twice, the last one counts.
    let parameter = |name: &str, default: u64| {
        let last = hash.params.iter().filter(|(key, _)| key.as_str() == name).last();
        last.map_or(Some(default), |(_, value)| value.decimal().ok().map(u64::from))
    };
    Some((parameter("m", 19 * 1024)?, parameter("t", 2)?, parameter("p", 1)?))
}
