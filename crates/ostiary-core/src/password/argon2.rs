//! Argon2 (RFC 9106): new hashes with OWASP's parameters, and comparisons with hashes of any others,
//! within limits.
//!
//! The crate `argon2` computes them; in a build with the feature `argon2-simd`, the crate `argon2-rust` does.

use std::{fmt, str::FromStr};

use ::argon2::{
    Algorithm, Argon2, Block, MIN_SALT_LEN, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};
use subtle::ConstantTimeEq;

use super::{Password, UnusableHash};
use crate::secret;

// Without the feature too it is held to the default's output.
#[cfg(any(test, feature = "argon2-simd"))]
mod simd;

/// Limits on the parameters of an imported hash; more would let one row occupy the hashing lane.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;

/// The blocks of 1 KiB that a new hash fills, over its passes.
pub const BLOCKS_OF_NEW: u64 = MEMORY_KIB as u64 * PASSES as u64;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// The memory that Argon2 works in. One a thread, kept between calls: its pages cost more to get
/// from the system than to fill (14.8 against 24 ms a hash).
#[derive(Default)]
pub struct Workspace {
    blocks: Vec<Block>,
    #[cfg(feature = "argon2-simd")]
    simd: simd::Workspace,
}

impl Workspace {
    /// As many blocks of 1 KiB as a hash of the default scheme takes.
    pub(super) const KEPT: usize = MEMORY_KIB as usize;

    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            self.blocks.resize(count, Block::new());
        } else if self.blocks.len() > count.max(Self::KEPT) {
            // An imported hash needed more; its memory is not kept for the next one.
            self.blocks.truncate(Self::KEPT.max(count));
            self.blocks.shrink_to_fit();
        }
        &mut self.blocks[..count]
    }

    /// How many blocks it keeps.
    fn kept(&self) -> usize {
        #[cfg(feature = "argon2-simd")]
        return self.blocks.len() + self.simd.kept();
        #[cfg(not(feature = "argon2-simd"))]
        self.blocks.len()
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({} KiB)", self.kept())
    }
}

/// One of the functions that Argon2 is.
#[derive(Debug, Clone)]
struct Function {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Function {
    /// That of new hashes.
    fn of_new() -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None);
        Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: params.expect("the parameters are within Argon2's ranges"),
        }
    }

    /// Fills `output` with what comes of `password` and `salt`.
    fn compute(
        &self,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
        workspace: &mut Workspace,
    ) -> Result<(), ::argon2::Error> {
        // What it refuses, the default decides about.
        #[cfg(feature = "argon2-simd")]
        if workspace.simd.compute(self, password, salt, output).is_ok() {
            return Ok(());
        }
        let blocks = workspace.blocks(self.params.block_count());
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, salt, output, blocks)
    }
}

/// The instructions that Argon2 is computed by if this build has the feature `argon2-simd`: `avx2`, say.
#[must_use]
pub fn simd_instructions() -> Option<&'static str> {
    #[cfg(feature = "argon2-simd")]
    return Some(simd::instructions());
    #[cfg(not(feature = "argon2-simd"))]
    None
}

/// A stored Argon2 hash: how it was made, and what came of it.
#[derive(Clone)]
pub struct Hash {
    function: Function,
    salt: Salt,
    output: Output,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("argon2::Hash(..)")
    }
}

/// As a PHC string.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Function { algorithm, version, params } = &self.function;
        let hash = phc::PasswordHash {
            algorithm: algorithm.ident(),
            version: Some((*version).into()),
            params: ParamsString::try_from(params).expect("the parameters have a text"),
            salt: Some(self.salt),
            hash: Some(self.output),
        };
        hash.fmt(f)
    }
}

impl FromStr for Hash {
    type Err = UnusableHash;

    fn from_str(stored: &str) -> Result<Self, UnusableHash> {
        let hash = phc::PasswordHash::new(stored).map_err(|_| UnusableHash)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| UnusableHash)?;
        let version =
            hash.version.map_or(Ok(Version::default()), Version::try_from).map_err(|_| UnusableHash)?;
        let params = Params::try_from(&hash).map_err(|_| UnusableHash)?;
        let within = params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= MAX_LANES;
        let (salt, output) = hash.salt.zip(hash.hash).ok_or(UnusableHash)?;
        let is_usable = within && salt.len() >= MIN_SALT_LEN;
        let function = Function { algorithm, version, params };
        is_usable.then_some(Self { function, salt, output }).ok_or(UnusableHash)
    }
}

impl Hash {
    /// A hash of the parameters of new ones, that no password matches.
    pub(super) fn decoy() -> Self {
        Self::of_new(&secret::random::<16>(), &secret::random::<{ Params::DEFAULT_OUTPUT_LEN }>())
    }

    fn of_new(salt: &[u8; 16], output: &[u8; Params::DEFAULT_OUTPUT_LEN]) -> Self {
        Self {
            function: Function::of_new(),
            salt: Salt::new(salt).expect("16 bytes are a salt"),
            output: Output::new(output).expect("32 bytes are an output"),
        }
    }

    /// The blocks of 1 KiB that a comparison fills, over its passes.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        let params = &self.function.params;
        u64::from(params.m_cost()) * u64::from(params.t_cost())
    }

    /// Whether new hashes are of a stronger kind, or of stronger parameters.
    pub(super) fn is_weaker_than_new_ones(&self) -> bool {
        let Function { algorithm, params, .. } = &self.function;
        *algorithm != Algorithm::Argon2id || params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES
    }

    /// Whether `password` is the one that this is a hash of.
    ///
    /// # Errors
    /// If Argon2 refuses the parameters together.
    pub fn matches(&self, password: &Password, workspace: &mut Workspace) -> Result<bool, UnusableHash> {
        let mut output = vec![0; self.output.len()];
        self.function
            .compute(password.bytes(), &self.salt, &mut output, workspace)
            .map_err(|_| UnusableHash)?;
        Ok(output.ct_eq(self.output.as_bytes()).into())
    }
}

/// A new hash of `password`, as a PHC string.
pub(super) fn hash(password: &[u8], workspace: &mut Workspace) -> String {
    let salt: [u8; 16] = secret::random();
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    Function::of_new()
        .compute(password, &salt, &mut output, workspace)
        .expect("a password of at most 256 characters is within Argon2's limits");
    Hash::of_new(&salt, &output).to_string()
}
