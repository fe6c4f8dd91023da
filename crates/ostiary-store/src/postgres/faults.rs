//! What goes wrong on the way to PostgreSQL, and what it means: to the rules, and for another try.

use std::error::Error as StdError;

use deadpool_postgres::PoolError;
use ostiary_core::store::StoreError;
use tokio_postgres::error::{DbError, SqlState};

type BoxedError = Box<dyn StdError + Send + Sync>;

/// A statement that did not succeed.
#[derive(Debug)]
pub(super) enum Fault {
    /// There was no connection to run it on.
    NotConnected(BoxedError),
    /// It was not accepted; it did not run.
    NotPrepared(tokio_postgres::Error),
    /// It failed, or its answer was lost.
    Failed(tokio_postgres::Error),
    /// It took too long; it may still happen.
    TooSlow,
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        Self::NotConnected(Box::new(error))
    }
}

impl Fault {
    /// Whether another try on another connection is right: the statement cannot have taken effect, and what
    /// stopped it may be gone.
    pub(super) fn may_be_retried(&self, only_reads: bool) -> bool {
        match self {
            // The pool has tried; whoever waits for a database waits outside.
            Self::NotConnected(_) | Self::TooSlow => false,
            Self::NotPrepared(error) => error.code().is_none_or(is_passing),
            Self::Failed(error) => match error.code() {
                Some(code) => is_passing(code) || only_reads && is_connection_lost(code),
                None => only_reads,
            },
        }
    }

    /// Whether the connection is not to be used again.
    pub(super) fn breaks_the_connection(&self) -> bool {
        match self {
            Self::NotConnected(_) | Self::TooSlow => false,
            Self::NotPrepared(error) | Self::Failed(error) => error.code().is_none_or(|code| {
                is_connection_lost(code) || is_somebody_elses_session(code) || is_read_only(code)
            }),
        }
    }

    /// Whether the statement may still be running.
    pub(super) fn is_too_slow(&self) -> bool {
        matches!(self, Self::TooSlow)
    }

    /// Whether the server has become one that takes no writes.
    pub(super) fn is_read_only(&self) -> bool {
        self.database_error().is_some_and(|error| is_read_only(error.code()))
    }

    /// What it means to the rules.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::NotConnected(cause) => StoreError::Unavailable(cause),
            Self::TooSlow => StoreError::Unavailable("the database did not answer in time".into()),
            Self::NotPrepared(error) | Self::Failed(error) => {
                let Some(cause) = error.as_db_error().map(DatabaseError::from) else {
                    return StoreError::Unavailable(Box::new(error));
                };
                if cause.may_pass {
                    StoreError::Unavailable(Box::new(cause))
                } else {
                    StoreError::Failed(Box::new(cause))
                }
            }
        }
    }

    /// What the database itself said, if it did.
    pub(super) fn database_error(&self) -> Option<&DbError> {
        match self {
            Self::NotPrepared(error) | Self::Failed(error) => error.as_db_error(),
            Self::NotConnected(_) | Self::TooSlow => None,
        }
    }
}

/// What the database said, without the details, which repeat values of rows.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code}){advice}")]
pub(super) struct DatabaseError {
    message: String,
    code: String,
    advice: &'static str,
    may_pass: bool,
}

impl From<&DbError> for DatabaseError {
    fn from(error: &DbError) -> Self {
        let code = error.code();
        Self {
            message: error.message().to_owned(),
            code: code.code().to_owned(),
            advice: if is_somebody_elses_session(code) { PREPARED_ELSEWHERE } else { "" },
            may_pass: is_passing(code) || is_out_of_service(code),
        }
    }
}

/// The server ended the statement before it took effect, and will take it again.
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>)
fn is_passing(code: &SqlState) -> bool {
    [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(&code)
}

/// Whether a prepared statement has to be prepared again: what it returns has changed since (`cached plan must
/// not change result type`).
pub(super) fn is_statement_stale(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::FEATURE_NOT_SUPPORTED)
}

/// The server cannot serve at the moment: connections, resources, its operator, its disk, a lock, or that it
/// is a standby.
fn is_out_of_service(code: &SqlState) -> bool {
    ["08", "53", "57", "58"].iter().any(|class| code.code().starts_with(class))
        || is_read_only(code)
        || *code == SqlState::LOCK_NOT_AVAILABLE
}

fn is_connection_lost(code: &SqlState) -> bool {
    code.code().starts_with("08") || code.code().starts_with("57P")
}

fn is_read_only(code: &SqlState) -> bool {
    *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

/// What was prepared is not there, or is there already: it was another session.
fn is_somebody_elses_session(code: &SqlState) -> bool {
    [&SqlState::INVALID_SQL_STATEMENT_NAME, &SqlState::DUPLICATE_PSTATEMENT].contains(&code)
}

const PREPARED_ELSEWHERE: &str =
    ": a pooler seems to hand out sessions by the transaction; set POSTGRES_PREPARED_STATEMENTS=off";
