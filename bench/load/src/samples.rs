//! How long requests took, all of them kept, so that a percentile is exact.

use std::{collections::BTreeMap, time::Duration};

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was due, from the load's begin.
    pub due: Duration,
    /// From when it was due to the end of its answer.
    pub took: Duration,
    /// What it was answered with.
    pub status: u16,
}

/// Requests of one kind.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// Those of which `keep` holds.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Sample) -> bool) -> Self {
        Self(self.0.iter().copied().filter(keep).collect())
    }

    /// Those that were due from `from` on and before `to`.
    #[must_use]
    pub fn due_between(&self, from: Duration, to: Duration) -> Self {
        self.only(|sample| (from..to).contains(&sample.due))
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The least time that a share of all (0 to 1) did not exceed: the nearest rank. Zero if there are none.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a count is far below 2^52"
    )]
    pub fn percentile(&self, share: f64) -> Duration {
        let mut times: Vec<Duration> = self.0.iter().map(|sample| sample.took).collect();
        times.sort_unstable();
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The share (0 to 1) of which `holds` holds; 1 if there are none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
    pub fn share(&self, holds: impl Fn(&Sample) -> bool) -> f64 {
        if self.0.is_empty() {
            return 1.0;
        }
        self.only(holds).count() as f64 / self.count() as f64
    }

    /// How many there are of each status.
    #[must_use]
    pub fn by_status(&self) -> String {
        let mut counts = BTreeMap::<u16, usize>::new();
        for sample in &self.0 {
            *counts.entry(sample.status).or_default() += 1;
        }
        let counts = counts.iter().map(|(status, count)| match *status {
            crate::client::NO_ANSWER => format!("no answer {count}"),
            status => format!("{status}: {count}"),
        });
        counts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(milliseconds: &[u64]) -> Samples {
        let sample = |took: &u64| Sample {
            due: Duration::from_secs(*took),
            took: Duration::from_millis(*took),
            status: if *took > 50 { 503 } else { 200 },
        };
        Samples(milliseconds.iter().map(sample).collect())
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let hundred = samples(&(1..=100).rev().collect::<Vec<_>>());
        for (share, milliseconds) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)] {
            assert_eq!(hundred.percentile(share), Duration::from_millis(milliseconds), "{share}");
        }
        assert_eq!(samples(&[7]).percentile(0.99), Duration::from_millis(7));
        assert_eq!(samples(&[]).percentile(0.99), Duration::ZERO);
    }

    #[test]
    fn samples_are_counted_by_status_and_by_when_they_were_due() {
        let some = samples(&[10, 60, 70]);
        assert_eq!(some.by_status(), "200: 1, 503: 2");
        assert!((some.share(|sample| sample.status == 200) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(some.due_between(Duration::from_secs(10), Duration::from_secs(70)).count(), 2);
    }
}
