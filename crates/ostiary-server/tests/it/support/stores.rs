//! A store for each test: the embedded one, PostgreSQL, PostgreSQL behind PgBouncer, or a database that is
//! somebody else's.

use std::path::Path;

use ostiary_harness::{
    cell::Cell,
    pgbouncer::PgBouncer,
    postgres::{self, Database},
};
use rusqlite::types::Value;
use tempfile::TempDir;

/// Tables and functions that Ostiary did not make.
const SOMEBODY_ELSES: &str = include_str!("../../adopted/directory.sql");

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
    /// PostgreSQL behind PgBouncer in transaction mode.
    PgBouncer,
    /// A PostgreSQL database whose directory of accounts is somebody else's.
    Adopted,
}

/// A directory and a database for one test, gone with it.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pooler: Option<PgBouncer>,
    database: Option<Database>,
}

impl Place {
    pub(crate) fn new(on: On) -> Self {
        let directory = TempDir::new().unwrap();
        let shared = || postgres::shared();
        let (database, pooler) = match on {
            On::Sqlite => (None, None),
            On::Postgres => (Some(shared().database()), None),
            On::PgBouncer => {
                let port =
                    shared().port().expect("the server of TEST_DATABASE_URL cannot be behind a pooler");
                (Some(shared().database()), Some(PgBouncer::before("127.0.0.1", port)))
            }
            On::Adopted => {
                let database = shared().database();
                database.sql(SOMEBODY_ELSES);
                (Some(database), None)
            }
        };
        Self { directory, pooler, database }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The PostgreSQL database beside the server.
    pub(crate) fn postgres(&self) -> &Database {
        self.database.as_ref().expect("the test runs on PostgreSQL")
    }

    /// The settings that name the database; few connections, for many tests run at once.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let Some(database) = &self.database else { return Vec::new() };
        let url = match &self.pooler {
            Some(pooler) => pooler.url(database.name()),
            None => database.url(),
        };
        vec![
            ("DATABASE_URL", url),
            ("POSTGRES_POOL_MIN", "0".to_owned()),
            ("POSTGRES_POOL_MAX", "8".to_owned()),
            ("DB_WAIT", "0".to_owned()),
        ]
    }

    /// Looks into the database beside the server.
    pub(crate) fn query<T: Cell>(&self, sql: &str) -> T {
        if let Some(database) = &self.database {
            return T::from_text(&database.sql(&in_our_schemas(sql)));
        }
        let value = self.sqlite().query_row(sql, [], |row| row.get::<_, Value>(0)).unwrap();
        T::from_text(&text(value))
    }

    /// Changes the database beside the server.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.database {
            Some(database) => drop(database.sql(&in_our_schemas(sql))),
            None => self.sqlite().execute_batch(sql).unwrap(),
        }
    }

    /// All that is kept, as bytes to be searched.
    pub(crate) fn everything(&self) -> Vec<u8> {
        let Some(database) = &self.database else {
            let files = std::fs::read_dir(self.path().join("data")).unwrap();
            return files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        };
        let tables = "select table_schema || '.' || table_name from information_schema.tables
                      where table_schema not in ('pg_catalog', 'information_schema')";
        let rows = database.sql(tables);
        let contents =
            rows.lines().map(|table| database.sql(&format!("select kept::text from {table} as kept")));
        contents.collect::<Vec<_>>().join("\n").into_bytes()
    }

    fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path().join("data/ostiary.db")).unwrap()
    }
}

fn in_our_schemas(sql: &str) -> String {
    format!("set search_path = auth, accounts; {sql}")
}

fn text(value: Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => panic!("no test reads this: {other:?}"),
    }
}
