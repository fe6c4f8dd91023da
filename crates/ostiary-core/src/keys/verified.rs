//! Signatures that were verified before.
//!
//! A token is shown many times, and whether a key signed it never changes. Verifying an Ed25519 signature was a
//! third of all that the server did for `GET /me` on SQLite (`bench/README.md`); a digest is a hundredth of that.
//! Whether the key is trusted is asked each time, before this.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;

/// SHA-256 of a message and its signature.
type Digest = [u8; 32];

/// What one key has signed. The shelf of a digest follows from its first bytes; where a shelf is full, what comes
/// next takes a place from another. Only what the key signed gets a place, so strangers cannot fill it.
pub(super) struct Verified(Mutex<Vec<Shelf>>);

/// Several places, or of a thousand tokens a tenth would take each other's again and again.
type Shelf = [Digest; 4];

/// No digest is all zeroes: nobody can find what has that one.
const NOTHING: Digest = [0; 32];

impl Verified {
    /// 256 KiB: the tokens of eight thousand sessions that are in use at a time.
    const SHELVES: usize = 2_048;

    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Whether `verify` holds of the message and its signature, or did before.
    pub(super) fn or_verify(&self, message: &[u8], signature: &[u8], verify: impl FnOnce() -> bool) -> bool {
        let digest = digest_of(message, signature);
        if self.shelves().get(shelf_of(&digest)).is_some_and(|shelf| shelf.contains(&digest)) {
            return true;
        }
        let is_signed = verify();
        if is_signed {
            let mut shelves = self.shelves();
            shelves.resize(Self::SHELVES, [NOTHING; 4]);
            let places = &mut shelves[shelf_of(&digest)];
            let free = places.iter().position(|place| *place == NOTHING || *place == digest);
            places[free.unwrap_or(usize::from(digest[2]) % places.len())] = digest;
        }
        is_signed
    }

    fn shelves(&self) -> MutexGuard<'_, Vec<Shelf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of the signature says where the message begins.
fn digest_of(message: &[u8], signature: &[u8]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&signature.len().to_le_bytes());
    context.update(signature);
    context.update(message);
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn shelf_of(digest: &Digest) -> usize {
    usize::from(u16::from_le_bytes([digest[0], digest[1]])) % Verified::SHELVES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_verified_once_and_any_other_again() {
        let verified = Verified::new();
        assert!(verified.or_verify(b"message", b"signature", || true));
        assert!(verified.or_verify(b"message", b"signature", || panic!("it was verified")));
        for (message, signature) in
            [("massage", "signature"), ("message", "signatura"), ("ssage", "signatureme"), ("", "")]
        {
            assert!(!verified.or_verify(message.as_bytes(), signature.as_bytes(), || false));
        }
    }

    #[test]
    fn what_was_refused_is_refused_again() {
        let verified = Verified::new();
        for _ in 0..2 {
            assert!(!verified.or_verify(b"message", b"signature", || false));
        }
    }

    #[test]
    fn more_than_there_are_places_for_are_verified_all_the_same() {
        let verified = Verified::new();
        for number in 0..12 * Verified::SHELVES {
            assert!(verified.or_verify(&number.to_le_bytes(), b"signature", || true));
        }
        assert_eq!(verified.shelves().len(), Verified::SHELVES);
        assert!(!verified.or_verify(b"message", b"signature", || false));
    }

    #[test]
    fn of_a_thousand_hardly_one_is_verified_again() {
        let verified = Verified::new();
        let mut times = 0;
        for number in (0..1_000_u64).cycle().take(5_000) {
            let count = || {
                times += 1;
                true
            };
            assert!(verified.or_verify(&number.to_le_bytes(), b"signature", count));
        }
        assert!((1_000..1_040).contains(&times), "{times}");
    }
}
