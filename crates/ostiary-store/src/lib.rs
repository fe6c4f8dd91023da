//! The stores: the traits of [`ostiary_core::store`], kept by a database.
//!
//! [`sqlite`] is embedded and needs nothing; [`postgres`] is a server that several nodes share.

mod gathered;
mod metrics;
pub mod postgres;
pub mod sqlite;
