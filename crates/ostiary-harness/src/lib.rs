//! Private servers for tests and benchmarks: each starts its own PostgreSQL, `PgBouncer`, Redis.
//!
//! Nothing needs to be running, and nothing is left behind: a guard, a process of its own, stops a server
//! and removes its directory when the test has ended in whatever way.
//!
//! Everything here blocks, and panics where it cannot do what it is asked to: it is for tests, which can
//! do nothing better. It may be called from inside asynchronous ones. It needs Linux's `flock` program.
#![expect(clippy::must_use_candidate, reason = "SQL is run for what it does as well as for what it gives")]

pub mod cell;
mod daemon;
mod leased;
pub mod pgbouncer;
pub mod postgres;
pub mod redis;
mod system;
