//! A database for one test.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{psql, shared::Shared};
use crate::system::random;

/// A database of its own, dropped with this, whoever is still connected to it.
#[derive(Debug)]
pub struct Database {
    server: &'static Shared,
    name: String,
}

impl Database {
    /// One that is, or is about to be, on the server.
    pub(super) fn named(server: &'static Shared, name: String) -> Self {
        Self { server, name }
    }

    /// The URL of this database, over TCP unless `TEST_DATABASE_URL` says otherwise.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// The name, of letters, digits and `_`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL, and gives the values in lines, columns divided by `|`. Several statements are one
    /// transaction. Panics with psql's message if it fails.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        psql::sql(&self.url(), sql)
    }

    /// As [`Self::sql`], for what is to fail.
    ///
    /// # Errors
    ///
    /// psql's message, with the SQLSTATE in it.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        psql::try_sql(&self.url(), sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A panic here could hide the test's own. What is left goes with the server.
        let _ = self.server.try_sql(&format!("drop database if exists {} with (force)", self.name));
    }
}

/// A name that no other database has or had.
pub(super) fn unused_name(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ostiary_{kind}_{}_{number}_{:08x}", process::id(), random() >> 32)
}
