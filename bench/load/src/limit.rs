//! The most that this machine can do of what a server does: its database alone, and answers from memory.

pub mod pgbench;
pub mod route;
pub mod sqlite;
