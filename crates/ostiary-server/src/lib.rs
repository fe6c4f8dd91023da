//! Ostiary's world: HTTP, settings, the command line, logs.
//!
//! The rules are in [`ostiary_core`], the data in [`ostiary_store`]; here a request is taken apart, one
//! use case is called, and its outcome put together as an answer.

pub mod api;
pub mod app;
pub mod body_budget;
pub mod cli;
pub mod client_address;
pub mod config;
pub mod docs;
pub mod extract;
pub mod jobs;
pub mod limiter;
pub mod listener;
pub mod metrics;
pub mod middleware;
pub mod oauth_form;
pub mod problem;
mod seldom;
pub mod startup;
pub mod telemetry;
pub mod validation;

/// The version of this build; what it was built with that is not in every build stands behind the `+`.
pub const VERSION: &str = if cfg!(feature = "argon2-simd") {
    concat!(env!("CARGO_PKG_VERSION"), "+argon2-simd")
} else {
    env!("CARGO_PKG_VERSION")
};
