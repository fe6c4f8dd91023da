//! The stores, as the rules see them.
//!
//! A method is a domain verb: one atomic step, one round trip. It returns an outcome; what is absent
//! is an `Option`; an error means that the step may not have happened. An audit event is an argument
//! of the method whose change it records, and is written in the same transaction.

mod accounts;
mod audit;
mod cleanup;
mod keys;
mod secret;
mod services;
mod sessions;

use async_trait::async_trait;
use prometheus_client::registry::Registry;

pub use accounts::{
    Account, AccountContact, Accounts, Change, Credentials, NewAccount, PasswordChange, PasswordLock,
    RegisterOutcome,
};
pub use audit::{About, AuditQuery, AuditTrail, RecordedEvent};
pub use cleanup::{Cleanup, Job, Leftover};
pub use keys::{SigningKeys, StoredSigningKey};
pub use secret::KnownSecret;
pub use services::{ServiceCredentials, StoredServiceCredential};
pub use sessions::{
    AuthenticationMethod, Exchange, ExchangeOutcome, LiveAt, LiveSession, NewSession, OpenOutcome, Opening,
    Refusal, Revocation, RevokeOutcome, RevokedSession, RotateOutcome, Rotation, SessionEvent, SessionRecord,
    Sessions,
};

/// Everything that Ostiary keeps.
#[async_trait]
pub trait Store:
    Accounts + AuditTrail + Cleanup + KnownSecret + ServiceCredentials + Sessions + SigningKeys
{
    /// Whether the store can read and write now.
    ///
    /// # Errors
    /// If it cannot.
    async fn check(&self) -> Result<(), StoreError>;

    /// Adds the store's figures to those that are shown to Prometheus.
    fn register_metrics(&self, registry: &mut Registry);
}

/// A step of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be used at the moment: a full disk, a lost connection. The step did not
    /// happen, or its outcome is unknown; trying again later is right.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A directory that Ostiary did not make has no function for this; its name and arguments.
    #[error("the database has no function {0}")]
    FunctionMissing(&'static str),
    /// The step cannot succeed as it is; a defect, or a damaged database.
    #[error("the store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The error and all of its causes, for the log.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}
