//! Something that may happen a thousand times a second, and is said once in a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(10);

/// When it was said last, and how often it has happened since.
#[derive(Default)]
pub(crate) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// Counts that it has happened. If it is to be said now, how often it has happened since it was last.
    pub(crate) fn is_due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (said_at, times) = &mut *state;
        *times += 1;
        let now = Instant::now();
        if said_at.is_some_and(|said_at| now < said_at + PAUSE) {
            return None;
        }
        *said_at = Some(now);
        Some(std::mem::take(times))
    }
}
