//! Identifiers: one type for each kind of thing, so that a user's id is never taken for a session's.
//!
//! Ids are UUIDs of version 7 (RFC 9562 §5.7): sorted by time, so that new rows go to the end of an
//! index. They are names, never secrets.

use std::{cell::RefCell, fmt, hash, marker::PhantomData};

use jiff::Timestamp;
use uuid::Uuid;

use crate::secret;

/// The identifier of an `Of`.
pub struct Id<Of>(Uuid, PhantomData<fn() -> Of>);

/// What a [`UserId`] names.
#[derive(Debug)]
pub enum User {}
/// What a [`SessionId`] names.
#[derive(Debug)]
pub enum Session {}
/// What an [`EventId`] names.
#[derive(Debug)]
pub enum Event {}
/// What a [`NodeId`] names.
#[derive(Debug)]
pub enum Node {}
/// What a [`ServiceCredentialId`] names.
#[derive(Debug)]
pub enum ServiceCredential {}
/// What a [`TokenId`] names.
#[derive(Debug)]
pub enum AccessToken {}

/// The id of a user.
pub type UserId = Id<User>;
/// The id of a session.
pub type SessionId = Id<Session>;
/// The id of an audit event.
pub type EventId = Id<Event>;
/// The id of a running server, one of several on a store.
pub type NodeId = Id<Node>;
/// The id of a credential by which a service asks about tokens.
pub type ServiceCredentialId = Id<ServiceCredential>;
/// The id of an access token, its claim `jti`.
pub type TokenId = Id<AccessToken>;

/// Random bytes that a thread asks for at once, in ids. The generator takes little longer for a hundred than for one
/// (0.4 us, which was 3 % of `GET /me`), and each request has an id.
const AHEAD: usize = 100;

thread_local! {
    /// For the next ids of this thread. Who reads the memory of the server foresees them, but they are no secrets.
    static UNUSED: RefCell<Vec<[u8; 10]>> = const { RefCell::new(Vec::new()) };
}

/// The random bytes of one id.
fn random() -> [u8; 10] {
    UNUSED.with_borrow_mut(|unused| {
        if unused.is_empty() {
            let bytes: [u8; 10 * AHEAD] = secret::random();
            unused.extend_from_slice(bytes.as_chunks().0);
        }
        unused.pop().expect("there are some now")
    })
}

impl<Of> Id<Of> {
    /// A new id, made at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random()).into_uuid();
        Self::from_uuid(uuid)
    }

    /// The id that `text` is, in the one form that Ostiary writes: lower case, with hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        (uuid.to_string() == text).then(|| Self::from_uuid(uuid))
    }

    /// The id that a store kept as `uuid`.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The id as a store keeps it.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Of> Copy for Id<Of> {}

impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<Of> Eq for Id<Of> {}

impl<Of> hash::Hash for Id<Of> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "019abcde-0000-7000-8000-0123456789ab";
        assert_eq!(UserId::parse(text).unwrap().to_string(), text);
        for other in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), format!("{text} ")] {
            assert_eq!(UserId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn no_two_ids_of_one_moment_are_the_same_on_several_threads() {
        let several = || (0..3 * AHEAD).map(|_| UserId::new(Timestamp::UNIX_EPOCH)).collect::<Vec<_>>();
        let made: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(several)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.iter().map(UserId::to_string).collect::<HashSet<_>>().len(), 12 * AHEAD);
    }
}
