//! Passwords: what a user types, the hash that is stored, and how the two are compared.
//!
//! New hashes are Argon2id with OWASP's parameters (19 MiB, two passes, one lane), or bcrypt of cost
//! 12 where the replaced service still runs beside. Hashes of either kind verify, as do imported
//! Argon2 hashes of other parameters, within limits that keep a hostile row from costing more than a
//! login should.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};
use icu_normalizer::ComposingNormalizer;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::secret;

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
/// bcrypt reads no more of a password than this.
const BCRYPT_MAX_BYTES: usize = 72;

/// Limits on the parameters of an imported hash; more would let one row occupy the hashing lane.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;
const MAX_BCRYPT_COST: u32 = 14;

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
        self.bytes().len().max(typed) > BCRYPT_MAX_BYTES
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

/// The memory that Argon2 works in. One a thread, kept between calls: its pages cost more to get
/// from the system than to fill (14.8 against 24 ms a hash).
#[derive(Default)]
pub struct Workspace(Vec<Block>);

impl Workspace {
    /// As many blocks of 1 KiB as a hash of the default scheme takes.
    const KEPT: usize = 19 * 1024;

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        } else if self.0.len() > count.max(Self::KEPT) {
            // An imported hash needed more; its memory is not kept for the next one.
            self.0.truncate(Self::KEPT.max(count));
            self.0.shrink_to_fit();
        }
        &mut self.0[..count]
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({} KiB)", self.0.len())
    }
}

impl PasswordScheme {
    fn argon2_params() -> Params {
        Params::new(19 * 1024, 2, 1, None).expect("the parameters are within Argon2's ranges")
    }

    /// A new hash of `password`, with a salt of its own. Takes some 15 ms (Argon2id) or 200 ms
    /// (bcrypt).
    ///
    /// # Panics
    /// Under bcrypt, if [`Password::is_too_long_for_bcrypt`]; the caller has refused that password.
    #[must_use]
    pub fn hash(self, password: &Password, workspace: &mut Workspace) -> PasswordHash {
        match self {
            Self::Argon2id => PasswordHash(argon2_hash(password.bytes(), workspace)),
            Self::Bcrypt => {
                assert!(!password.is_too_long_for_bcrypt(), "the caller refuses what bcrypt would cut");
                PasswordHash(bcrypt_hash(password.bytes(), BCRYPT_COST))
            }
        }
    }

    /// Whether `password` is the one that `stored` is a hash of. Costs the same whatever the answer.
    ///
    /// A stored bcrypt hash sees the first 72 bytes, as it did when it was made; but where bcrypt is
    /// the scheme, and the hash would stay, a longer password fails closed.
    ///
    /// # Errors
    /// If `stored` cannot be used.
    pub fn verify(
        self,
        password: &Password,
        stored: &PasswordHash,
        workspace: &mut Workspace,
    ) -> Result<bool, UnusableHash> {
        if !stored.0.starts_with("$2") {
            return argon2_verify(password.bytes(), &stored.0, workspace);
        }
        let matches = bcrypt_verify(password.bytes(), &stored.0)?
            || match &password.typed {
                Some(typed) => bcrypt_verify(typed.as_bytes(), &stored.0)?,
                None => false,
            };
        Ok(matches && !(self == Self::Bcrypt && password.is_too_long_for_bcrypt()))
    }

    /// Whether a hash that just verified is to be replaced by a new one under this scheme: it is
    /// weaker, or of the kind that the scheme moves away from.
    #[must_use]
    pub fn replaces(self, stored: &PasswordHash) -> bool {
        match self {
            Self::Argon2id => {
                let wanted = Self::argon2_params();
                parse_argon2(&stored.0).map_or(true, |(algorithm, _, params, _)| {
                    algorithm != Algorithm::Argon2id
                        || params.m_cost() < wanted.m_cost()
                        || params.t_cost() < wanted.t_cost()
                })
            }
            Self::Bcrypt => bcrypt_cost(&stored.0).is_some_and(|cost| cost < BCRYPT_COST),
        }
    }

