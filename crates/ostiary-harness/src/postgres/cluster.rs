//! A server for one test, which may stop it, restart it and set it up as it likes.

use std::{
    fmt::Write,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    installation::Installation,
    psql,
    server::{self, Server},
    shared_directory::shared_directory,
};
use crate::{
    leased::Leased,
    system::{ServerUser, must},
};

/// A private server, with the superuser `postgres` whom it believes without a password. Dropped, it is
/// stopped and its directory removed.
///
/// It is as durable as it is by default: what it has confirmed survives [`Self::restart_immediate`].
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    port: u16,
    leased: Leased,
}

impl Cluster {
    /// Starts a server on 127.0.0.1 and a socket, with these settings on top of the defaults.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let installation = Installation::required();
        let mut leased = Leased::private(ServerUser::find());
        let server = Server::new(leased.path(), leased.user(), installation.clone());
        leased.guard(0, &installation.stop_command(&server.data()));
        shared_directory().give_data(&server, installation);
        server.configure(settings);
        let port = server.start();
        Self { server, port, leased }
    }

    /// The URL of a database, over TCP.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        server::url(self.port, database)
    }

    /// The URL of a database, through the socket in [`Self::directory`].
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let directory = percent_encoded(self.directory());
        format!("postgresql://postgres@/{database}?host={directory}&port={}", self.port)
    }

    /// The port on 127.0.0.1; it stays the same when the server restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the server has its socket, its data in `data` and its log in `log`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.leased.path()
    }

    /// Where a program is that came with the server, such as `pgbench`, if it is installed.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.server.program(name)
    }

    /// Stops the server as a crash would, and starts it again.
    pub fn restart_immediate(&self) {
        self.server.restart("immediate");
    }

    /// Stops the server as a crash would.
    pub fn stop_immediate(&self) {
        self.server.stop("immediate");
    }

    /// Stops the server in good order; connections are cut.
    pub fn stop(&self) {
        self.server.stop("fast");
    }

    /// Starts the server after a stop, at the same port.
    pub fn start_again(&self) {
        self.server.start_at(self.port);
    }

    /// Writes a file into the server's `data`, for its user alone.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.server.data().join(name);
        must(fs::write(&path, text), format!("write {}", path.display()));
        must(fs::set_permissions(&path, Permissions::from_mode(0o600)), "set a file's mode");
        self.leased.user().give(&path);
    }

    /// Runs SQL in a database, and gives the values in lines, columns divided by `|`.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        psql::sql(&self.socket_url(database), sql)
    }

    /// Puts lines before those of `pg_hba.conf`, where the first that matches counts, and makes them
    /// count for new connections. Leave `local` alone: [`Self::sql`] comes that way.
    pub fn prepend_hba(&self, lines: &str) {
        let path = self.server.data().join("pg_hba.conf");
        let before = must(fs::read_to_string(&path), "read pg_hba.conf");
        must(fs::write(&path, format!("{lines}\n{before}")), "write pg_hba.conf");
        // The server is only told to; a new connection knows what it was made from.
        let loaded = || self.sql("postgres", "select pg_conf_load_time()");
        let then = loaded();
        self.server.reload();
        while loaded() == then {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn percent_encoded(path: &Path) -> String {
    path.as_os_str().as_encoded_bytes().iter().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            must(write!(encoded, "%{byte:02X}"), "write to a string");
        }
        encoded
    })
}
