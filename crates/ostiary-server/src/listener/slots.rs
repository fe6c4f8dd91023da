//! The connections that are served, of which there is a greatest number.
//!
//! When there are so many, a newcomer must still get in, or whoever opens enough connections and does
//! nothing keeps everybody out. So room is made: the connection that has waited the longest for its client
//! is closed. An honest client whose connection idles opens another; one that sends a request is never in
//! front of those that only wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::watch::Watch;
use crate::seldom::Seldom;

/// How long a connection that is to make room may take for it, before the next one is asked; and if all are
/// at work, how often it is looked whether one waits.
const PATIENCE: Duration = Duration::from_millis(100);

/// The connections that are served.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
    warning: Seldom,
}

#[derive(Default)]
struct Taken {
    next: u64,
    watches: HashMap<u64, Arc<Watch>>,
}

impl Slots {
    /// Room for `count` connections.
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))),
            taken: Mutex::default(),
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

    /// Closes the connection that has waited the longest for its client, if there is one that waits.
    pub(super) fn make_room(&self) {
        let taken = self.taken();
        let waiting =
            taken.watches.values().filter_map(|watch| Some((watch.waits_for_client_since()?, watch)));
        if let Some((_, watch)) = waiting.min_by_key(|(since, _)| *since) {
            watch.close();
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
    }
}
