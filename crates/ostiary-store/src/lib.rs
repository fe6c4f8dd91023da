//! The stores: the traits of [`ostiary_core::store`], kept by a database.
//!
//! [`sqlite`] is embedded and needs nothing. PostgreSQL takes its place beside it.

pub mod sqlite;
