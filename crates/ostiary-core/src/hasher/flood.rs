//! Whether guesses flood the lane.

use std::time::{Duration, Instant};

/// How long after the last refusal a flood goes on.
const LASTS: Duration = Duration::from_secs(1);
/// Over how many comparisons the share of wrong passwords is averaged.
const AVERAGED: f32 = 32.0;

/// A flood of guesses: the lane refuses work, and most passwords that it compares are wrong. Where too many users log
/// in at once most passwords are right, so that the lane does not get slower just when it has too much to do.
#[derive(Debug, Default)]
pub(super) struct Flood {
    refused_at: Option<Instant>,
    /// The share of wrong ones among the last comparisons: a moving average, 0 to 1.
    wrong: f32,
}

impl Flood {
    /// Work was refused, because it could not start in time. Says whether a flood begins with it.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        let was_on = self.is_on(now);
        self.refused_at = Some(now);
        !was_on && self.is_on(now)
    }

    /// A password was compared.
    pub(super) fn compared(&mut self, is_right: bool) {
        let wrong = if is_right { 0.0 } else { 1.0 };
        self.wrong += (wrong - self.wrong) / AVERAGED;
    }

    pub(super) fn is_on(&self, now: Instant) -> bool {
        let is_refusing = self.refused_at.is_some_and(|refused_at| now < refused_at + LASTS);
        is_refusing && self.wrong > 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane that compared so many right, and so many wrong passwords.
    fn compared(right: usize, wrong: usize) -> Flood {
        let mut flood = Flood::default();
        (0..right).for_each(|_| flood.compared(true));
        (0..wrong).for_each(|_| flood.compared(false));
        flood
    }

    #[test]
    fn a_flood_is_wrong_passwords_of_which_some_are_refused_and_ends_with_the_refusals() {
        let now = Instant::now();
        let mut flood = compared(100, 100);
        assert!(!flood.is_on(now), "none was refused");
        assert!(flood.refused(now), "it begins");
        assert!(!flood.refused(now + LASTS / 2), "it has begun");
        assert!(flood.is_on(now + LASTS));
        assert!(!flood.is_on(now + LASTS * 2));
        assert!(flood.refused(now + LASTS * 2), "another begins");
    }

    #[test]
    fn many_users_who_log_in_are_no_flood_though_some_mistype() {
        let now = Instant::now();
        let mut flood = compared(0, 0);
        assert!(!flood.refused(now));
        for number in 0..300 {
            flood.compared(number % 3 > 0);
            assert!(!flood.refused(now), "{number}");
        }
        assert!(!flood.is_on(now));
    }
}
