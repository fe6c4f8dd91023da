//! Passwords: what a user types, the hash that is stored, and how the two are compared.
//!
//! New hashes are Argon2id with OWASP's parameters (19 MiB, two passes, one lane), or bcrypt of cost
//! 12 where the replaced service still runs beside. Hashes of either kind verify, as do imported
//! Argon2 hashes of other parameters, within limits that keep a hostile row from costing more than a
//! login should.

use std::fmt;

use icu_normalizer::ComposingNormalizer;
use zeroize::Zeroizing;

use crate::secret;

pub mod argon2;
pub mod bcrypt;

pub use argon2::Workspace;

/// How new password hashes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordScheme {
    /// Argon2id (RFC 9106), 19 MiB, t = 2, p = 1: the first choice of OWASP's cheat sheet.
    Argon2id,
    /// bcrypt of cost 12, `$2b$`: what the replaced service verifies.
    Bcrypt,
}

/// The cost of new bcrypt hashes: 2^12 rounds, as the replaced service has it.
const BCRYPT_COST: u32 = 12;

/// A password as it is hashed: NFC, so that a letter typed on another keyboard is the same letter
/// (NIST SP 800-63B-4 §3.1.1.2), and otherwise every byte as typed.
#[derive(Clone)]
pub struct Password {
    nfc: Zeroizing<String>,
    /// What was typed, where NFC changed it: a hash made by the replaced service is of that.
    typed: Option<Zeroizing<String>>,
}

impl Password {
    /// The password that was typed as `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let nfc = Zeroizing::new(ComposingNormalizer::new_nfc().normalize(text).into_owned());
        let typed = (*nfc != text).then(|| Zeroizing::new(text.to_owned()));
        Self { nfc, typed }
    }

    fn bytes(&self) -> &[u8] {
        self.nfc.as_bytes()
    }

    /// Whether bcrypt would leave some of it out.
    #[must_use]
    pub fn is_too_long_for_bcrypt(&self) -> bool {
        let typed = self.typed.as_ref().map_or(0, |typed| typed.len());
        self.bytes().len().max(typed) > bcrypt::MAX_BYTES
    }

    /// Whether an attacker who tries the likeliest passwords first needs fewer guesses than
    /// `least_score` demands: scores 1, 2, 3 and 4 stand for 10^3, 10^6, 10^8 and 10^10 guesses
    /// (zxcvbn, Wheeler 2016). `about_user` are words that the attacker tries before all others.
    ///
    /// Takes up to some milliseconds; it is work for the hashing lane.
    #[must_use]
    pub fn is_too_common(&self, least_score: u8, about_user: &[String]) -> bool {
        /// zxcvbn's effort grows with the square of the length, and this much cannot be common.
        const MAX_CHARS: usize = 100;
        if least_score == 0 {
            return false;
        }
        let start: Zeroizing<String> = Zeroizing::new(self.nfc.chars().take(MAX_CHARS).collect());
        let about_user: Vec<&str> = about_user.iter().map(String::as_str).collect();
        u8::from(zxcvbn::zxcvbn(&start, &about_user).score()) < least_score
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password's hash as it is stored: a PHC string for Argon2, modular crypt for bcrypt.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash that a store kept as `text`; whether it is well-formed shows when it is used.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The hash as a store keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that `output` of `computation` stands for, as the replaced service writes it: `$2b$`.
    #[must_use]
    pub fn of_bcrypt(computation: &bcrypt::Computation, output: bcrypt::Output) -> Self {
        Self(bcrypt::Hash::of(computation, output).to_string())
    }

    /// Reads the hash.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn parse(&self) -> Result<ParsedHash, UnusableHash> {
        if self.0.starts_with("$2") {
            self.0.parse().map(ParsedHash::Bcrypt)
        } else {
            self.0.parse().map(ParsedHash::Argon2)
        }
    }
}

