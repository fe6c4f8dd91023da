//! The embedded store: one SQLite database in a file.
//!
//! One thread writes, in groups with one `fsync` each (`writer`); several connections read. Nothing
//! is acknowledged before it is on the disk (`synchronous=FULL`).

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use ostiary_core::{
    id::SessionId,
    store::{Account, LiveAt, LiveSession, Store, StoreError},
};
use prometheus_client::registry::Registry;

mod accounts;
mod audit;
mod cleanup;
mod columns;
mod connection;
mod keys;
mod metrics;
mod migrations;
mod readers;
mod secret;
mod services;
mod sessions;
mod writer;

use crate::gathered::Gathered;

pub use connection::OpenError;

use accounts::account;
use metrics::SqliteMetrics;
use readers::{Readers, RowsByKey};
use writer::Writer;

/// A store in an SQLite database.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
    live_sessions: Gathered<RowsByKey<SessionAt, LiveSession>>,
    session_accounts: Gathered<RowsByKey<SessionAt, (LiveSession, Option<Account>)>>,
    metrics: SqliteMetrics,
}

/// A session, and the time at which it is to be alive.
type SessionAt = (SessionId, LiveAt);

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("writer", &self.writer).finish_non_exhaustive()
    }
}

/// What a database amounts to, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteReport {
    /// The version of the SQLite library.
    pub library: &'static str,
    /// The number of the last migration.
    pub schema_version: i64,
    /// The number of the last migration that this version knows.
    pub known_schema: i64,
    /// What SQLite finds wrong with the file; nothing, if it is sound.
    pub damage: Vec<String>,
    /// How many users there are.
    pub users: u64,
    /// How many sessions there are, those that have ended among them.
    pub sessions: u64,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it if there is none (mode 0600), and brings its schema up to
    /// date.
    ///
    /// # Errors
    /// If it cannot be opened, read or written, or was made by a newer version. Nothing is changed then.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        connection::assert_library_version()?;
        connection::create_file(path)?;
        let migrating = connection::lock_directory(path)?;
        let mut writer = connection::open_writer(path)?;
        migrations::run(&mut writer).map_err(|error| error.at(path))?;
        drop(migrating);
        // A read-only or full disk shows now, not at the first login.
        connection::write_header(&writer).map_err(|error| OpenError::new(path, &error))?;
        let metrics = SqliteMetrics::new();
        let readers = Arc::new(Readers::open(path, metrics.statements.clone())?);
        let find_session = RowsByKey::<SessionAt, _> {
            readers: readers.clone(),
            verb: "find_session",
            find: |connection, (session_id, at)| sessions::find_live(connection, *session_id, *at),
        };
        let find_session_account = RowsByKey::<SessionAt, _> {
            readers: readers.clone(),
            verb: "find_session_account",
            find: |connection, (session_id, at)| account::find_by_session(connection, *session_id, *at),
        };
        Ok(Self {
            writer: Writer::start(writer, path, metrics.clone())
                .map_err(|error| OpenError::new(path, &error))?,
            readers,
            // One at a time: several would wait for each other's locks on the file.
            live_sessions: Gathered::new(find_session, 1),
            session_accounts: Gathered::new(find_session_account, 1),
            metrics,
        })
    }

    /// Lets the database grow by `pages` of 4 KiB at most, or without a limit; beyond it writes fail as
    /// on a full disk. For tests of just that.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn limit_growth(&self, pages: Option<u32>) -> Result<(), StoreError> {
        self.writer.step("limit_growth", move |connection| connection::limit_growth(connection, pages)).await
    }
}

/// Examines the database at `path` and changes nothing that it keeps. Reads all of it: seconds for a large one.
///
/// # Errors
/// If it cannot be read.
pub fn examine(path: &Path) -> Result<SqliteReport, OpenError> {
    let connection = connection::open_reader(path)?;
    let examine = || {
        let schema_version = migrations::version(&connection)?;
        let count = |table: &str| {
            if schema_version == 0 {
                return Ok(0);
            }
            connection.query_row(&format!("select count(*) from {table}"), [], |row| row.get::<_, i64>(0))
        };
        let mut check = connection.prepare("pragma quick_check")?;
        let findings: Vec<String> = check.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(SqliteReport {
            library: rusqlite::version(),
            schema_version,
            known_schema: migrations::known_version(),
            damage: findings.into_iter().filter(|line| line != "ok").collect(),
            users: count("users")?.unsigned_abs(),
            sessions: count("sessions")?.unsigned_abs(),
        })
    };
    examine().map_err(|error: rusqlite::Error| OpenError::new(path, &error))
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.readers.read("check", |connection| connection.query_row("select 1", [], |_| Ok(())))?;
        self.writer.check().await
    }

    fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}
