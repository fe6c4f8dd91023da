//! Signatures that were verified before.
//!
//! A token is shown many times, and whether a key signed it never changes. Verifying an Ed25519 signature was a
//! third of all that the server did for `GET /me` on SQLite (`bench/README.md`); a digest is a hundredth of that.
//! Whether the key is trusted is asked each time, before this.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;

/// SHA-256 of a message and its signature.
type Digest = [u8; 32];

/// What one key has signed. The place of a digest follows from its first bytes; whatever comes there next takes
/// it. Only what the key signed gets a place, so strangers cannot fill it.
pub(super) struct Verified(Mutex<Vec<Digest>>);

impl Verified {
    /// 256 KiB: the tokens of eight thousand sessions that are in use at a time.
    const PLACES: usize = 8_192;

    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Whether `verify` holds of the message and its signature, or did before.
    pub(super) fn or_verify(&self, message: &[u8], signature: &[u8], verify: impl FnOnce() -> bool) -> bool {
        let digest = digest_of(message, signature);
        if self.places().get(place_of(&digest)) == Some(&digest) {
            return true;
        }
        let is_signed = verify();
        if is_signed {
            let mut places = self.places();
            // No digest is all zeroes: nobody can find what has that one.
            places.resize(Self::PLACES, [0; 32]);
            places[place_of(&digest)] = digest;
        }
        is_signed
    }

    fn places(&self) -> MutexGuard<'_, Vec<Digest>> {
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

fn place_of(digest: &Digest) -> usize {
    usize::from(u16::from_le_bytes([digest[0], digest[1]])) % Verified::PLACES
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
        for number in 0..3 * Verified::PLACES {
            assert!(verified.or_verify(&number.to_le_bytes(), b"signature", || true));
        }
        assert_eq!(verified.places().len(), Verified::PLACES);
        assert!(!verified.or_verify(b"message", b"signature", || false));
    }
}