/// A stored hash that can be compared with.
#[derive(Debug, Clone)]
pub enum ParsedHash {
    /// Argon2 of whichever kind and parameters.
    Argon2(argon2::Hash),
    /// bcrypt of whichever cost.
    Bcrypt(bcrypt::Hash),
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A stored hash that cannot be used: damaged, of an unknown kind, or dearer than the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored password hash is damaged, of an unknown kind, or beyond the cost limits")]
pub struct UnusableHash;

impl PasswordScheme {
    /// A new hash of `password`, with a salt of its own. Takes some 15 ms (Argon2id) or 200 ms
    /// (bcrypt).
    ///
    /// # Panics
    /// Under bcrypt, if [`Password::is_too_long_for_bcrypt`]; the caller has refused that password.
    #[must_use]
    pub fn hash(self, password: &Password, workspace: &mut Workspace) -> PasswordHash {
        match self {
            Self::Argon2id => PasswordHash(argon2::hash(password.bytes(), workspace)),
            Self::Bcrypt => {
                let computation = Self::new_bcrypt(password);
                let output = bcrypt::compute_alone(&computation);
                PasswordHash::of_bcrypt(&computation, output)
            }
        }
    }

    /// What is to be computed for a new bcrypt hash of `password`; [`PasswordHash::of_bcrypt`] makes it of the
    /// output.
    ///
    /// # Panics
    /// If [`Password::is_too_long_for_bcrypt`]; the caller has refused that password.
    #[must_use]
    pub fn new_bcrypt(password: &Password) -> bcrypt::Computation {
        assert!(!password.is_too_long_for_bcrypt(), "the caller refuses what bcrypt would cut");
        bcrypt::Computation::new(BCRYPT_COST, secret::random(), password.bytes())
    }

    /// Whether `password` is the one that `stored` is a hash of. Costs the same whatever the answer.
    ///
    /// # Errors
    /// If `stored` cannot be used.
    pub fn verify(
        self,
        password: &Password,
        stored: &PasswordHash,
        workspace: &mut Workspace,
    ) -> Result<bool, UnusableHash> {
        match stored.parse()? {
            ParsedHash::Argon2(hash) => hash.matches(password, workspace),
            ParsedHash::Bcrypt(hash) => {
                let outputs: Vec<_> = hash.computations(password).iter().map(bcrypt::compute_alone).collect();
                Ok(self.accepts_bcrypt(password, &hash, &outputs))
            }
        }
    }

    /// Whether `password` is the one that `hash` is of, where `outputs` are those of [`bcrypt::Hash::computations`].
    ///
    /// A stored bcrypt hash sees the first 72 bytes, as it did when it was made; but where bcrypt is
    /// the scheme, and the hash would stay, a longer password fails closed.
    #[must_use]
    pub fn accepts_bcrypt(
        self,
        password: &Password,
        hash: &bcrypt::Hash,
        outputs: &[bcrypt::Output],
    ) -> bool {
        // A NUL ended the password for the hash's maker: what follows it was never compared.
        let was_cut = password.bytes().contains(&0);
        let is_too_long = self == Self::Bcrypt && password.is_too_long_for_bcrypt();
        hash.is_one_of(outputs) && !was_cut && !is_too_long
    }

    /// Whether a hash that just verified is to be replaced by a new one under this scheme: it is
    /// weaker, or of the kind that the scheme moves away from.
    #[must_use]
    pub fn replaces(self, stored: &ParsedHash) -> bool {
        match (self, stored) {
            (Self::Argon2id, ParsedHash::Argon2(hash)) => hash.is_weaker_than_new_ones(),
            (Self::Argon2id, ParsedHash::Bcrypt(_)) => true,
            (Self::Bcrypt, ParsedHash::Argon2(_)) => false,
            (Self::Bcrypt, ParsedHash::Bcrypt(hash)) => hash.cost() < BCRYPT_COST,
        }
    }

    /// A hash that no password matches and that costs as much to verify as a real one: an unknown
    /// user's login is checked against it.
    #[must_use]
    pub fn decoy(self) -> ParsedHash {
        match self {
            Self::Argon2id => ParsedHash::Argon2(argon2::Hash::decoy()),
            Self::Bcrypt => {
                ParsedHash::Bcrypt(bcrypt::Hash::new(BCRYPT_COST, secret::random(), secret::random()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
