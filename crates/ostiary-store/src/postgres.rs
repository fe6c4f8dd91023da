//! The store for production: a PostgreSQL database, shared by several nodes.
//!
//! A verb that is one statement stands beside its method; one that takes several is a function of the database
//! (`functions/`). Functions are also how the directory of accounts is reached, so that it can be somebody
//! else's (`directory`).

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use ostiary_core::{
    clock::CorrectedClock,
    store::{Account, Store, StoreError},
};
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tokio_postgres::Row;

mod accounts;
mod audit;
mod cleanup;
mod columns;
mod database;
mod directory;
mod faults;
mod keys;
mod open_error;
mod pool_metrics;
mod pooler;
mod report;
mod rows_by_id;
mod schema;
mod secret;
mod services;
mod sessions;
mod settings;
mod survey;
mod time;
mod tls;

pub use directory::{DIRECTORY_FUNCTIONS, DirectoryFunction};
pub use open_error::OpenError;
pub use report::{PostgresReport, examine};
pub use settings::{
    PoolSize, PostgresParts, PostgresSettings, PreparedStatements, SettingsError, SslMode, SslSettings,
};
pub use tls::TlsError;

use crate::gathered::Gathered;

use accounts::by_session;
use database::{Database, Parameter, READERS};
use directory::Directory;
use open_error::GRANT;
use rows_by_id::RowsById;
use sessions::{OpenSession, rotation::Rotations};
use survey::Server;
use tls::{Connected, Connector};

/// How long a connection may take to be made, with all that the two sides have to say to each other.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long between two tries to reach a database that is not there yet.
const WAIT_STEP: Duration = Duration::from_millis(500);
/// How often the log says that it is waited for.
const WAIT_REMINDER: Duration = Duration::from_secs(5);

/// Batches of rotations at a time: one is worked on while another waits for the disk.
const ROTATIONS: usize = 2;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    database: Arc<Database>,
    directory: Directory,
    clock: Arc<CorrectedClock>,
    applied: Vec<String>,
    open_sessions: Gathered<RowsById<OpenSession>>,
    session_accounts: Gathered<RowsById<(OpenSession, Account)>>,
    rotations: Gathered<Rotations>,
}

impl PostgresStore {
    /// Opens the database of `settings` and brings its schema up to date. A database that is not there is
    /// waited for, for `wait` at most.
    ///
    /// # Errors
    /// If it cannot be reached or served from. Its schema may be up to date then, and nothing else is changed.
    pub async fn open(settings: &PostgresSettings, wait: Duration) -> Result<Self, OpenError> {
        let connector = Connector::new(&settings.ssl)?;
        let ((mut client, task), server) = connect(settings, &connector, wait).await?;
        server.check()?;
        let schema =
            schema::bring_up_to_date(&mut client).await.map_err(|error| error.of_role(&server.role))?;
        let missing = survey::missing_rights(&client, !schema.directory.is_foreign()).await?;
        if !missing.is_empty() {
            let (role, missing) = (server.role, missing.join(", "));
            return Err(OpenError::NotAllowed { role, missing, advice: GRANT });
        }
        let (prepared, readers) = pooler::look(settings, &connector, (client, task), wait).await?;
        let is_ours = !schema.directory.is_foreign();
        let database = Arc::new(Database::new(settings, &connector, prepared, is_ours, readers).await?);
        let clock = Arc::new(CorrectedClock::default());
        time::follow(&database, &clock).await.map_err(|error| OpenError::Failed(error.with_causes()))?;
        let find_session = RowsById {
            database: database.clone(),
            verb: "find_session",
            sql: sessions::FIND_ON_OWN_DIRECTORY,
            read: |rows| OpenSession::of(rows[0]),
        };
        let find_session_account = RowsById {
            database: database.clone(),
            verb: "find_session_account",
            sql: by_session::FIND,
            read: by_session::read,
        };
        Ok(Self {
            open_sessions: Gathered::new(find_session, READERS),
            session_accounts: Gathered::new(find_session_account, READERS),
            rotations: Gathered::new(Rotations { database: database.clone() }, ROTATIONS),
            database,
            directory: schema.directory,
            clock,
            applied: schema.applied,
        })
    }

    /// The database's clock, as this node knows it.
    #[must_use]
    pub fn clock(&self) -> Arc<CorrectedClock> {
        self.clock.clone()
    }

    /// Whether somebody else made the directory of accounts.
    #[must_use]
    pub const fn has_foreign_directory(&self) -> bool {
        self.directory.is_foreign()
    }

    /// Whether statements are prepared; behind a pooler that hands out sessions by the transaction they are
    /// not.
    #[must_use]
    pub fn prepares_statements(&self) -> bool {
        self.database.is_prepared()
    }

    /// Asks what takes a look into the directory of accounts. Somebody else's may take its time, and do more than
    /// read.
    async fn look_up(
        &self,
        verb: &'static str,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        if self.directory.is_foreign() {
            self.database.write(verb, sql, parameters).await
        } else {
            self.database.read(verb, sql, parameters).await
        }
    }

    /// What was applied to the schema when the database was opened: `auth 1: sessions_keys_and_audit`.
    #[must_use]
    pub fn applied(&self) -> &[String] {
        &self.applied
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("directory", &self.directory).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn check(&self) -> Result<(), StoreError> {
        let sql = "select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean";
        let rows = self.database.read("check", sql, &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            self.database.forget_readers();
            return Err(StoreError::Unavailable("the database takes no writes: it is a standby".into()));
        }
        Ok(())
    }

    fn register_metrics(&self, registry: &mut Registry) {
        self.database.register_metrics(registry);
    }
}

/// A connection of its own, and what answers on it; waited for where that can help.
async fn connect(
    settings: &PostgresSettings,
    connector: &Connector,
    wait: Duration,
) -> Result<(Connected, Server), OpenError> {
    let database = settings.describe();
    let start = Instant::now();
    let mut reminded: Option<Instant> = None;
    loop {
        // A pooler takes the connection whether there is a server behind it or not: the answer counts.
        let attempt = async {
            let connected = connector.connect(&settings.config).await?;
            let server = Server::of(&connected.0).await?;
            Ok((connected, server))
        };
        let failure = match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(error)) => OpenError::not_connected(&database, &error, start.elapsed()),
            Err(_) => OpenError::silent(&database, start.elapsed()),
        };
        let waited = start.elapsed();
        let OpenError::Unreachable { cause, .. } = &failure else { return Err(failure) };
        if waited >= wait {
            return Err(failure);
        }
        if reminded.is_none_or(|at| at.elapsed() >= WAIT_REMINDER) {
            reminded = Some(Instant::now());
            let seconds_left = wait.saturating_sub(waited).as_secs();
            tracing::warn!(database, seconds_left, cause, "waiting for PostgreSQL");
        }
        tokio::time::sleep(WAIT_STEP.min(wait.saturating_sub(waited))).await;
    }
}
