//! Load for a server, and figures of how it bears it: what all benchmarks are made of.
//!
//! [`load`] asks at a pace of its own or as quickly as it is answered, through a [`client`]; [`samples`] says
//! how long it took; [`server`] starts the binary that is asked; [`users`] are who asks.

pub mod client;
pub mod hashing;
pub mod load;
pub mod samples;
pub mod server;
pub mod table;
pub mod users;
