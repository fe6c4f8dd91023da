//! The schema: migrations that are only ever added to, applied all or not at all.

use std::{error::Error, path::Path};

use refinery::embed_migrations;
use rusqlite::{Connection, OptionalExtension};

use super::connection::OpenError;

embed_migrations!("migrations/sqlite");

/// Why the schema could not be brought up to date; [`MigrationError::at`] adds where.
pub(super) enum MigrationError {
    Newer { found: i64, known: i64 },
    Sqlite(rusqlite::Error),
    Refinery(refinery::Error),
}

impl MigrationError {
    pub(super) fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Newer { found, known } => OpenError::Newer { path: path.to_owned(), found, known },
            Self::Sqlite(error) => OpenError::new(path, &error),
            Self::Refinery(error) => match sqlite_cause(&error) {
                Some(cause) => OpenError::new(path, cause),
                None => OpenError::Migration { path: path.to_owned(), cause: error.to_string() },
            },
        }
    }
}

/// What SQLite said, where it was not the migrations that refinery found wrong.
fn sqlite_cause(error: &refinery::Error) -> Option<&rusqlite::Error> {
    std::iter::successors(error.source(), |&cause| cause.source()).find_map(|cause| cause.downcast_ref())
}

/// Applies what is missing.
pub(super) fn run(connection: &mut Connection) -> Result<(), MigrationError> {
    let known = known_version();
    let found = version(connection).map_err(MigrationError::Sqlite)?;
    match found {
        found if found > known => Err(MigrationError::Newer { found, known }),
        found if found == known => Ok(()),
        // One transaction for the changes and their entry in the history: a kill between them would leave
        // a schema that no version knows.
        _ => {
            migrations::runner().set_grouped(true).run(connection).map(drop).map_err(MigrationError::Refinery)
        }
    }
}

/// The number of the last migration that this version has.
pub(super) fn known_version() -> i64 {
    let migrations = migrations::runner();
    migrations.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
}

/// The number of the last migration that was applied; 0 for an empty database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let table = "select 1 from sqlite_schema where type = 'table' and name = 'refinery_schema_history'";
    if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    connection
        .query_row("select coalesce(max(version), 0) from refinery_schema_history", [], |row| row.get(0))
}
