//! Deleting what is of no more use, by one node at a time.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::id::NodeId;

/// What the store gets rid of.
#[async_trait]
pub trait Cleanup: Send + Sync {
    /// Takes a job for `node` until `until`, unless another one has it at `now`. Says whether it was taken.
    ///
    /// # Errors
    /// If the store fails.
    async fn lease(
        &self,
        job: Job,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deletes at most `limit` leftovers of a kind that were of no more use `before` then. Says how many. A
    /// short transaction: nobody waits for it.
    ///
    /// # Errors
    /// If the store fails.
    async fn delete_leftovers(
        &self,
        kind: Leftover,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError>;
}

/// Work that one node does for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Deleting leftovers.
    Cleanup,
}

impl Job {
    /// The name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cleanup => "cleanup",
        }
    }
}

/// What is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Sessions that have come to their end.
    ExpiredSessions,
    /// Entries of the list of revoked sessions whose access tokens have expired.
    Revocations,
    /// Refresh tokens of the replaced service that were used or have expired.
    ForeignTokens,
    /// Signing keys whose last token has expired, and that were followed by another of their algorithm. Those that were withdrawn stay: a secret that an operator has given
    /// up is not to be trusted again.
    ExpiredKeys,
}

impl Leftover {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ExpiredSessions, Self::Revocations, Self::ForeignTokens, Self::ExpiredKeys];
}
