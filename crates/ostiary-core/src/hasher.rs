//! The hashing lane: threads of their own, which run in the time that the rest of the machine leaves, behind
//! a bounded queue. A flood of logins slows logins; everything else keeps its latency.
//!
//! Work that could not start within the deadline is refused at once, by the lane's measured pace,
//! and work whose client has gone is dropped before it starts. Those who are known go before those who
//! are not. bcrypt hashes of equal cost that wait are computed together, up to four by a thread, in little
//! more than the time of one.

use std::{fmt, sync::Arc, time::Duration};

use crate::password::{ParsedHash, Password, PasswordHash, PasswordScheme, UnusableHash, argon2, bcrypt};

mod flood;
mod job;
mod lane;
mod metrics;
mod pace;
mod priority;
mod queue;

use lane::Lane;
pub use metrics::LaneMetrics;
use pace::Cost;

/// How much longer than expected a hash may take before it is computed by another thread: several times what an
/// Argon2id hash takes, and too short for a user to mind.
const PATIENCE: Duration = Duration::from_millis(100);

/// How the lane is built.
#[derive(Debug, Clone, Copy)]
pub struct HasherSettings {
    /// How new hashes are made.
    pub scheme: PasswordScheme,
    /// How many threads compute hashes; one a core.
    pub threads: usize,
    /// How many of them go on while guesses flood the lane: one less than there are cores, so that whatever else is
    /// asked meanwhile finds one free.
    pub threads_in_flood: usize,
    /// How long work may wait before it starts.
    pub deadline: Duration,
}

/// Whose work it is. When the lane is full, those known go before those who are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A user who is signed in, or a device that has been before.
    Known,
    /// Anybody.
    Unknown,
}

/// The lane refuses or loses work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// Work could not start within the deadline; try again after this time.
    #[error("the hashing lane is full")]
    Busy(Duration),
    /// The work panicked, or the lane is shutting down.
    #[error("the hashing lane lost the work")]
    Lost,
}

/// The outcome of comparing a password with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password, or there is none.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and its stored hash is to be replaced by a new one.
    RightButWeak,
    /// What is stored is damaged, or no hash that this version knows.
    Unusable,
}

/// Computes password hashes in the lane.
pub struct Hasher {
    lane: Arc<Lane>,
    scheme: PasswordScheme,
    /// What an unknown user's password is compared with.
    decoy: ParsedHash,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Hasher {
    /// Starts the lane's threads.
    ///
    /// # Panics
    /// If the system gives no more threads.
    #[must_use]
    pub fn start(settings: HasherSettings) -> Self {
        Self::start_with(settings, PATIENCE)
    }

    fn start_with(settings: HasherSettings, patience: Duration) -> Self {
        let scheme = settings.scheme;
        Self { lane: Lane::start(settings, patience), scheme, decoy: scheme.decoy() }
    }

    /// How new hashes are made.
    #[must_use]
    pub const fn scheme(&self) -> PasswordScheme {
        self.scheme
    }

    /// The lane's figures.
    #[must_use]
    pub fn metrics(&self) -> &LaneMetrics {
        self.lane.metrics()
    }

    /// Whether work of such a standing would be taken now. Takes a microsecond, so that a flood can be
    /// refused before anything else is asked.
    ///
    /// # Errors
    /// If the lane is full.
    pub fn admit(&self, standing: Standing) -> Result<(), HasherError> {
        self.lane.admit(standing)
    }

    /// How much work waits for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lane.waiting()
    }

    /// A new hash of `password`.
    ///
    /// # Errors
    /// If the lane is full.
    ///
    /// # Panics
    /// Under bcrypt, if [`Password::is_too_long_for_bcrypt`]; the caller has refused that password.
    pub async fn hash(&self, password: Password, standing: Standing) -> Result<PasswordHash, HasherError> {
        match self.scheme {
            PasswordScheme::Argon2id => {
                let cost = Cost::Argon2 { blocks: argon2::BLOCKS_OF_NEW };
                let work = move |workspace: &mut _| PasswordScheme::Argon2id.hash(&password, workspace);
                self.lane.run(standing, cost, Vec::new(), move |_, _, workspace| work(workspace)).await
            }
            PasswordScheme::Bcrypt => {
                let computation = PasswordScheme::new_bcrypt(&password);
                let cost = Cost::Bcrypt { cost: computation.cost(), computations: 1 };
                let work = |computations: &[bcrypt::Computation], outputs: &[bcrypt::Output], _: &mut _| {
                    PasswordHash::of_bcrypt(&computations[0], outputs[0])
                };
                self.lane.run(standing, cost, vec![computation], work).await
            }
        }
    }

    /// Compares `password` with what is stored for the user, if there is one. An unknown user, and a
    /// hash that cannot be used, cost as much as a wrong password.
    ///
    /// # Errors
    /// If the lane is full.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
        standing: Standing,
    ) -> Result<Verdict, HasherError> {
        let scheme = self.scheme;
        // Of a decoy only the cost is wanted: its verdict is known.
        let (hash, if_right) = match stored.map(|stored| stored.parse()) {
            Some(Ok(hash)) if scheme.replaces(&hash) => (hash, Verdict::RightButWeak),
            Some(Ok(hash)) => (hash, Verdict::Right),
            Some(Err(UnusableHash)) => (self.decoy.clone(), Verdict::Unusable),
            None => (self.decoy.clone(), Verdict::Wrong),
        };
        let if_wrong = if if_right == Verdict::Unusable { Verdict::Unusable } else { Verdict::Wrong };
        let verdict = move |is_right| if is_right { if_right } else { if_wrong };
        let verdict = match hash {
            ParsedHash::Argon2(hash) => {
                let cost = Cost::Argon2 { blocks: hash.blocks() };
                let work = move |_: &_, _: &_, workspace: &mut _| {
                    hash.matches(&password, workspace).map_or(Verdict::Unusable, verdict)
                };
                self.lane.run(standing, cost, Vec::new(), work).await
            }
            ParsedHash::Bcrypt(hash) => {
                let computations = hash.computations(&password);
                let cost = Cost::Bcrypt { cost: hash.cost(), computations: computations.len() };
                let work = move |_: &_, outputs: &[_], _: &mut _| {
                    verdict(scheme.accepts_bcrypt(&password, &hash, outputs))
                };
                self.lane.run(standing, cost, computations, work).await
            }
        };
        if let Ok(verdict) = verdict {
            self.lane.compared(matches!(verdict, Verdict::Right | Verdict::RightButWeak));
        }
        verdict
    }

    /// [`Password::is_too_common`], in the lane.
    ///
    /// # Errors
    /// If the lane is full.
    pub async fn is_too_common(
        &self,
        password: Password,
        least_score: u8,
        about_user: Vec<String>,
        standing: Standing,
    ) -> Result<bool, HasherError> {
        if least_score == 0 {
            return Ok(false);
        }
        let work = move |_: &_, _: &_, _: &mut _| password.is_too_common(least_score, &about_user);
        self.lane.run(standing, Cost::Estimate, Vec::new(), work).await
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.lane.close();
    }
}

#[cfg(test)]
mod tests;
