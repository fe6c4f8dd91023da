//! Accounts: users, their contacts, groups and password hashes.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{LiveAt, LiveSession, NewSession, SessionEvent, StoreError};
use crate::{
    audit::AuditEvent,
    contact::{Contact, ContactKind},
    id::{SessionId, UserId},
    password::PasswordHash,
};

/// The directory of accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account and opens its user's first session: both, or neither.
    ///
    /// # Errors
    /// If the store fails.
    async fn register(
        &self,
        account: NewAccount,
        session: NewSession,
        event: AuditEvent,
    ) -> Result<RegisterOutcome, StoreError>;

    /// The active user whose contact this is. A directory that Ostiary did not make may know a username as
    /// it was typed.
    ///
    /// # Errors
    /// If the store fails.
    async fn find_credentials(&self, contact: &Contact) -> Result<Option<Credentials>, StoreError>;

    /// What an active user's password is checked against where they are logged in.
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn credentials_of(&self, user_id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// An active user's account.
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn find_account(&self, user_id: UserId) -> Result<Option<Account>, StoreError>;

    /// A session, if it is alive and its user active, with its user's account: both as of one moment. (A directory
    /// that Ostiary did not make is asked after the session, and may have no account of an active user.)
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn find_session_account(
        &self,
        session_id: SessionId,
        at: LiveAt,
    ) -> Result<Option<(LiveSession, Option<Account>)>, StoreError>;

    /// Puts `new` in the place of a user's profile if that is still `seen`.
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn replace_profile(
        &self,
        user_id: UserId,
        seen: Option<Map<String, Value>>,
        new: Option<Map<String, Value>>,
        event: SessionEvent,
    ) -> Result<Change, StoreError>;

    /// Changes a password, opens it if it was shut, and ends the user's other sessions: all, or nothing.
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn change_password(
        &self,
        change: PasswordChange,
        event: SessionEvent,
    ) -> Result<Change, StoreError>;

    /// Deletes an account and all that hangs on it. Earlier events about the user stay, without where they came
    /// from. Says whether there was such an account.
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn delete_account(&self, user_id: UserId, event: SessionEvent) -> Result<bool, StoreError>;

    /// Puts `new` in the place of a user's password hash if that is still `old`; says whether it was.
    ///
    /// # Errors
    /// If the store fails, or its directory has no way to do it.
    async fn replace_password_hash(
        &self,
        user_id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError>;

    /// Shuts a user's password; says whether it was open.
    ///
    /// # Errors
    /// If the store fails.
    async fn lock_password(&self, user_id: UserId, event: AuditEvent) -> Result<bool, StoreError>;

    /// Opens a user's password, and forgets the failures before; says whether it was shut.
    ///
    /// # Errors
    /// If the store fails.
    async fn unlock_password(&self, user_id: UserId, event: AuditEvent) -> Result<bool, StoreError>;

    /// Makes the groups that are not there yet. The groups of a directory that Ostiary did not make are its
    /// own affair.
    ///
    /// # Errors
    /// If the store fails.
    async fn ensure_groups(&self, names: &[String], now: Timestamp) -> Result<(), StoreError>;
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its id, unless the directory gives it another.
    pub id: UserId,
    /// The names by which its user is found; at most one of each kind.
    pub contacts: Vec<Contact>,
    /// What the user says about themselves; any JSON object.
    pub profile: Option<Map<String, Value>>,
    /// The groups that it joins, each once.
    pub groups: Vec<String>,
    /// The hash of its password.
    pub password_hash: PasswordHash,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What came of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// The account and its session are there; this is the user's id.
    Registered(UserId),
    /// A contact belongs to another account; the first such in the order they were given.
    ContactTaken(ContactKind),
    /// There is no such group.
    GroupNotFound(String),
    /// A directory that Ostiary did not make refused, in these words, which it means for the client.
    Refused(String),
}

/// An account, as its user sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// The names by which its user is found.
    pub contacts: Vec<AccountContact>,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// What the user says about themselves.
    pub profile: Option<Map<String, Value>>,
    /// When it was made; a directory that Ostiary did not make may not know.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// A contact of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountContact {
    /// What it is.
    pub kind: ContactKind,
    /// The spelling that is compared.
    pub value: String,
    /// What was typed.
    pub typed: String,
    /// Whether the user has shown that it is theirs.
    pub is_verified: bool,
}

/// A contact is personal data: logs show what it is, not which one.
impl fmt::Debug for AccountContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountContact({}, ..)", self.kind.as_str())
    }
}

/// A password to be changed.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// Whose it is.
    pub user_id: UserId,
    /// The hash that the current password was compared with.
    pub seen: PasswordHash,
    /// The hash of the new one.
    pub new: PasswordHash,
}

/// What came of a change to what was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    Made,
    /// Somebody else was quicker: look again.
    Stale,
}

/// What a login is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// The hash of the password, if the user has one.
    pub password_hash: Option<PasswordHash>,
    /// Whether the password may be used.
    pub lock: PasswordLock,
}

/// Whether a password was shut after too many failures. A user of whom nothing is kept has never been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PasswordLock {
    /// Since when it opens nothing on devices that are not known, if it is so.
    pub locked_at: Option<Timestamp>,
    /// Failures up to this time do not count.
    pub unlocked_at: Option<Timestamp>,
}
