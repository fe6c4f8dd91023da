//! The server that all tests share: whoever comes first starts it, and it goes when nobody comes.

use std::sync::OnceLock;

use super::{
    database::{Database, unused_name},
    psql, server,
    shared_directory::{hash, shared_directory},
};

/// Quick to write and lost in a crash. Nearly all tests are one process with a few connections each.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
    ("shared_buffers", "64MB"),
    ("shared_preload_libraries", "pg_stat_statements"),
];

/// How often a copy is tried; PostgreSQL itself waits five seconds for others to leave the template.
const ATTEMPTS: u32 = 6;

/// A server for databases that come and go.
#[derive(Debug)]
pub struct Shared {
    /// Of the database from which others are created.
    url: String,
    port: Option<u16>,
}

/// The server of all tests of this checkout and user, started if need be; that of `TEST_DATABASE_URL`,
/// if that is set: a database on a server where its role may create others.
pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        if let Some(url) = given_url() {
            Shared { url, port: None }
        } else {
            let port = shared_directory().running_port(SETTINGS);
            Shared { url: server::url(port, "postgres"), port: Some(port) }
        }
    })
}

impl Shared {
    /// The URL of a database on this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        with_database(&self.url, database)
    }

    /// The port on 127.0.0.1. `None` with `TEST_DATABASE_URL`: who puts something of their own before
    /// the server starts a [`Cluster`](super::Cluster).
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// A new database with nothing in it.
    #[must_use]
    pub fn database(&'static self) -> Database {
        let database = Database::named(self, unused_name("test"));
        self.sql(&format!("create database {}", database.name()));
        database
    }

    /// A copy of a template, which `make` makes in the database with the URL that it gets, if it is not
    /// there yet.
    ///
    /// `key` is any text. It must name all that `make` depends on, such as the migrations' contents: the
    /// template outlives a change of the code, and with `TEST_DATABASE_URL` the day. `make` has to leave
    /// no connection open, and must not call this itself.
    #[must_use]
    pub fn database_from(&'static self, key: &str, make: impl FnOnce(&str)) -> Database {
        let template = format!("ostiary_template_{:016x}", hash(key));
        if let Some(copy) = self.copy_of(&template) {
            return copy;
        }
        let lock = shared_directory().lock();
        if let Some(copy) = self.copy_of(&template) {
            return copy;
        }
        self.make_template(&template, make);
        drop(lock);
        self.copy_of(&template).expect("a template stays until the server goes")
    }

    /// `None` if there is no such template.
    fn copy_of(&'static self, template: &str) -> Option<Database> {
        let copy = Database::named(self, unused_name("test"));
        let made = self.while_in_use(&format!("create database {} template {template}", copy.name()));
        match made {
            Ok(_) => Some(copy),
            Err(error) if error.contains(" 3D000:") => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn make_template(&'static self, template: &str, make: impl FnOnce(&str)) {
        // Dropped at the end if it still has this name: if `make` panics, or another machine was quicker.
        let half = Database::named(self, unused_name("half"));
        self.sql(&format!("create database {}", half.name()));
        make(&half.url());
        // A connection to the template would keep others from copying it.
        self.sql(&format!("alter database {} with allow_connections false", half.name()));
        let renamed = self.while_in_use(&format!("alter database {} rename to {template}", half.name()));
        match renamed {
            Ok(_) => (),
            Err(error) if error.contains(" 42P04:") => (),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a statement again while it fails because of connections that are still being closed.
    fn while_in_use(&self, sql: &str) -> Result<String, String> {
        let mut result = self.try_sql(sql);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(error) if error.contains(" 55006:") => result = self.try_sql(sql),
                _ => break,
            }
        }
        result
    }

    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        psql::sql(&self.url, sql)
    }

    pub(super) fn try_sql(&self, sql: &str) -> Result<String, String> {
        psql::try_sql(&self.url, sql)
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings but this one")]
fn given_url() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

/// The URL with another database: its path, which parameters may follow.
fn with_database(url: &str, database: &str) -> String {
    let (before, parameters) = match url.split_once('?') {
        Some((before, parameters)) => (before, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let authority = before.find("://").expect("TEST_DATABASE_URL begins with postgresql://") + 3;
    let end = before[authority..].find('/').map_or(before.len(), |slash| authority + slash);
    format!("{}/{database}{parameters}", &before[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_its_path_and_the_rest_stays() {
        for (url, expected) in [
            ("postgresql://localhost", "postgresql://localhost/new"),
            ("postgres://a:b@[::1]:5/old", "postgres://a:b@[::1]:5/new"),
            ("postgresql:///old?host=/run/x&user=y", "postgresql:///new?host=/run/x&user=y"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
