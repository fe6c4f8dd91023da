//! Where a PostgreSQL database is and how it is reached: URLs and parameters as libpq has them.

use std::{error::Error, path::PathBuf, str::FromStr, time::Duration};

use tokio_postgres::{Config, config::Host};

mod parameters;

use parameters::{NO_FORM, Parameters};

/// Where a PostgreSQL database is and how it is reached.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// Its `Debug` leaves the password out.
    pub(super) config: Config,
    pub(super) ssl: SslSettings,
    pub(super) pool: PoolSize,
    pub(super) prepared: PreparedStatements,
}

/// How much a connection is encrypted and the server verified: `sslmode`, as libpq has it
/// (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server takes no plain connection.
    Allow,
    /// Encrypted if the server can; who the server is, nobody checks.
    #[default]
    Prefer,
    /// Encrypted; the server's certificate is checked only if root certificates are given.
    Require,
    /// Encrypted, with a certificate that a trusted authority has signed.
    VerifyCa,
    /// Encrypted, with a certificate that a trusted authority has signed for the name of the host.
    VerifyFull,
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SslSettings {
    /// Whether they are.
    pub mode: SslMode,
    /// The file with the certificates of trusted authorities, in PEM; the word `system`, or nothing, means
    /// those of the operating system.
    pub root_cert: Option<PathBuf>,
    /// The file with the certificate that is shown to the server, in PEM.
    pub cert: Option<PathBuf>,
    /// The file with its private key, in PEM.
    pub key: Option<PathBuf>,
}

/// How many connections are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Opened at the start.
    pub least: u16,
    /// Never more than these.
    pub most: u16,
}

/// Whether statements are prepared once a connection and used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreparedStatements {
    /// If what answers can do it: a pooler between may not.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// A database by its parts, where there is no URL. What is missing or empty has a default.
pub struct PostgresParts {
    /// The server's name or address, or the directory of its socket; several with commas. `localhost` by
    /// default.
    pub host: Option<String>,
    /// The server's port.
    pub port: u16,
    /// The role that connects; `postgres` by default.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The database; named as the user by default.
    pub database: Option<String>,
}

/// A URL of PostgreSQL cannot be used. The text repeats nothing that could be of the password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is of another kind.
    #[error(
        "a PostgreSQL URL begins with `postgresql://` or `postgres://`, not with `{0}://`: \
         write postgresql:// instead"
    )]
    Scheme(String),
    /// It is not well formed.
    #[error("the PostgreSQL URL cannot be read: {0}")]
    Malformed(&'static str),
    /// It has a parameter that does nothing here.
    #[error("the PostgreSQL URL has the parameter `{0}`, which Ostiary does not know: leave it out")]
    Unknown(String),
    /// The same, and the name could be a piece of a password.
    #[error(
        "the PostgreSQL URL has a parameter that Ostiary does not know: leave it out. If there is none, \
         write the signs `@`, `?`, `&` and `/` in the password as %40, %3F, %26 and %2F"
    )]
    UnknownUnnamed,
    /// A parameter has a value that it cannot have.
    #[error("the parameter `{parameter}` of PostgreSQL must be {expected}")]
    Value {
        /// The parameter.
        parameter: &'static str,
        /// What it can be.
        expected: &'static str,
    },
    /// The same, as the driver says it.
    #[error(
        "PostgreSQL settings: {0}; its values are at \
         https://www.postgresql.org/docs/current/libpq-connect.html"
    )]
    Refused(String),
}

