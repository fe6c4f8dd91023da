//! Why a database cannot be served from; each text says what to do.

use std::{error::Error as StdError, time::Duration};

use tokio_postgres::error::SqlState;

use super::tls::TlsError;

/// The least version of PostgreSQL, as `server_version_num` has it: 13 has `gen_random_uuid` and `normalize`.
pub(super) const LEAST_VERSION: i32 = 130_000;

/// What to do about a right that serving takes.
pub(super) const GRANT: &str = "Grant it as docs/postgresql.md has it.";

/// A PostgreSQL database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing answers there.
    #[error(
        "PostgreSQL at {database} cannot be reached ({cause}), after waiting {} s: see that it runs and that \
         POSTGRES_HOST and POSTGRES_PORT, or DATABASE_URL, name it; DB_WAIT sets how long to wait", .waited.as_secs()
    )]
    Unreachable {
        /// Where it should be.
        database: String,
        /// What the system says.
        cause: String,
        /// How long was waited for it.
        waited: Duration,
    },
    /// It answers, and refuses the connection.
    #[error("PostgreSQL at {database} refuses the connection: {cause}; {advice}")]
    Refused {
        /// Where it is.
        database: String,
        /// What it says.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// The certificates for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It is older than this version can use.
    #[error("the server is PostgreSQL {0}, and Ostiary needs 13 or later: update it")]
    TooOld(String),
    /// It takes no writes.
    #[error(
        "the server is a read-only standby: point POSTGRES_HOST or DATABASE_URL at the primary (several hosts with \
         target_session_attrs=read-write find it)"
    )]
    Standby,
    /// Its sessions take no writes.
    #[error(
        "the sessions of the role {0} are read-only in this database: default_transaction_read_only is on; reset it \
         for the role or the database"
    )]
    ReadOnly(String),
    /// Its texts are not Unicode.
    #[error("the database has the encoding {0}, and Ostiary needs UTF8: make another database")]
    Encoding(String),
    /// The role may not do what is needed.
    #[error("the role {role} lacks a right: {missing}. {advice}")]
    NotAllowed {
        /// The role.
        role: String,
        /// The right.
        missing: String,
        /// What to do.
        advice: &'static str,
    },
    /// There is something of this name that Ostiary did not make.
    #[error(
        "the database already has {0}, which Ostiary did not make, in the place of something of its own: rename it, \
         or use another database; accounts that are somebody else's are adopted as docs/adopting.md shows"
    )]
    Occupied(String),
    /// The directory of accounts was adopted, and its functions are gone.
    #[error(
        "the function {0}, by which this database's accounts were adopted, is gone: make it again, see \
         docs/adopting.md"
    )]
    DirectoryGone(&'static str),
    /// A function that somebody else made cannot be called as Ostiary calls it.
    #[error("the function {signature} is there, but not as Ostiary calls it: {cause}; see docs/adopting.md")]
    Signature {
        /// How it should be.
        signature: &'static str,
        /// What PostgreSQL says.
        cause: String,
    },
    /// The schema is not what its version says.
    #[error("the schema was changed by hand or by a development version: {0}")]
    Migration(String),
    /// Another node holds the lock on the schema.
    #[error(
        "another process has been changing the schema for {} s: see what it waits for, and start again", .0.as_secs()
    )]
    Locked(Duration),
    /// A statement failed while the database was opened.
    #[error("PostgreSQL failed while the database was opened: {0}")]
    Failed(String),
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(cause) if *cause.code() == SqlState::INSUFFICIENT_PRIVILEGE => Self::NotAllowed {
                role: "that connects".to_owned(),
                missing: cause.message().to_owned(),
                advice: GRANT,
            },
            Some(cause) => Self::Failed(format!("{} (SQLSTATE {})", cause.message(), cause.code().code())),
            None => Self::Failed(with_causes(&error)),
        }
    }
}

impl OpenError {
    /// The same, with another advice if it is a right that is missing.
    pub(super) fn advised(self, advice: &'static str) -> Self {
        match self {
            Self::NotAllowed { role, missing, .. } => Self::NotAllowed { role, missing, advice },
            other => other,
        }
    }

    /// The same, of a role by name if it is a right that is missing.
    pub(super) fn of_role(self, name: &str) -> Self {
        match self {
            Self::NotAllowed { missing, advice, .. } => {
                Self::NotAllowed { role: name.to_owned(), missing, advice }
            }
            other => other,
        }
    }

    /// A connection that was not made, after `waited`. Only [`OpenError::Unreachable`] is worth waiting for.
    pub(super) fn not_connected(database: &str, error: &tokio_postgres::Error, waited: Duration) -> Self {
        let database = database.to_owned();
        let Some(cause) = error.as_db_error() else {
            let cause = with_causes(error);
            // What the network does may pass; a handshake that fails will fail again.
            let is_network = io_cause(error).is_some_and(|cause| {
                !matches!(cause.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput)
            });
            return if is_network || error.is_closed() {
                Self::Unreachable { database, cause, waited }
            } else {
                Self::Refused { database, cause, advice: "see POSTGRES_SSLMODE and POSTGRES_SSLROOTCERT" }
            };
        };
        let advice = match cause.code() {
            code if is_passing(code) => {
                return Self::Unreachable { database, cause: cause.message().to_owned(), waited };
            }
            code if *code == SqlState::INVALID_PASSWORD => {
                "see POSTGRES_USER and POSTGRES_PASSWORD, or DATABASE_URL"
            }
            code if *code == SqlState::INVALID_CATALOG_NAME => {
                "make the database, or see POSTGRES_DB or DATABASE_URL"
            }
            _ => "see POSTGRES_USER, POSTGRES_SSLMODE and the server's pg_hba.conf",
        };
        Self::Refused { database, cause: cause.message().to_owned(), advice }
    }

    /// A server that took the connection and says nothing.
    pub(super) fn silent(database: &str, waited: Duration) -> Self {
        Self::Unreachable { database: database.to_owned(), cause: "no answer".to_owned(), waited }
    }
}

/// Whether the server is starting, stopping, or full.
fn is_passing(code: &SqlState) -> bool {
    code.code().starts_with("57P") || code.code().starts_with("08") || *code == SqlState::TOO_MANY_CONNECTIONS
}

fn io_cause(error: &tokio_postgres::Error) -> Option<&std::io::Error> {
    std::iter::successors(error.source(), |&cause| cause.source()).find_map(|cause| cause.downcast_ref())
}

fn with_causes(error: &dyn StdError) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
