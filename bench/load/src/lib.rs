//! Load for a server, and figures of how it bears it: what all benchmarks are made of.
//!
//! [`load`] asks at a pace of its own or as quickly as it is answered, through a [`client`]; [`samples`] says
//! how long it took; [`server`] starts the binary that is asked, on a [`database`]; [`users`] are who asks.
//!
//! What takes microseconds is asked on a [`wire`], by the functions of [`work`], on a database that [`seed`] has
//! filled, in turns with its [`limit`].

pub mod client;
pub mod database;
pub mod hashing;
pub mod limit;
pub mod load;
pub mod samples;
pub mod seed;
pub mod server;
pub mod table;
pub mod users;
pub mod wire;
pub mod work;
