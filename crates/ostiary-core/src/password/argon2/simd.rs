//! Argon2 by the crate `argon2-rust`, which has code of its own for AVX2, AVX-512 and NEON, and finds out at run
//! time which of them the processor has.
//!
//! Nobody has audited that crate. It knows every function that a stored hash can name; the tests hold it to the
//! output of the default, over random ones.

use argon2_rust::{
    Algorithm, Argon2, Error, Hasher, Params, Version,
    params::{Memory, TagLen},
};

use super::Function;

/// The memory that it works in, kept between calls as the default's is.
#[derive(Default)]
pub(super) struct Workspace(Option<Hasher>);

impl Workspace {
    /// How many blocks of 1 KiB it keeps.
    pub(super) fn kept(&self) -> usize {
        self.0.as_ref().map_or(0, Hasher::reserved_blocks)
    }

    /// Fills `output` with what comes of `password` and `salt`.
    ///
    /// # Errors
    /// If the system has no memory, or the lengths are not within Argon2's ranges.
    pub(super) fn compute(
        &mut self,
        function: &Function,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let hasher = self.hasher(function, output.len())?;
        hasher.hash_into_with_ad(password, salt, &[], function.params.data(), output)
    }

    /// What computes `function`, with the memory that is kept.
    fn hasher(&mut self, function: &Function, output: usize) -> Result<&mut Hasher, Error> {
        let Function { algorithm, version, params } = function;
        let params = Params::builder()
            .memory(Memory::kib(params.m_cost().into()))
            .passes(params.t_cost())
            .lanes(params.p_cost())
            // The hashing lane has a thread a core already.
            .threads(1)
            .tag_len(TagLen::bytes(output as u64))
            .build()?;
        let algorithm = match algorithm {
            ::argon2::Algorithm::Argon2d => Algorithm::Argon2d,
            ::argon2::Algorithm::Argon2i => Algorithm::Argon2i,
            ::argon2::Algorithm::Argon2id => Algorithm::Argon2id,
        };
        let version = match version {
            ::argon2::Version::V0x10 => Version::V0x10,
            ::argon2::Version::V0x13 => Version::V0x13,
        };
        let argon2 = Argon2::new(algorithm, version, params);
        let hasher = self.0.get_or_insert_with(|| argon2.hasher());
        hasher.set_argon2(argon2);
        if hasher.reserved_blocks() > super::Workspace::KEPT.max(params.memory_blocks() as usize) {
            // An imported hash needed more; its memory is not kept for the next one.
            hasher.clear();
        }
        Ok(hasher)
    }
}

/// The instructions that it computes by on this processor.
#[cfg(feature = "argon2-simd")]
pub(super) fn instructions() -> &'static str {
    argon2_rust::detected_backend().name()
}

#[cfg(test)]
mod tests;
