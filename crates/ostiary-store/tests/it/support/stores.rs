//! A database for each test, of either kind, gone with the test.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ostiary_core::store::Store;
use ostiary_harness::{
    cell::Cell,
    pgbouncer::PgBouncer,
    postgres::{self, Database},
};
use ostiary_store::{
    postgres::{PoolSize, PostgresSettings, PostgresStore},
    sqlite::SqliteStore,
};
use rusqlite::types::Value;
use tempfile::TempDir;

use super::start;

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
    /// PostgreSQL behind PgBouncer in transaction mode.
    PgBouncer,
}

/// A database of its own.
pub(crate) enum TestStore {
    Sqlite(TempDir),
    Postgres(Database, Option<PgBouncer>),
}

impl TestStore {
    pub(crate) fn new(on: On) -> Self {
        match on {
            On::Sqlite => Self::Sqlite(TempDir::new().unwrap()),
            On::Postgres | On::PgBouncer => {
                let database = postgres::shared().database_from(&this_build(), migrate);
                let before = |port| PgBouncer::before("127.0.0.1", port);
                let pooler = (on == On::PgBouncer).then(|| {
                    before(
                        postgres::shared()
                            .port()
                            .expect("the server of TEST_DATABASE_URL cannot be behind a pooler"),
                    )
                });
                Self::Postgres(database, pooler)
            }
        }
    }

    /// The file of an SQLite database.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Sqlite(directory) => directory.path().join("ostiary.db"),
            Self::Postgres(..) => panic!("PostgreSQL is no file"),
        }
    }

    /// The database, on PostgreSQL.
    pub(crate) fn postgres(&self) -> &Database {
        match self {
            Self::Sqlite(_) => panic!("SQLite is no server"),
            Self::Postgres(database, _) => database,
        }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let store: Arc<dyn Store> = match self {
            Self::Sqlite(_) => Arc::new(SqliteStore::open(&self.path()).unwrap()),
            Self::Postgres(database, None) => Arc::new(open_postgres(&database.url()).await),
            Self::Postgres(database, Some(pooler)) => {
                let store = open_postgres(&pooler.url(database.name())).await;
                assert!(!store.prepares_statements(), "the pooler was not noticed");
                Arc::new(store)
            }
        };
        store.ensure_groups(&["customer".to_owned(), "courier".to_owned()], start()).await.unwrap();
        store
    }

    /// Looks into the database beside the store.
    pub(crate) fn query<T: Cell>(&self, sql: &str) -> T {
        match self {
            Self::Sqlite(_) => {
                let value = self.connection().query_row(sql, [], |row| row.get::<_, Value>(0)).unwrap();
                T::from_text(&text(value))
            }
            Self::Postgres(database, _) => T::from_text(&database.sql(&in_our_schemas(sql))),
        }
    }

    /// Changes the database beside the store.
    pub(crate) fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(_) => self.connection().execute_batch(sql).unwrap(),
            Self::Postgres(database, _) => drop(database.sql(&in_our_schemas(sql))),
        }
    }

    /// How an id is written in SQL.
    pub(crate) fn id_literal(&self, id: uuid::Uuid) -> String {
        match self {
            Self::Sqlite(_) => format!("x'{}'", id.simple()),
            Self::Postgres(..) => format!("'{id}'"),
        }
    }

    /// Makes inserts into a table fail, all of them or those of rows whose id ends in a digit up to 3.
    pub(crate) fn fail_inserts(&self, table: &str, some: bool) {
        self.execute(&match self {
            Self::Sqlite(_) => {
                let condition = if some { "when hex(new.id) glob '*[0-3]'" } else { "" };
                format!(
                    "create trigger fault before insert on {table} {condition}
                     begin select raise(abort, 'injected'); end"
                )
            }
            Self::Postgres(..) => {
                let condition = if some { "when (new.id::text ~ '[0-3]$')" } else { "" };
                format!(
                    "create function public.fault() returns trigger language plpgsql
                     as $$ begin raise exception 'injected'; end $$;
                     create trigger fault before insert on {table} for each row {condition}
                     execute function public.fault()"
                )
            }
        });
    }

    /// Undoes [`TestStore::fail_inserts`].
    pub(crate) fn heal(&self) {
        self.execute(match self {
            Self::Sqlite(_) => "drop trigger fault",
            Self::Postgres(..) => "drop function public.fault() cascade",
        });
    }

    fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

/// A store on the database of `url`, with few connections: many tests run at once.
pub(crate) async fn open_postgres(url: &str) -> PostgresStore {
    PostgresStore::open(&postgres_settings(url), Duration::ZERO).await.unwrap()
}

pub(crate) fn postgres_settings(url: &str) -> PostgresSettings {
    PostgresSettings::from_url(url).unwrap().with_pool(PoolSize { least: 0, most: 8 })
}

/// Makes the template that databases are copied from.
fn migrate(url: &str) {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // On a thread of its own: a test's own runtime is busy with the test.
    std::thread::scope(|scope| scope.spawn(|| drop(runtime().block_on(open_postgres(url)))).join().unwrap());
}

/// Names the state of the code that a template was made by.
fn this_build() -> String {
    let program = std::env::current_exe().unwrap();
    format!("{} {:?}", program.display(), program.metadata().unwrap().modified().unwrap())
}

fn in_our_schemas(sql: &str) -> String {
    format!("set search_path = auth, accounts; {sql}")
}

fn text(value: Value) -> String {
    use std::fmt::Write;
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(bytes) => bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        }),
    }
}

/// Runs `work` while somebody else holds what the statement `lock` takes, for as long as that takes and not longer.
pub(crate) fn while_held<T>(database: &Database, lock: &str, work: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::current();
    let holders = "from pg_stat_activity where query like '%pg_sleep(60)' and wait_event = 'PgSleep'
                   and datname = current_database()";
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| database.try_sql(&format!("begin; {lock}; select pg_sleep(60)")));
        while database.sql(&format!("select count(*) {holders}")) != "1" {}
        let done = tokio::task::block_in_place(|| runtime.block_on(work()));
        database.sql(&format!("select pg_cancel_backend(pid) {holders}"));
        drop(holder.join());
        done
    })
}