    /// A hash that no password matches and that costs as much to verify as a real one: an unknown
    /// user's login is checked against it.
    #[must_use]
    pub fn decoy(self) -> PasswordHash {
        match self {
            Self::Argon2id => {
                let params = Self::argon2_params();
                PasswordHash(argon2_string(&params, &secret::random::<16>(), &secret::random::<32>()))
            }
            Self::Bcrypt => {
                // Made at the least cost and labelled with the real one: only verifying it is dear.
                let cheap = bcrypt_hash(&secret::random::<16>(), 4);
                PasswordHash(cheap.replacen("$04$", &format!("${BCRYPT_COST:02}$"), 1))
            }
        }
    }
}

fn argon2_hash(password: &[u8], workspace: &mut Workspace) -> String {
    let params = PasswordScheme::argon2_params();
    let salt: [u8; 16] = secret::random();
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let blocks = params.block_count();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, &salt, &mut output, workspace.blocks(blocks))
        .expect("a password of at most 256 characters is within Argon2's limits");
    argon2_string(&params, &salt, &output)
}

fn argon2_string(params: &Params, salt: &[u8], output: &[u8]) -> String {
    phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).expect("the parameters have a text"),
        salt: Some(Salt::new(salt).expect("16 bytes are a salt")),
        hash: Some(Output::new(output).expect("32 bytes are an output")),
    }
    .to_string()
}

fn parse_argon2(stored: &str) -> Result<(Algorithm, Version, Params, phc::PasswordHash), UnusableHash> {
    let hash = phc::PasswordHash::new(stored).map_err(|_| UnusableHash)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| UnusableHash)?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).map_err(|_| UnusableHash)?;
    let params = Params::try_from(&hash).map_err(|_| UnusableHash)?;
    let within =
        params.m_cost() <= MAX_MEMORY_KIB && params.t_cost() <= MAX_PASSES && params.p_cost() <= MAX_LANES;
    within.then_some((algorithm, version, params, hash)).ok_or(UnusableHash)
}

fn argon2_verify(password: &[u8], stored: &str, workspace: &mut Workspace) -> Result<bool, UnusableHash> {
    let (algorithm, version, params, hash) = parse_argon2(stored)?;
    let (salt, expected) = hash.salt.as_ref().zip(hash.hash.as_ref()).ok_or(UnusableHash)?;
    let mut output = vec![0; expected.len()];
    let blocks = params.block_count();
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password, salt, &mut output, workspace.blocks(blocks))
        .map_err(|_| UnusableHash)?;
    Ok(output.ct_eq(expected.as_bytes()).into())
}

/// The crate's functions that do not truncate refuse 72 bytes too, which bcrypt can read in full and
/// the replaced service accepts; so the length is checked before, here and in the policy.
fn bcrypt_hash(password: &[u8], cost: u32) -> String {
    bcrypt::hash_with_salt(password, cost, secret::random())
        .expect("the cost is within bcrypt's range")
        .format_for_version(bcrypt::Version::TwoB)
}

/// The cost in a modular crypt string: `$2b$12$...`.
fn bcrypt_cost(stored: &str) -> Option<u32> {
    stored.strip_prefix("$2")?.split('$').nth(1)?.parse().ok()
}

fn bcrypt_verify(password: &[u8], stored: &str) -> Result<bool, UnusableHash> {
    if bcrypt_cost(stored).is_none_or(|cost| cost > MAX_BCRYPT_COST) {
        return Err(UnusableHash);
    }
    let seen = &password[..password.len().min(BCRYPT_MAX_BYTES)];
    let matches = bcrypt::verify(seen, stored).map_err(|_| UnusableHash)?;
    // A NUL ended the password for the hash's maker: what follows it was never compared.
    Ok(matches && !password.contains(&0))
}

#[cfg(test)]
mod tests;
