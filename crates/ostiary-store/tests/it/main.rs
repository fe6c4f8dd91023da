//! The suite that every store passes: what `ostiary_core::store` promises, on a real database.

#![expect(clippy::unwrap_used, reason = "a test ends where it meets what it did not expect")]
#![expect(clippy::print_stdout, reason = "figures that were measured")]

mod accounts;
mod durability;
mod postgres;
mod refresh_model;
mod secret;
mod sessions;
mod signing_keys;
mod sqlite;
mod support;
mod tls;
