//! The databases that works are measured on, filled once.

use std::{
    cell::{Cell, OnceCell},
    ops::Range,
    path::Path,
    sync::Arc,
    time::Duration,
};

use ostiary_bench::{
    client::Client,
    database::Database,
    seed::{self, Seeded},
    server::Server,
    users::Users,
    work,
};
use ostiary_core::password::PasswordScheme;

/// Users who are in a database before anything is measured; each has two sessions.
pub(super) const USERS: usize = 100_000;

/// Logins wait as long as it takes: a server that refuses some (`HASH_DEADLINE`) computes no fewer of the others.
const PATIENT: (&str, &str) = ("HASH_DEADLINE", "20");

/// Where a server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// In a file.
    Sqlite,
    /// In a PostgreSQL of its own.
    Postgres,
}

impl Store {
    /// Both of them.
    pub(super) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// What people call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Whether it is PostgreSQL.
    pub(super) const fn is_postgres(self) -> bool {
        matches!(self, Self::Postgres)
    }
}

/// A database with users and sessions in it.
pub(super) struct Filled {
    pub(super) database: Arc<Database>,
    /// How many sessions there were when nothing had been measured.
    pub(super) sessions: usize,
    /// Those that the load refreshes.
    refresh_tokens: Cell<Vec<String>>,
    /// What a service asks with about access tokens.
    credential: String,
}

impl Filled {
    /// A new one with so many users, and twice as many sessions.
    pub(super) async fn new(store: Store, binary: &Path, users: usize) -> anyhow::Result<Self> {
        let database = Arc::new(Database::new(store.is_postgres())?);
        let Seeded { sessions, refresh_tokens, .. } =
            seed::fill(&database, binary, users, PasswordScheme::Argon2id).await?;
        let credential = database.run(binary, &["service", "create", "bench"])?.trim().to_owned();
        Ok(Self { database, sessions, refresh_tokens: Cell::new(refresh_tokens), credential })
    }

    /// A server on it.
    pub(super) fn server(&self, binary: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Server> {
        Server::start_on(&self.database, binary, &[&[PATIENT], settings].concat())
    }

    /// Refreshes a second.
    pub(super) async fn refresh(
        &self,
        server: &Server,
        connections: usize,
        duration: Duration,
    ) -> anyhow::Result<f64> {
        // Whatever else is measured waits for its turn. After an error there is no other turn.
        let mut tokens = self.refresh_tokens.take();
        let rate = work::refresh(server.address, &mut tokens, connections, duration).await?;
        self.refresh_tokens.set(tokens);
        Ok(rate)
    }

    /// Access tokens of so many sessions.
    pub(super) async fn access_tokens(&self, server: &Server, count: usize) -> anyhow::Result<Vec<String>> {
        let mut tokens = self.refresh_tokens.take();
        let access_tokens = work::access_tokens(server.address, &mut tokens, count).await?;
        self.refresh_tokens.set(tokens);
        Ok(access_tokens)
    }

    /// What a service asks with about access tokens.
    pub(super) fn credential(&self) -> &str {
        &self.credential
    }
}

/// A database of each kind, made when it is first asked for.
#[derive(Default)]
pub(super) struct Stage {
    sqlite: OnceCell<Filled>,
    postgres: OnceCell<Filled>,
    /// The number of the next user who registers.
    next: Cell<usize>,
}

impl Stage {
    /// The database of this kind.
    pub(super) async fn filled(&self, store: Store, binary: &Path) -> anyhow::Result<&Filled> {
        let kept = match store {
            Store::Sqlite => &self.sqlite,
            Store::Postgres => &self.postgres,
        };
        if let Some(filled) = kept.get() {
            return Ok(filled);
        }
        let filled = Filled::new(store, binary, USERS).await?;
        Ok(kept.get_or_init(|| filled))
    }

    /// A server on the database of this kind, and so many users who have registered at it.
    pub(super) async fn server(
        &self,
        binary: &Path,
        store: Store,
        settings: &[(&str, &str)],
        count: usize,
    ) -> anyhow::Result<(Server, Users)> {
        let filled = self.filled(store, binary).await?;
        let server = filled.server(binary, settings)?;
        let users = Users::register(Client::http1(server.address), self.numbers(count)).await?;
        Ok((server, users))
    }

    /// So many numbers of users that nobody has.
    pub(super) fn numbers(&self, count: usize) -> Range<usize> {
        let first = self.next.replace(self.next.get() + count);
        first..first + count
    }
}
