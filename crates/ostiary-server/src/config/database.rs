//! Where the data is: SQLite in the data directory, or PostgreSQL if these settings name one.

#![expect(clippy::doc_markdown, reason = "the fields' documentation is the help text on a terminal")]

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use ostiary_store::postgres::{
    PoolSize, PostgresParts, PostgresSettings, PreparedStatements, SslMode, SslSettings,
};

use super::{SecretText, Settings, parse_seconds};

/// Whether statements are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preparing {
    /// Unless a pooler hands out sessions by the transaction, which is found out at the start.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Where PostgreSQL is, by the names of the replaced service.
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "PostgreSQL (with none of these, everything is in SQLite in the data directory)"
)]
pub struct DatabaseArgs {
    /// URL of a PostgreSQL database, in the place of the settings below: postgres://user:password@host:5432/name
    #[arg(long, env = "DATABASE_URL", value_name = "URL")]
    pub database_url: Option<SecretText>,
    /// Host of PostgreSQL, or the directory of its socket [default: localhost, if POSTGRES_DB is set]
    #[arg(long, env = "POSTGRES_HOST", value_name = "HOST")]
    pub postgres_host: Option<String>,
    /// Port of PostgreSQL
    #[arg(long, env = "POSTGRES_PORT", default_value_t = 5432, value_name = "PORT")]
    pub postgres_port: u16,
    /// User of PostgreSQL [default: postgres]
    #[arg(long, env = "POSTGRES_USER", value_name = "USER")]
    pub postgres_user: Option<String>,
    /// Password of PostgreSQL
    #[arg(long, env = "POSTGRES_PASSWORD", value_name = "PASSWORD")]
    pub postgres_password: Option<SecretText>,
    /// Database of PostgreSQL [default: that of the user's name]
    #[arg(long, env = "POSTGRES_DB", value_name = "DATABASE")]
    pub postgres_db: Option<String>,
    /// How TLS is used: disable, allow, prefer, require, verify-ca or verify-full, as libpq has it
    /// [default: prefer, or what DATABASE_URL says]
    #[arg(long, env = "POSTGRES_SSLMODE", value_name = "MODE")]
    pub postgres_sslmode: Option<SslMode>,
    /// File of the certificates that the server's must be signed by [default: those of the system]
    #[arg(long, env = "POSTGRES_SSLROOTCERT", value_name = "FILE")]
    pub postgres_sslrootcert: Option<PathBuf>,
    /// File of the client's own certificate
    #[arg(long, env = "POSTGRES_SSLCERT", value_name = "FILE")]
    pub postgres_sslcert: Option<PathBuf>,
    /// File of the key to the client's certificate
    #[arg(long, env = "POSTGRES_SSLKEY", value_name = "FILE")]
    pub postgres_sslkey: Option<PathBuf>,
    /// Connections that are opened soon after the start, so that no request waits for that: 10 unless told otherwise, or
    /// POSTGRES_POOL_MAX if that is less
    #[arg(long, env = "POSTGRES_POOL_MIN", value_name = "COUNT")]
    pub postgres_pool_min: Option<u16>,
    /// Connections that are opened at most; two more read
    #[arg(long, env = "POSTGRES_POOL_MAX", default_value_t = 20, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub postgres_pool_max: u16,
    /// Whether statements are prepared; auto: unless a pooler such as PgBouncer hands out sessions by the
    /// transaction
    #[arg(long, env = "POSTGRES_PREPARED_STATEMENTS", default_value = "auto", value_name = "WHEN")]
    pub postgres_prepared_statements: Preparing,
    /// How long to wait at the start for a database that is not there yet, in seconds
    #[arg(long, env = "DB_WAIT", default_value = "30", value_name = "SECONDS", value_parser = parse_wait)]
    pub db_wait: Duration,
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" { Ok(Duration::ZERO) } else { parse_seconds(text) }
}

/// Where everything is kept.
#[derive(Debug, Clone)]
pub enum DatabaseSettings {
    /// In an SQLite database at this path.
    Sqlite(PathBuf),
    /// In a PostgreSQL database.
    Postgres(Box<PostgresSettings>),
}

impl Settings {
    /// Where everything is kept.
    ///
    /// # Errors
    /// If the settings contradict each other; the text says what to do.
    pub fn database(&self) -> Result<DatabaseSettings, String> {
        let args = &self.database;
        let is_in_parts = args.postgres_host.is_some() || args.postgres_db.is_some();
        let settings = match &args.database_url {
            Some(_) if is_in_parts => {
                return Err(
                    "DATABASE_URL and POSTGRES_HOST or POSTGRES_DB are both set: leave one out".to_owned()
                );
            }
            Some(url) => PostgresSettings::from_url(url.expose())
                .map_err(|error| format!("DATABASE_URL cannot be used: {error}"))?,
            None if is_in_parts => PostgresSettings::from_parts(args.parts()),
            None if args.postgres_user.is_some() || args.postgres_password.is_some() => {
                return Err("POSTGRES_USER or POSTGRES_PASSWORD is set without POSTGRES_HOST or POSTGRES_DB: set one of \
                     these to use PostgreSQL, or unset those to use SQLite in DATA_DIR"
                    .to_owned());
            }
            None => return Ok(DatabaseSettings::Sqlite(self.data_dir.join("ostiary.db"))),
        };
        let most = args.postgres_pool_max;
        let least = args.postgres_pool_min.unwrap_or(PoolSize::default().least.min(most));
        if least > most {
            return Err(format!(
                "POSTGRES_POOL_MIN is {least}, and POSTGRES_POOL_MAX {most}: make the one no greater than the other"
            ));
        }
        let prepared = match args.postgres_prepared_statements {
            Preparing::Auto => PreparedStatements::Auto,
            Preparing::On => PreparedStatements::On,
            Preparing::Off => PreparedStatements::Off,
        };
        let settings = args.apply_ssl(settings);
        let pool = PoolSize { least, most };
        Ok(DatabaseSettings::Postgres(Box::new(settings.with_pool(pool).with_prepared(prepared))))
    }
}

impl DatabaseArgs {
    fn parts(&self) -> PostgresParts {
        PostgresParts {
            host: self.postgres_host.clone(),
            port: self.postgres_port,
            user: self.postgres_user.clone(),
            password: self.postgres_password.as_ref().map(|password| password.expose().to_owned()),
            database: self.postgres_db.clone(),
        }
    }

    /// What is set here goes before what the URL says.
    fn apply_ssl(&self, settings: PostgresSettings) -> PostgresSettings {
        let SslSettings { mode, root_cert, cert, key } = settings.ssl().clone();
        settings.with_ssl(SslSettings {
            mode: self.postgres_sslmode.unwrap_or(mode),
            root_cert: self.postgres_sslrootcert.clone().or(root_cert),
            cert: self.postgres_sslcert.clone().or(cert),
            key: self.postgres_sslkey.clone().or(key),
        })
    }
}
