//! The suite that every store passes: what `ostiary_core::store` promises, on a real database.

#![expect(clippy::unwrap_used, reason = "a test ends where it meets what it did not expect")]
#![expect(clippy::print_stdout, reason = "figures that were measured")]

mod accounts;
mod adopted;
mod audit;
mod cleanup;
mod durability;
mod foreign_tokens;
mod password_change;
mod password_locks;
mod postgres;
mod previous_release;
mod refresh_model;
mod revocations;
mod roles;
mod rotations;
mod secret;
mod self_service;
mod services;
mod sessions;
mod signing_keys;
mod sqlite;
mod support;
mod tls;