impl PostgresSettings {
    /// Reads a `postgresql://` URL or a `key=value` string, with the parameters of libpq
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html>) that the driver has, and `sslmode`,
    /// `sslrootcert`, `sslcert` and `sslkey`. What is not given has the defaults of [`PostgresParts`].
    ///
    /// # Errors
    /// If it is of another form, or a parameter is unknown or has a wrong value.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        let url = url.trim();
        let scheme = url.split_once("://").filter(|(scheme, _)| {
            scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '-' | '.'))
        });
        match scheme {
            Some(("postgresql" | "postgres", rest)) => Self::from_parameters(Parameters::from_url(rest)?),
            Some((scheme, _)) => Err(SettingsError::Scheme(scheme.to_owned())),
            None if url.is_empty() => Err(NO_FORM),
            None => Self::from_parameters(Parameters::from_words(url)?),
        }
    }

    /// Puts a database together from its parts.
    #[must_use]
    pub fn from_parts(parts: PostgresParts) -> Self {
        let mut parameters = Parameters::default();
        parameters.set("host", parts.host.unwrap_or_default());
        parameters.set("port", parts.port.to_string());
        parameters.set("user", parts.user.unwrap_or_default());
        parameters.set("password", parts.password.unwrap_or_default());
        parameters.set("dbname", parts.database.unwrap_or_default());
        Self::from_parameters(parameters).expect("these can have any value, and the port is a number")
    }

    fn from_parameters(mut parameters: Parameters) -> Result<Self, SettingsError> {
        let ssl = parameters.take_ssl()?;
        let weak = matches!(ssl.mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
        if weak && parameters.get("sslnegotiation") == Some("direct") {
            let expected = "`postgres` unless sslmode is require, verify-ca or verify-full";
            return Err(SettingsError::Value { parameter: "sslnegotiation", expected });
        }
        // In milliseconds, as libpq has it; the driver would take it for seconds.
        let user_timeout = parameters.take("tcp_user_timeout").map_or(Ok(10_000), |value| {
            let expected = "a number of milliseconds";
            value.parse().map_err(|_| SettingsError::Value { parameter: "tcp_user_timeout", expected })
        })?;
        if let Some(count) = parameters.take("keepalives_count") {
            parameters.set("keepalives_retries", count);
        }
        parameters.assert_known()?;
        parameters.complete();
        let mut config: Config = parameters.to_words().parse().map_err(|error: tokio_postgres::Error| {
            SettingsError::Refused(error.source().map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        config.tcp_user_timeout(Duration::from_millis(user_timeout));
        assert_counts(&config)?;
        Ok(Self { config, ssl, pool: PoolSize::default(), prepared: PreparedStatements::default() })
    }

    /// Encrypts as `ssl` says, whatever the URL said.
    #[must_use]
    pub fn with_ssl(self, ssl: SslSettings) -> Self {
        Self { ssl, ..self }
    }

    /// Keeps `pool` connections.
    #[must_use]
    pub fn with_pool(self, pool: PoolSize) -> Self {
        Self { pool, ..self }
    }

    /// Prepares statements, or does not.
    #[must_use]
    pub fn with_prepared(self, prepared: PreparedStatements) -> Self {
        Self { prepared, ..self }
    }

    /// How TLS is used.
    #[must_use]
    pub const fn ssl(&self) -> &SslSettings {
        &self.ssl
    }

    /// The servers and the database, as in `host:5432/database`, for messages: no user, no password.
    #[must_use]
    pub fn describe(&self) -> String {
        let (hosts, addresses) = (self.config.get_hosts(), self.config.get_hostaddrs());
        let servers = (0..hosts.len().max(addresses.len())).map(|server| {
            let host = match hosts.get(server) {
                Some(Host::Tcp(host)) if host.contains(':') => format!("[{host}]"),
                Some(Host::Tcp(host)) => host.clone(),
                #[cfg(unix)]
                Some(Host::Unix(directory)) => directory.display().to_string(),
                None => addresses[server].to_string(),
            };
            format!("{host}:{}", port(&self.config, server))
        });
        format!("{}/{}", servers.collect::<Vec<_>>().join(","), self.database())
    }

    /// The role that connects.
    #[must_use]
    pub fn user(&self) -> &str {
        self.config.get_user().expect("a user is always set")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().expect("a database is always set")
    }
}

/// The port of the server of that index: one port is for all.
pub(super) fn port(config: &Config, server: usize) -> u16 {
    let ports = config.get_ports();
    ports.get(server).or(ports.first()).copied().unwrap_or(5432)
}

fn assert_counts(config: &Config) -> Result<(), SettingsError> {
    let (hosts, addresses, ports) =
        (config.get_hosts().len(), config.get_hostaddrs().len(), config.get_ports().len());
    if ports > 1 && ports != hosts.max(addresses) {
        let expected = "one number, or one for each host";
        return Err(SettingsError::Value { parameter: "port", expected });
    }
    if hosts > 0 && addresses > 0 && hosts != addresses {
        return Err(SettingsError::Value { parameter: "hostaddr", expected: "one address for each host" });
    }
    Ok(())
}

impl SslMode {
    const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The mode of that name, as libpq names them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for SslMode {
    type Err = SettingsError;

    fn from_str(name: &str) -> Result<Self, SettingsError> {
        let expected = "disable, allow, prefer, require, verify-ca or verify-full";
        Self::from_name(name).ok_or(SettingsError::Value { parameter: "sslmode", expected })
    }
}

impl Default for PoolSize {
    fn default() -> Self {
        Self { least: 10, most: 20 }
    }
}

#[cfg(test)]
mod tests;
