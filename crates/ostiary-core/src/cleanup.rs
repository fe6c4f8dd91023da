//! Cleanup: getting rid of what is of no more use, in small pieces, by one node at a time.

use jiff::SignedDuration;

use crate::{
    Ostiary,
    clock::{earlier, later},
    store::{Job, Leftover, StoreError},
};

/// So many rows are deleted at a time, which takes milliseconds.
const BATCH: u32 = 500;
/// A node that has stopped in the middle is waited for no longer.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// Leftovers stay this long, for whoever wants to know what has happened.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

impl Ostiary {
    /// Deletes what is left over, unless another node does. Says how much of each kind, where there was any.
    ///
    /// # Errors
    /// If the store fails; what was deleted before stays so.
    pub async fn clean_up(&self) -> Result<Vec<(Leftover, u64)>, StoreError> {
        let mut deleted = Vec::new();
        for kind in Leftover::ALL {
            let count = self.delete_all(kind).await?;
            if count > 0 {
                deleted.push((kind, count));
            }
        }
        Ok(deleted)
    }

    async fn delete_all(&self, kind: Leftover) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let now = self.clock.now();
            if !self.store.lease(Job::Cleanup, self.node, now, later(now, LEASE)).await? {
                return Ok(total);
            }
            let before = match kind {
                // An access token of the session may be alive for its whole life after the revocation.
                Leftover::Revocations => earlier(now, self.policy.access_token_lifetime + KEPT_FOR),
                Leftover::ExpiredSessions | Leftover::ForeignTokens | Leftover::ExpiredKeys => {
                    earlier(now, KEPT_FOR)
                }
            };
            let count = self.store.delete_leftovers(kind, before, BATCH).await?;
            total += u64::from(count);
            if count < BATCH {
                return Ok(total);
            }
            tokio::task::yield_now().await;
        }
    }
}
