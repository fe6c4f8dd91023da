//! Sessions that the store was asked about a moment ago.
//!
//! Requests come in bursts: a page asks for ten things at once, a gateway asks about the token of each request. What
//! the store said serves them for a moment ([`RecentSessions::new`]), unless something is changed here meanwhile; then
//! it is asked again. So what ends a session on this node counts at once, and what ends it elsewhere when the moment
//! is over. Only what is read goes by it: whoever wants to change something is looked for each time.

use std::{
    fmt, io,
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use quick_cache::{Weighter, sync::Cache};

use crate::{
    id::SessionId,
    store::{Account, LiveSession, StoreError},
};

/// What is kept of each kind, in bytes as [`Weigh`] estimates them: some eight thousand accounts, or thirty thousand
/// sessions.
const CAPACITY: u64 = 8 * 1024 * 1024;
/// For how many there are places from the start.
const PLACES: usize = 256;

/// The sessions that were asked about, with their users' accounts and without.
pub struct RecentSessions {
    sessions: Answers<LiveSession>,
    accounts: Answers<SessionAccount>,
    lifetime: SignedDuration,
    /// How many changes were made here. An answer from before the last of them serves nobody any more.
    changes: AtomicU64,
}

/// A session that is alive, and its user's account, if the directory of accounts has it.
type SessionAccount = (LiveSession, Option<Account>);

type Answers<Found> = Cache<SessionId, Answer<Found>, ByWeight>;

/// What the store said.
#[derive(Clone)]
struct Answer<Found> {
    found: Found,
    at: Timestamp,
    /// How many changes had been made before it was asked.
    changes: u64,
}

impl fmt::Debug for RecentSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentSessions").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl RecentSessions {
    /// What the store says serves others for `lifetime`; if that is zero, it is asked each time.
    #[must_use]
    pub fn new(lifetime: SignedDuration) -> Self {
        let (sessions, accounts) = (
            Cache::with_weighter(PLACES, CAPACITY, ByWeight),
            Cache::with_weighter(PLACES, CAPACITY, ByWeight),
        );
        Self { sessions, accounts, lifetime, changes: AtomicU64::new(0) }
    }

    /// A session that is alive at `now`, or was a moment ago when `look` found it.
    pub(crate) async fn session(
        &self,
        session_id: SessionId,
        now: Timestamp,
        look: impl Future<Output = Result<Option<LiveSession>, StoreError>>,
    ) -> Result<Option<LiveSession>, StoreError> {
        self.find(&self.sessions, session_id, now, look).await
    }

    /// The same, and its user's account.
    pub(crate) async fn account(
        &self,
        session_id: SessionId,
        now: Timestamp,
        look: impl Future<Output = Result<Option<SessionAccount>, StoreError>>,
    ) -> Result<Option<SessionAccount>, StoreError> {
        self.find(&self.accounts, session_id, now, look).await
    }

    /// Makes a change that may end a session, or concern an account. Once it is made, or may have been, nobody is
    /// served with what was found before.
    pub(crate) async fn after<T>(&self, change: impl Future<Output = T>) -> T {
        let _forgotten = Forgotten(self);
        change.await
    }

    /// A change was made.
    pub(crate) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    async fn find<Found: Clone + Weigh>(
        &self,
        answers: &Answers<Found>,
        session_id: SessionId,
        now: Timestamp,
        look: impl Future<Output = Result<Option<Found>, StoreError>>,
    ) -> Result<Option<Found>, StoreError> {
        if self.lifetime.is_zero() {
            return look.await;
        }
        // Before the store is asked: what is changed from here on may not be in its answer.
        let changes = self.changes.load(Ordering::Acquire);
        if let Some(answer) = answers.get(&session_id)
            && answer.changes == changes
            && (SignedDuration::ZERO..self.lifetime).contains(&now.duration_since(answer.at))
        {
            return Ok(Some(answer.found));
        }
        let found = look.await?;
        if let Some(found) = &found {
            answers.insert(session_id, Answer { found: found.clone(), at: now, changes });
        }
        Ok(found)
    }
}

/// When it is dropped, a change was made; or its client has gone, and it may be made still.
struct Forgotten<'a>(&'a RecentSessions);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

/// How many bytes something takes, roughly.
trait Weigh {
    fn weigh(&self) -> u64;
}

impl Weigh for LiveSession {
    fn weigh(&self) -> u64 {
        256
    }
}

impl Weigh for SessionAccount {
    fn weigh(&self) -> u64 {
        let (session, account) = self;
        let Some(account) = account else { return session.weigh() };
        let names = account.contacts.len() + account.groups.len();
        // Values in memory take more than their text.
        session.weigh() + 128 * names as u64 + 2 * text_length(&account.profile)
    }
}

/// The length of a value's JSON.
fn text_length(value: &impl serde::Serialize) -> u64 {
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, value).map_or(CAPACITY, |()| counted.0)
}

struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
struct ByWeight;

impl<Found: Weigh> Weighter<SessionId, Answer<Found>> for ByWeight {
    fn weight(&self, _session_id: &SessionId, answer: &Answer<Found>) -> u64 {
        answer.found.weigh()
    }
}

#[cfg(test)]
mod tests;
