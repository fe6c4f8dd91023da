//! Load for a server, and figures of how it bears it: what all benchmarks are made of.
//!
//! [`load`] asks at a pace of its own or as quickly as it is answered, through a [`client`]; [`samples`] says
//! how long it took; [`server`] starts the binary that is asked, on a [`database`]; [`users`] are who asks.
//!
//! What takes microseconds is asked on a [`wire`], by the functions of [`work`], on a database that [`seed`] has
//! filled, in [`turns`] with its [`limit`] or with the bare [`hashing`]; a [`figure`] is what came of it, and a
//! [`report`] all of them, with the [`machine`]. [`peers`] compares with what a user would pick instead.

pub mod client;
pub mod database;
pub mod figure;
pub mod hashing;
pub mod limit;
pub mod load;
pub mod machine;
pub mod peers;
pub mod report;
pub mod samples;
pub mod seed;
pub mod server;
pub mod table;
pub mod turns;
pub mod users;
pub mod wire;
pub mod work;
