//! Opening connections, and saying what is wrong where one cannot be opened.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use ostiary_core::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

/// 3.51.3 mends the WAL-reset bug, by which two connections could lose a commit at a checkpoint
/// (<https://sqlite.org/wal.html#walresetbug>). The bundled library is newer; a build that was linked
/// against another one must not go unseen.
const LEAST_LIBRARY: i32 = 3_051_003;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection keeps of the file, at most. With SQLite's 2 MiB most reads go to the system again.
const CACHE_KIB: i64 = 16 * 1024;

/// A database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The library is one that can lose data.
    #[error(
        "the SQLite library is {0}, and Ostiary needs 3.51.3 or later: build it with the bundled library"
    )]
    Library(&'static str),
    /// A newer version has changed the schema.
    #[error(
        "the database {path} was made by a newer version of Ostiary (schema {found}, this version knows {known}): \
         start that version, or restore a copy from before the update"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The last schema of this version.
        known: i64,
    },
    /// The schema is not what its version says.
    #[error("the database {path} was changed by hand or by a development version: {cause}")]
    Migration {
        /// The database.
        path: PathBuf,
        /// What differs.
        cause: String,
    },
    /// The file cannot be used.
    #[error("the database {path} cannot be opened: {cause}; {advice}")]
    Unusable {
        /// The database.
        path: PathBuf,
        /// What the system or SQLite says.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
}

impl OpenError {
    pub(super) fn new(path: &Path, error: &(impl Advised + ?Sized)) -> Self {
        Self::Unusable { path: path.to_owned(), cause: error.to_string(), advice: error.advice() }
    }
}

/// An error that tells what an operator can do about it.
pub(super) trait Advised: std::error::Error {
    fn advice(&self) -> &'static str;
}

impl Advised for io::Error {
    fn advice(&self) -> &'static str {
        match self.kind() {
            io::ErrorKind::PermissionDenied => {
                "give this user the right to read and write it, or set DATA_DIR"
            }
            io::ErrorKind::ReadOnlyFilesystem => "mount the volume for writing, or set DATA_DIR",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its volume",
            _ => "see that its directory is there and writable",
        }
    }
}

impl Advised for rusqlite::Error {
    fn advice(&self) -> &'static str {
        match self.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "free space on its volume",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                "give this user the right to write to it and to its directory, or set DATA_DIR"
            }
            Some(ErrorCode::NotADatabase) => "it is another kind of file: move it away, or set DATA_DIR",
            Some(ErrorCode::DatabaseCorrupt) => "it is damaged: restore a copy",
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process holds it: stop that process, or wait for it"
            }
            _ => "see that its volume is there, writable and not full",
        }
    }
}

/// What a failed step means to the rules.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked,
        ) => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Failed(Box::new(error)),
    }
}

pub(super) fn assert_library_version() -> Result<(), OpenError> {
    if rusqlite::version_number() < LEAST_LIBRARY {
        return Err(OpenError::Library(rusqlite::version()));
    }
    Ok(())
}

/// Makes the file if there is none, for its owner alone; SQLite gives its companions the same mode.
pub(super) fn create_file(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| OpenError::new(path, &error))
}

/// Waits for other servers that open a database in the same directory, and keeps them waiting until the
/// lock is dropped: one of them migrates. (Not a lock on the database itself: closing another
/// descriptor of that file would drop the locks that SQLite holds on it.)
pub(super) fn lock_directory(path: &Path) -> Result<File, OpenError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let lock = File::open(directory.unwrap_or(Path::new("."))).and_then(|file| file.lock().map(|()| file));
    lock.map_err(|error| OpenError::new(path, &error))
}

/// The connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        Pragmas::of(&connection)?.assert_durable()?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| OpenError::new(path, &error))
}

/// A connection that reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = open(path)?;
        connection.pragma_update(None, "query_only", "on")?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| OpenError::new(path, &error))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise a statement is planned anew, for 50 us, whenever a parameter changes that an index might depend on.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Runs a statement without parameters, which is prepared once.
pub(super) fn run_sql(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// While it is there, all that a connection reads is as of one moment.
pub(super) struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    pub(super) fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        run_sql(connection, "begin")?;
        Ok(Self(connection))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // It fails only where SQLite has ended the transaction after an error.
        let _ended = run_sql(self.0, "rollback");
    }
}

/// Writes the file's header as it is: the least write that goes to the disk.
pub(super) fn write_header(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", 0)
}

/// How a connection is set; the names are SQLite's.
struct Pragmas {
    journal_mode: String,
    /// 2 is `FULL`: a commit waits for the disk.
    synchronous: i64,
    foreign_keys: bool,
}

impl Pragmas {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            journal_mode: connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
            synchronous: connection.pragma_query_value(None, "synchronous", |row| row.get(0))?,
            foreign_keys: connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?,
        })
    }

    /// SQLite ignores what it does not know, and some file systems have no shared memory for a WAL.
    fn assert_durable(&self) -> rusqlite::Result<()> {
        if self.journal_mode == "wal" && self.synchronous == 2 && self.foreign_keys {
            return Ok(());
        }
        let message = format!(
            "journal_mode is {}, synchronous {}, foreign_keys {}",
            self.journal_mode, self.synchronous, self.foreign_keys
        );
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        Err(rusqlite::Error::SqliteFailure(error, Some(message)))
    }
}

/// See [`super::SqliteStore::limit_growth`].
pub(super) fn limit_growth(connection: &Connection, pages: Option<u32>) -> rusqlite::Result<()> {
    let now: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let most = pages.map_or(u32::MAX - 1, |pages| now.saturating_add(pages));
    connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once_whatever_its_parameters_are() {
        let connection = open(Path::new(":memory:")).unwrap();
        // Whether such an index serves depends on the parameter.
        let schema =
            "create table contacts (user_id, kind); create index phones on contacts (user_id) where kind = 1";
        connection.execute_batch(schema).unwrap();
        let mut statement = connection.prepare("select 1 from contacts where kind = ?1").unwrap();
        for kind in 0..3 {
            assert!(!statement.exists([kind]).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
