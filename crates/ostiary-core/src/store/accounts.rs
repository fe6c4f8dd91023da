//! Accounts: users, their contacts, groups and password hashes.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{NewSession, StoreError};
use crate::{
    audit::AuditEvent,
    contact::{Contact, ContactKind},
    id::UserId,
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

/// What a login is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// The hash of the password, if the user has one.
    pub password_hash: Option<PasswordHash>,
}
