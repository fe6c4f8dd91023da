//! The rules of Ostiary: what an account, a password, a session and a token are, and what may be done
//! with them. No HTTP, no SQL, no network: the world is given as a [`store::Store`] and a
//! [`clock::Clock`].
//!
//! [`Ostiary`] is the one struct; each use case is a file with an `impl` of it and its error:
//! [`account`], [`login`], [`session`].

use std::sync::Arc;

pub mod account;
pub mod audit;
pub mod clock;
pub mod contact;
pub mod device;
pub mod hasher;
pub mod id;
mod jwt;
pub mod keys;
pub mod login;
pub mod password;
pub mod policy;
pub mod profile;
pub mod refresh_token;
pub mod secret;
pub mod session;
pub mod store;

/// An authentication server, but for the wires.
pub struct Ostiary {
    /// Where everything is kept.
    pub store: Arc<dyn store::Store>,
    /// What time it is.
    pub clock: Arc<dyn clock::Clock>,
    /// The lane that computes password hashes.
    pub hasher: hasher::Hasher,
    /// The keys that sign access tokens.
    pub keys: keys::Keys,
    /// The keys that make refresh tokens.
    pub refresh_tokens: refresh_token::RefreshTokenKeys,
    /// How a login is read.
    pub contacts: contact::ContactRules,
    /// What the operator decided.
    pub policy: policy::Policy,
}
