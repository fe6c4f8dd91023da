//! How much of a body is taken, and how much memory those may hold that have not come in full, all of them together.
//!
//! Each may be as large as the limit on bodies, and clients can send many at once that never end. When
//! they hold too much, the oldest is given up, whoever sends it: so a flood of them ends itself, and a client
//! that sends a body without delay is not kept out by it. (To refuse newcomers instead would let the flood
//! keep everybody out.)

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::seldom::Seldom;

/// What they may hold, in bytes, which is some 450 of 64 KiB, or 4,096 that have only begun; unless that would be fewer than [`LEAST_BODIES`] of the greatest size.
const LEAST_BYTES: usize = 32 * 1024 * 1024;

const LEAST_BODIES: usize = 64;

/// What a request holds beside the bytes of its body, about: its task, and its stream of HTTP/2.
const BESIDE_BYTES: usize = 8 * 1024;

/// How much of a body is taken, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The greatest size in bytes.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub timeout: Duration,
}

/// The bodies that are under way.
pub struct BodyBudget {
    most: usize,
    bodies: Mutex<Bodies>,
    warning: Seldom,
}

#[derive(Default)]
struct Bodies {
    held: usize,
    next: u64,
    /// The oldest first.
    open: BTreeMap<u64, OpenBody>,
}

struct OpenBody {
    held: usize,
    given_up: CancellationToken,
}

impl BodyBudget {
    /// A budget for bodies of at most `body_limit` bytes each.
    #[must_use]
    pub fn for_bodies_of(body_limit: usize) -> Self {
        Self::of(LEAST_BYTES.max(LEAST_BODIES * body_limit))
    }

    fn of(most: usize) -> Self {
        Self { most, bodies: Mutex::default(), warning: Seldom::default() }
    }

    fn bodies(&self) -> MutexGuard<'_, Bodies> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The share of a body that is about to come.
    pub(crate) fn open(&self) -> BodyShare<'_> {
        let given_up = CancellationToken::new();
        let mut bodies = self.bodies();
        let number = bodies.next;
        bodies.next += 1;
        bodies.open.insert(number, OpenBody { held: 0, given_up: given_up.clone() });
        drop(bodies);
        let share = BodyShare { budget: self, number, given_up };
        share.grow(BESIDE_BYTES);
        share
    }
}

/// What one body holds, until it is dropped.
pub(crate) struct BodyShare<'a> {
    budget: &'a BodyBudget,
    number: u64,
    given_up: CancellationToken,
}

impl BodyShare<'_> {
    /// Counts `bytes` that have come. If all bodies then hold too much, the oldest are given up.
    pub(crate) fn grow(&self, bytes: usize) {
        let mut bodies = self.budget.bodies();
        let Some(body) = bodies.open.get_mut(&self.number) else { return };
        body.held += bytes;
        bodies.held += bytes;
        while bodies.held > self.budget.most
            && let Some((_, oldest)) = bodies.open.pop_first()
        {
            bodies.held -= oldest.held;
            oldest.given_up.cancel();
            if let Some(times) = self.budget.warning.is_due() {
                tracing::warn!(
                    times,
                    "bodies of requests come slowly and hold too much: the oldest are given up"
                );
            }
        }
    }

    /// Resolves once the body is given up.
    pub(crate) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }
}

impl Drop for BodyShare<'_> {
    fn drop(&mut self) {
        let mut bodies = self.budget.bodies();
        if let Some(body) = bodies.open.remove(&self.number) {
            bodies.held -= body.held;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl BodyShare<'_> {
        fn is_given_up(&self) -> bool {
            self.given_up.is_cancelled()
        }
    }

    #[test]
    fn the_oldest_bodies_are_given_up_when_all_hold_too_much() {
        let budget = BodyBudget::of(4 * BESIDE_BYTES);
        let first = budget.open();
        let second = budget.open();
        let third = budget.open();
        third.grow(BESIDE_BYTES);
        assert!(!first.is_given_up(), "all of it may be held");
        third.grow(1);
        assert!(first.is_given_up() && !second.is_given_up() && !third.is_given_up());
        // It counts no more, and cannot come back.
        first.grow(100 * BESIDE_BYTES);
        drop(first);
        assert!(!second.is_given_up() && !third.is_given_up());
        let fourth = budget.open();
        assert!(second.is_given_up() && !third.is_given_up() && !fourth.is_given_up());
    }

    #[test]
    fn a_body_that_has_come_leaves_its_room_to_others() {
        let budget = BodyBudget::of(2 * BESIDE_BYTES);
        let first = budget.open();
        for _ in 0..10 {
            budget.open().grow(0);
        }
        assert!(!first.is_given_up());
        drop(first);
        assert_eq!(budget.bodies().held, 0);
        assert!(budget.bodies().open.is_empty());
    }

    #[test]
    fn one_body_alone_has_room_whatever_its_limit_is() {
        for limit in [1_024, 65_536, 16_777_216] {
            let budget = BodyBudget::for_bodies_of(limit);
            let body = budget.open();
            body.grow(limit);
            assert!(!body.is_given_up(), "{limit}");
        }
    }
}
