//! What work of the lane costs, how much of it is ahead, and how long that takes at the pace that was
//! measured.

use std::time::Duration;

use crate::password::bcrypt;

/// What a job is made of, as far as its duration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Argon2, with the blocks of 1 KiB that it fills over all of its passes.
    Argon2 { blocks: u64 },
    /// So many bcrypt computations of one cost.
    Bcrypt { cost: u32, computations: usize },
    /// An estimate of how likely a password is.
    Estimate,
}

/// What is waiting, kept by kind, so that it can be judged at any later pace.
#[derive(Debug, Default)]
pub(super) struct Load {
    jobs: usize,
    argon2_blocks: u64,
    /// How many computations wait, by cost.
    bcrypt: [usize; bcrypt::MAX_COST as usize + 1],
    estimates: u64,
}

impl Load {
    pub(super) const fn jobs(&self) -> usize {
        self.jobs
    }

    pub(super) fn add(&mut self, cost: Cost) {
        self.jobs += 1;
        match cost {
            Cost::Argon2 { blocks } => self.argon2_blocks += blocks,
            Cost::Bcrypt { cost, computations } => self.bcrypt[cost as usize] += computations,
            Cost::Estimate => self.estimates += 1,
        }
    }

    pub(super) fn remove(&mut self, cost: Cost) {
        self.jobs -= 1;
        match cost {
            Cost::Argon2 { blocks } => self.argon2_blocks -= blocks,
            Cost::Bcrypt { cost, computations } => self.bcrypt[cost as usize] -= computations,
            Cost::Estimate => self.estimates -= 1,
        }
    }
}

/// How long things take a thread of the lane: moving averages over about eight measurements, in
/// nanoseconds, each of a unit that does not depend on the parameters of a hash.
///
/// bcrypt is measured by the round of computations that a thread does together: a round of four takes
/// about as long as one alone, so the measure is right whether the lane was idle before or full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Of a block that Argon2 fills.
    argon2_block: u64,
    /// Of one of the 2^cost expansions in a round of bcrypt.
    bcrypt_expansion: u64,
    estimate: u64,
}

impl Pace {
    /// What work is taken to cost before any was measured: 20 ms for Argon2id as we make it, 225 ms for
    /// bcrypt of cost 12.
    pub(super) const FIRST: Self = Self { argon2_block: 514, bcrypt_expansion: 54_932, estimate: 1_000_000 };

    /// Learns from a job, or a round of bcrypt, that took so long.
    pub(super) fn measure(&mut self, cost: Cost, took: Duration) {
        let (average, units) = match cost {
            Cost::Argon2 { blocks } => (&mut self.argon2_block, blocks.max(1)),
            Cost::Bcrypt { cost, .. } => (&mut self.bcrypt_expansion, 1 << cost),
            Cost::Estimate => (&mut self.estimate, 1),
        };
        let measured = nanoseconds(took) / units;
        *average = average.saturating_sub(*average / 8).saturating_add(measured / 8).max(1);
    }

    /// How long a thread takes for one job, or one round of bcrypt.
    pub(super) fn of(&self, cost: Cost) -> Duration {
        Duration::from_nanos(match cost {
            Cost::Argon2 { blocks } => self.argon2_block.saturating_mul(blocks),
            Cost::Bcrypt { cost, .. } => self.bcrypt_expansion.saturating_mul(1 << cost),
            Cost::Estimate => self.estimate,
        })
    }

    /// How long one thread takes for all that is in `loads`.
    pub(super) fn of_all(&self, loads: &[&Load]) -> Duration {
        let argon2 = self.argon2_block.saturating_mul(loads.iter().map(|load| load.argon2_blocks).sum());
        let estimates = self.estimate.saturating_mul(loads.iter().map(|load| load.estimates).sum());
        let expansions = (0..=bcrypt::MAX_COST).fold(0_u64, |expansions, cost| {
            let computations: usize = loads.iter().map(|load| load.bcrypt[cost as usize]).sum();
            expansions.saturating_add((computations.div_ceil(bcrypt::TOGETHER) as u64) << cost)
        });
        let bcrypt = self.bcrypt_expansion.saturating_mul(expansions);
        Duration::from_nanos(argon2.saturating_add(estimates).saturating_add(bcrypt))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
