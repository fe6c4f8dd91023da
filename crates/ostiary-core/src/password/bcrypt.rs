//! bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999): modular crypt strings, and
//! the computations that they stand for, up to four of them together.

use std::{fmt, str::FromStr};

use ::bcrypt::{BASE_64, HashParts};
use base64::Engine;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::{Password, UnusableHash};

mod interleaved;

/// bcrypt reads no more of a password than this.
pub(super) const MAX_BYTES: usize = 72;
/// The most of the cost of a stored hash; more would let one row occupy the hashing lane.
pub const MAX_COST: u32 = 14;
/// The least cost that bcrypt allows.
const MIN_COST: u32 = 4;
/// How many computations a thread does together at the most.
pub const TOGETHER: usize = 4;

/// What bcrypt computes: three blocks less a byte.
pub type Output = [u8; 23];

/// One computation: it takes a password, a salt and a cost, and some 200 ms at cost 12.
pub struct Computation {
    cost: u32,
    salt: [u8; 16],
    /// The password as bcrypt sees it: cut, or ended by a NUL.
    key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Computation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bcrypt::Computation(of cost {})", self.cost)
    }
}

impl Computation {
    /// Of what bcrypt reads of `password`.
    pub(super) fn new(cost: u32, salt: [u8; 16], password: &[u8]) -> Self {
        // Never grown, so that no copy is left behind.
        let mut key = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        key.extend_from_slice(&password[..password.len().min(MAX_BYTES)]);
        key.push(0);
        key.truncate(MAX_BYTES);
        Self { cost, salt, key }
    }

    /// The exponent of the number of rounds.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }
}

/// The output of each of `computations`, which are of one cost; up to [`TOGETHER`] take little longer than one.
#[must_use]
pub fn compute(computations: &[&Computation]) -> Vec<Output> {
    match *computations {
        [] => Vec::new(),
        [one] => vec![compute_alone(one)],
        [one, two] => interleaved::compute([one, two]).to_vec(),
        [one, two, three] => interleaved::compute([one, two, three]).to_vec(),
        [one, two, three, four] => interleaved::compute([one, two, three, four]).to_vec(),
        _ => computations.chunks(TOGETHER).flat_map(compute).collect(),
    }
}

/// The output of one computation, by the crate `bcrypt`.
#[must_use]
pub fn compute_alone(computation: &Computation) -> Output {
    let [output @ .., _] = ::bcrypt::bcrypt(computation.cost, computation.salt, &computation.key);
    output
}

/// A stored bcrypt hash.
#[derive(Clone)]
pub struct Hash {
    cost: u32,
    salt: [u8; 16],
    output: Output,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bcrypt::Hash(of cost {})", self.cost)
    }
}

impl FromStr for Hash {
    type Err = UnusableHash;

    fn from_str(stored: &str) -> Result<Self, UnusableHash> {
        // The crate knows the form; but it does not give the output away.
        let parts: HashParts = stored.parse().map_err(|_| UnusableHash)?;
        let mut output = Output::default();
        BASE_64.decode_slice(&stored[stored.len() - 31..], &mut output).map_err(|_| UnusableHash)?;
        let hash = Self { cost: parts.get_cost(), salt: parts.get_salt_raw(), output };
        (MIN_COST..=MAX_COST).contains(&hash.cost).then_some(hash).ok_or(UnusableHash)
    }
}

/// As modular crypt: `$2b$12$`, the salt and the output.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cost, salt, output } = self;
        write!(f, "$2b${cost:02}${}{}", BASE_64.encode(salt), BASE_64.encode(output))
    }
}

impl Hash {
    pub(super) const fn new(cost: u32, salt: [u8; 16], output: Output) -> Self {
        Self { cost, salt, output }
    }

    /// What came of `computation`.
    pub(super) const fn of(computation: &Computation, output: Output) -> Self {
        Self { cost: computation.cost, salt: computation.salt, output }
    }

    /// The exponent of the number of rounds.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    /// What is to be computed to compare `password`: of its letters in the composed form, and of those that
    /// were typed, if they are others. All are computed whatever comes of the first, for everybody.
    #[must_use]
    pub fn computations(&self, password: &Password) -> Vec<Computation> {
        let typed = password.typed.as_ref().map(|typed| typed.as_bytes());
        let read = [Some(password.bytes()), typed];
        read.into_iter().flatten().map(|bytes| Computation::new(self.cost, self.salt, bytes)).collect()
    }

    /// Whether any of `outputs` is this one's. Takes the same time whatever the answer.
    pub(super) fn is_one_of(&self, outputs: &[Output]) -> bool {
        let equal = outputs.iter().map(|output| output.ct_eq(&self.output));
        equal.fold(Choice::from(0), |any, equal| any | equal).into()
    }
}
