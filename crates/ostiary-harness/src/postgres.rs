//! PostgreSQL: a server for one test, one that all tests share, and databases on the latter.

mod cluster;
mod database;
mod installation;
pub(crate) mod psql;
mod server;
mod shared;
mod shared_directory;

pub use self::{
    cluster::Cluster,
    database::Database,
    shared::{Shared, shared},
};
