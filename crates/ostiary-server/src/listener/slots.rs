//! The connections that are served, of which there is a greatest number.
//!
//! When there are so many, a newcomer must still get in, or whoever opens enough connections and does
//! nothing keeps everybody out. So room is made: the connections that have waited the longest for their
//! clients are closed. An honest client whose connection idles opens another; one that has just sent
//! something is the last to go.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{metrics::ConnectionMetrics, watch::Watch};
use crate::seldom::Seldom;

/// How often it is looked whether a connection waits, while all are at work.
const PATIENCE: Duration = Duration::from_millis(100);

/// Room is made for this part of all connections at a time, so that in a flood not every newcomer has to
/// wait until all have been looked through.
const BATCHES: usize = 32;

/// The connections that are served.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    /// How many make room at a time.
    batch: usize,
    taken: Mutex<Taken>,
    metrics: ConnectionMetrics,
    warning: Seldom,
}

#[derive(Default)]
struct Taken {
    next: u64,
    watches: HashMap<u64, Arc<Watch>>,
}

impl Slots {
    /// Room for `count` connections, counted in `metrics`.
    pub(super) fn new(count: usize, metrics: ConnectionMetrics) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))),
            batch: (count / BATCHES).max(1),
            taken: Mutex::default(),
            metrics,
            warning: Seldom::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for the connection that `watch` follows, for which another may have to go. It waits only as
    /// long as the server has something to do for every one of them.
    pub(super) async fn take(self: &Arc<Self>, watch: Arc<Watch>) -> Slot {
        let free = self.free().await;
        let mut taken = self.taken();
        let number = taken.next;
        taken.next += 1;
        taken.watches.insert(number, watch);
        self.metrics.accepted.inc();
        self.metrics.open.inc();
        Slot { number, slots: Arc::clone(self), _free: free }
    }

    async fn free(&self) -> OwnedSemaphorePermit {
        if let Ok(free) = Arc::clone(&self.free).try_acquire_owned() {
            return free;
        }
        if let Some(times) = self.warning.is_due() {
            tracing::warn!(
                times,
                "all connections that MAX_CONNECTIONS allows are taken: those that wait the longest are closed"
            );
        }
        loop {
            self.make_room();
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(free) = tokio::time::timeout(PATIENCE, free).await {
                return free.expect("the semaphore is never closed");
            }
        }
    }

    /// Closes the connections that have waited the longest for their clients, a few of those that wait; none
    /// before the last few are gone.
    pub(super) fn make_room(&self) {
        let taken = self.taken();
        if taken.watches.values().any(|watch| watch.is_closing()) {
            return;
        }
        let mut waiting: Vec<_> = taken
            .watches
            .values()
            .filter_map(|watch| Some((watch.waits_for_client_since()?, watch)))
            .collect();
        if waiting.len() > self.batch {
            waiting.select_nth_unstable_by_key(self.batch, |(since, _)| *since);
        }
        for (_, watch) in waiting.iter().take(self.batch) {
            watch.close();
            self.metrics.made_room.inc();
        }
    }
}

/// The place of a connection, until it is dropped.
pub(super) struct Slot {
    number: u64,
    slots: Arc<Slots>,
    _free: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().watches.remove(&self.number);
        self.slots.metrics.open.dec();
    }
}
