//! `PgBouncer` in front of a server, as those who have many connections run it.

use crate::{daemon::Daemon, postgres::psql};

/// A private `PgBouncer` that pools by transaction, five connections for each database, and believes
/// everyone. Dropped, it is stopped.
#[derive(Debug)]
pub struct PgBouncer(Daemon);

impl PgBouncer {
    /// Starts it before the server at this address, to which it connects as `postgres` without a password.
    #[must_use]
    pub fn before(host: &str, port: u16) -> Self {
        Self::with_settings(host, port, &[])
    }

    /// The same with these settings in the place of the others.
    #[must_use]
    pub fn with_settings(host: &str, port: u16, settings: &[(&str, &str)]) -> Self {
        Self(Daemon::start("pgbouncer", |own_port| configuration(own_port, host, port, settings)))
    }

    /// The URL of a database of the server, through this.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.0.port())
    }

    /// Runs SQL in a database, through this.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        psql::sql(&self.url(database), sql)
    }
}

fn configuration(own_port: u16, host: &str, port: u16, settings: &[(&str, &str)]) -> String {
    // https://www.pgbouncer.org/config.html: `any` is `trust` where the user is given for all databases.
    let mut text = format!(
        "[databases]\n\
         * = host={host} port={port} user=postgres\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {own_port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 5\n\
         max_client_conn = 1000\n"
    );
    // Of two lines for one setting the last counts.
    text.extend(settings.iter().map(|(name, value)| format!("{name} = {value}\n")));
    text
}
