//! The rules of Ostiary: what an account, a password, a session and a token are, and what may be done
//! with them. No HTTP, no SQL, no network: the world is given as a [`store::Store`] and a
//! [`clock::Clock`].
//!
//! [`Ostiary`] is the one struct; each use case is a file with an `impl` of it and its error:
//! [`account`], [`login`], [`session`], [`logout`], [`self_service`], [`access`], [`service`], [`cleanup`].

use std::sync::Arc;

pub mod access;
pub mod account;
pub mod audit;
pub mod cleanup;
pub mod clock;
pub mod contact;
pub mod device;
pub mod guess;
pub mod hasher;
pub mod id;
pub mod jwt;
pub mod keys;
pub mod known_device;
pub mod limit;
pub mod login;
pub mod logout;
pub mod password;
pub mod policy;
pub mod profile;
pub mod recent;
pub mod refresh_token;
pub mod secret;
pub mod self_service;
pub mod service;
pub mod session;
pub mod store;

/// An authentication server, but for the wires.
pub struct Ostiary {
    /// Where everything is kept.
    pub store: Arc<dyn store::Store>,
    /// What time it is.
    pub clock: Arc<dyn clock::Clock>,
    /// The sessions that were asked about a moment ago.
    pub recent: recent::RecentSessions,
    /// The lane that computes password hashes.
    pub hasher: hasher::Hasher,
    /// The keys that sign access tokens.
    pub keys: keys::Keys,
    /// The keys that make refresh tokens.
    pub refresh_tokens: refresh_token::RefreshTokenKeys,
    /// Counts guesses at passwords.
    pub limiter: Arc<dyn limit::Limiter>,
    /// Names what guesses are counted against.
    pub budget_keys: limit::BudgetKeys,
    /// What the limits did.
    pub limit_metrics: limit::LimitMetrics,
    /// The keys that make the tokens of known devices.
    pub device_tokens: known_device::DeviceTokenKeys,
    /// The keys that hash the credentials of services.
    pub service_credentials: service::ServiceCredentialKeys,
    /// Names this server among others on the same store.
    pub node: id::NodeId,
    /// How a login is read.
    pub contacts: contact::ContactRules,
    /// What the operator decided.
    pub policy: policy::Policy,
}
