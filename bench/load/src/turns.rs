//! Rates that are measured in turns, A, B, A, B and so on: what disturbs a machine for a while then disturbs
//! what is compared as much as what it is compared with.

use std::{pin::Pin, time::Duration};

use serde::Serialize;

/// What is measured in a turn: it works for a duration, and gives how much it did in a second.
pub type Rate<'a> = Box<dyn FnMut(Duration) -> Pin<Box<dyn Future<Output = anyhow::Result<f64>> + 'a>> + 'a>;

/// A rate of something that waits, such as requests.
pub fn rate<'a, Working: Future<Output = anyhow::Result<f64>> + 'a>(
    mut work: impl FnMut(Duration) -> Working + 'a,
) -> Rate<'a> {
    Box::new(move |duration| Box::pin(work(duration)))
}

/// A rate of something that holds the thread, such as hashes.
pub fn blocking<'a>(mut work: impl FnMut(Duration) -> anyhow::Result<f64> + 'a) -> Rate<'a> {
    Box::new(move |duration| {
        let rate = work(duration);
        Box::pin(async { rate })
    })
}

/// How many turns each takes, and how long they are.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// The turns of each that count.
    pub count: usize,
    /// How long each is.
    pub each: Duration,
    /// How long each works once before, uncounted: connections open, memory and caches fill.
    pub warm_up: Duration,
}

impl Turns {
    /// Lets all take their turns, in their order, round after round.
    ///
    /// # Errors
    /// The first of any of them.
    pub async fn take<const COUNT: usize>(
        &self,
        mut rates: [Rate<'_>; COUNT],
    ) -> anyhow::Result<[Measured; COUNT]> {
        for rate in &mut rates {
            rate(self.warm_up).await?;
        }
        let mut measured = [const { Measured(Vec::new()) }; COUNT];
        for _ in 0..self.count {
            for (rate, measured) in rates.iter_mut().zip(&mut measured) {
                measured.0.push(rate(self.each).await?);
            }
        }
        Ok(measured)
    }
}

/// What one kind of turn gave, each time that it was taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured(pub Vec<f64>);

impl Measured {
    /// The one in the middle, or the mean of the two in the middle; not a number if there are none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => f64::NAN,
            length if length.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        }
    }

    /// How far the largest is from the smallest, as a share of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.most() - self.least()) / self.median()
    }

    /// The smallest; infinite if there are none.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The largest; infinite, and below zero, if there are none.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The same values in another unit, `factor` of which are one of this.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const TURNS: Turns = Turns { count: 3, each: Duration::from_secs(2), warm_up: Duration::from_secs(1) };

    #[tokio::test]
    async fn all_take_turns_after_a_warm_up_that_does_not_count() {
        let calls = RefCell::new(Vec::new());
        let calls = &calls;
        let called = |name, duration: Duration| {
            calls.borrow_mut().push((name, duration.as_secs()));
            f64::from(u32::try_from(calls.borrow().len()).expect("few"))
        };
        let waits = rate(move |duration| async move { Ok(called('a', duration)) });
        let holds = blocking(|duration| Ok(called('b', duration)));
        let [a, b] = TURNS.take([waits, holds]).await.expect("neither fails");
        assert_eq!(
            *calls.borrow(),
            [('a', 1), ('b', 1), ('a', 2), ('b', 2), ('a', 2), ('b', 2), ('a', 2), ('b', 2)]
        );
        assert_eq!((a.0, b.0), (vec![3.0, 5.0, 7.0], vec![4.0, 6.0, 8.0]));
    }

    #[tokio::test]
    async fn an_error_ends_the_turns() {
        let mut left = 2;
        let fails = blocking(move |_| {
            left -= 1;
            anyhow::ensure!(left >= 0, "it is enough");
            Ok(1.0)
        });
        let error = TURNS.take([fails]).await.expect_err("the third call fails");
        assert_eq!(error.to_string(), "it is enough");
    }

    #[test]
    fn the_median_is_in_the_middle_and_the_spread_a_share_of_it() {
        let odd = Measured(vec![9.0, 10.0, 12.0]);
        assert!((odd.median() - 10.0).abs() < 1e-9);
        assert!((odd.spread() - 0.3).abs() < 1e-9);
        assert!((Measured(vec![4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(Measured::default().median().is_nan());
    }
}
