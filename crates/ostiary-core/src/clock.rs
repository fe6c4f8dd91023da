//! Time as a parameter: everything that depends on the time asks a [`Clock`].
//!
//! `clippy.toml` forbids every other source, so a test can move time and two nodes can agree on it.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// A source of the current time, in whole microseconds (the resolution that both stores keep).
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The time that is `span` after `time`; at most the last that there is.
#[must_use]
pub fn later(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// The time that is `span` before `time`; at least that of 1970.
#[must_use]
pub fn earlier(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_sub(span).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH)
}

/// The operating system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        whole_microseconds(Timestamp::now())
    }
}

/// The operating system's clock, corrected so that several nodes show the time of their one database.
#[derive(Debug, Default)]
pub struct CorrectedClock {
    microseconds: AtomicI64,
}

impl CorrectedClock {
    /// What is added to the system's clock.
    #[must_use]
    pub fn correction(&self) -> SignedDuration {
        SignedDuration::from_micros(self.microseconds.load(Ordering::Relaxed))
    }

    /// Adds `correction` to the system's clock from now on, in whole microseconds.
    pub fn correct_by(&self, correction: SignedDuration) {
        let microseconds = i64::try_from(correction.as_micros()).unwrap_or(0);
        self.microseconds.store(microseconds, Ordering::Relaxed);
    }
}

impl Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        let system = SystemClock.now();
        system.saturating_add(self.correction()).unwrap_or(system)
    }
}

/// A clock that stands still until it is told to move; for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_microsecond()))
    }

    /// Moves the clock by `step`, which may be negative.
    pub fn advance(&self, step: SignedDuration) {
        let microseconds = i64::try_from(step.as_micros()).expect("a test moves by less than an age");
        self.0.fetch_add(microseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).expect("a test stays within jiff's range")
    }
}

fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).expect("a valid time cut short is valid")
}
