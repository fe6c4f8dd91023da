//! Where a PostgreSQL database is and how it is reached: URLs and parameters as libpq has them.

use std::{borrow::Cow, error::Error, fmt::Write, path::PathBuf, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::{Config, config::Host};

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

const NO_FORM: SettingsError =
    SettingsError::Malformed("it must be postgresql://user:password@host:5432/database");
const NOT_TEXT: SettingsError =
    SettingsError::Malformed("what its percent signs encode is not UTF-8; write a percent sign as %25");
const STRAY_AT: SettingsError =
    SettingsError::Malformed("it has more than one `@`; write one in the user or the password as %40");

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
        Self { least: 5, most: 20 }
    }
}

/// Parameters of libpq, each once, none empty: to libpq an empty one is one that is not given.
#[derive(Default)]
struct Parameters {
    all: Vec<(String, String)>,
    /// Whether the name of a parameter could be a piece of a password that was not encoded.
    secret_names: bool,
}

impl Parameters {
    /// Those that the driver takes as they are.
    const KNOWN: [&str; 16] = [
        "host",
        "hostaddr",
        "port",
        "user",
        "password",
        "dbname",
        "options",
        "application_name",
        "connect_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_retries",
        "target_session_attrs",
        "channel_binding",
        "load_balance_hosts",
    ];

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.all.retain(|(other, _)| other != name);
        let value = value.into();
        if !value.is_empty() {
            self.all.push((name.to_owned(), value));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.all.iter().position(|(other, _)| other == name)?;
        Some(self.all.swap_remove(at).1)
    }

    /// Reads what follows `postgresql://`.
    fn from_url(rest: &str) -> Result<Self, SettingsError> {
        let mut parameters = Self::default();
        let before = |sign| rest.find(sign).unwrap_or(rest.len());
        let (credentials, rest) = match rest.split_once('@') {
            Some(split) if before('@') < before('/').max(before('?')) => split,
            _ => ("", rest),
        };
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        parameters.set("user", decode(user)?);
        parameters.set("password", decode(password)?);

        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(STRAY_AT);
        }
        let (servers, database) = place.split_once('/').unwrap_or((place, ""));
        parameters.set_servers(servers)?;
        parameters.set("dbname", decode(database)?);

        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or(SettingsError::Malformed("one of its parameters has no `=` and no value"))?;
            let (name, value) = (decode(name)?, decode(value)?);
            parameters.secret_names |= name == "password" || query.contains('@');
            match (&*name, &*value) {
                // As JDBC has it, and libpq knows.
                ("ssl", "true") => parameters.set("sslmode", "require"),
                _ => parameters.set(&name, value),
            }
        }
        Ok(parameters)
    }

    /// Reads `host:port`, several with commas; an address with colons is in brackets.
    fn set_servers(&mut self, servers: &str) -> Result<(), SettingsError> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for server in servers.split(',') {
            let (host, port) = match server.strip_prefix('[') {
                Some(server) => {
                    let (host, port) = server.split_once(']').ok_or(NO_FORM)?;
                    (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or(NO_FORM)?)
                }
                None => server.split_once(':').unwrap_or((server, "")),
            };
            hosts.push(decode(host)?);
            ports.push(decode(port)?);
        }
        for (name, values) in [("host", hosts), ("port", ports)] {
            if values.iter().any(|value| !value.is_empty()) {
                self.set(name, values.join(","));
            }
        }
        Ok(())
    }

    /// Reads `key=value` words; a value with spaces is quoted.
    fn from_words(text: &str) -> Result<Self, SettingsError> {
        let mut parameters = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(NO_FORM)?;
            let name = name.trim_end();
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(NO_FORM);
            }
            let (value, after) = read_value(after.trim_start())?;
            parameters.set(name, value);
            rest = after.trim_start();
        }
        parameters.secret_names = parameters.get("password").is_some();
        Ok(parameters)
    }

    fn take_ssl(&mut self) -> Result<SslSettings, SettingsError> {
        let mode = self.take("sslmode");
        let root_cert = self.take("sslrootcert").map(PathBuf::from);
        let mode = match mode {
            Some(mode) => mode.parse()?,
            None if root_cert.as_ref().is_some_and(|root| root.as_os_str() == "system") => {
                SslMode::VerifyFull
            }
            None => SslMode::default(),
        };
        let mut take_path = |name| self.take(name).map(PathBuf::from);
        Ok(SslSettings { mode, root_cert, cert: take_path("sslcert"), key: take_path("sslkey") })
    }

    fn assert_known(&self) -> Result<(), SettingsError> {
        let is_known = |name: &str| Self::KNOWN.contains(&name) || name == "sslnegotiation";
        match self.all.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some(_) if self.secret_names => Err(SettingsError::UnknownUnnamed),
            Some((name, _)) => Err(SettingsError::Unknown(name.clone())),
        }
    }

    fn complete(&mut self) {
        const DEFAULTS: [(&str, &str); 6] = [
            ("user", "postgres"),
            ("application_name", "ostiary"),
            ("connect_timeout", "2"),
            ("keepalives_idle", "10"),
            ("keepalives_interval", "5"),
            ("keepalives_retries", "3"),
        ];
        for (name, value) in DEFAULTS {
            if self.get(name).is_none() {
                self.set(name, value);
            }
        }
        if self.get("dbname").is_none() {
            self.set("dbname", self.get("user").unwrap_or_default().to_owned());
        }
        if self.get("hostaddr").is_none() || self.get("host").is_some() {
            let hosts = self.get("host").unwrap_or_default().split(',');
            let hosts: Vec<_> = hosts.map(|host| if host.is_empty() { "localhost" } else { host }).collect();
            self.set("host", hosts.join(","));
        }
    }

    /// As `key=value` words.
    fn to_words(&self) -> String {
        self.all.iter().fold(String::new(), |mut words, (name, value)| {
            let value = value.replace('\\', r"\\").replace('\'', r"\'");
            write!(words, "{name}='{value}' ").expect("a string takes all");
            words
        })
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, SettingsError> {
    percent_decode_str(text).decode_utf8().map_err(|_| NOT_TEXT)
}

/// Reads a value, and gives it with what follows.
fn read_value(text: &str) -> Result<(String, &str), SettingsError> {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |text| (true, text));
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => value.extend(signs.next().map(|(_, sign)| sign)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            _ if !quoted && sign.is_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(sign),
        }
    }
    if quoted { Err(SettingsError::Malformed("a quoted value has no end")) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> PostgresSettings {
        PostgresSettings::from_url(url).unwrap()
    }

    fn error(url: &str) -> SettingsError {
        PostgresSettings::from_url(url).unwrap_err()
    }

    #[test]
    fn a_url_names_everything() {
        let settings = settings(
            "postgresql://us%40er:p%2Fa%25ss'\\ @db.example:5433/my%20db?sslmode=verify-full&\
             sslrootcert=%2Fca%20x.pem&sslcert=/c.pem&sslkey=/k.pem&application_name=it&connect_timeout=7&\
             keepalives_count=9&tcp_user_timeout=1500&target_session_attrs=read-write",
        );
        assert_eq!(settings.user(), "us@er");
        assert_eq!(settings.config.get_password(), Some(r"p/a%ss'\ ".as_bytes()));
        assert_eq!(settings.describe(), "db.example:5433/my db");
        assert_eq!(settings.config.get_application_name(), Some("it"));
        assert_eq!(settings.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
        assert_eq!(settings.config.get_keepalives_retries(), Some(9));
        assert_eq!(settings.config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
        let ssl = SslSettings {
            mode: SslMode::VerifyFull,
            root_cert: Some("/ca x.pem".into()),
            cert: Some("/c.pem".into()),
            key: Some("/k.pem".into()),
        };
        assert_eq!(settings.ssl, ssl);
    }

    #[test]
    fn what_a_url_leaves_out_has_a_default() {
        let settings = settings("postgres://");
        assert_eq!((settings.user(), settings.database()), ("postgres", "postgres"));
        assert_eq!(settings.describe(), "localhost:5432/postgres");
        assert_eq!(settings.config.get_password(), None);
        assert_eq!(settings.config.get_application_name(), Some("ostiary"));
        assert_eq!(settings.config.get_connect_timeout(), Some(&Duration::from_secs(2)));
        assert_eq!(settings.config.get_tcp_user_timeout(), Some(&Duration::from_secs(10)));
        assert_eq!(settings.config.get_keepalives_idle(), Duration::from_secs(10));
        assert_eq!(settings.config.get_keepalives_interval(), Some(Duration::from_secs(5)));
        assert_eq!(settings.config.get_keepalives_retries(), Some(3));
        assert_eq!(settings.ssl, SslSettings::default());
        assert_eq!(settings.pool, PoolSize { least: 5, most: 20 });
        assert_eq!(settings.prepared, PreparedStatements::Auto);
        assert_eq!(PostgresSettings::from_url("postgres://ann@db").unwrap().database(), "ann");
    }

    #[test]
    fn servers_are_described_without_secrets() {
        for (url, description) in [
            ("postgres://u:p@one,two:5433/d", "one:5432,two:5433/d"),
            ("postgres://u:p@[::1]:7/d", "[::1]:7/d"),
            ("postgres://%2Frun%2Fpostgresql/d", "/run/postgresql:5432/d"),
            ("postgres:///d?host=/run/postgresql&port=6", "/run/postgresql:6/d"),
            ("postgres://one/d?host=two", "two:5432/d"),
            ("postgres:///d?user=a@b", "localhost:5432/d"),
            ("postgres://:5433/d", "localhost:5433/d"),
            ("postgres:///d?hostaddr=127.0.0.1", "127.0.0.1:5432/d"),
            ("postgres://u:p/w@one/d", "one:5432/d"),
            ("postgres://u:p?w@one/d", "one:5432/d"),
            ("host=one,two port=6 dbname='my d' user = u password='it\\'s'", "one:6,two:6/my d"),
        ] {
            assert_eq!(settings(url).describe(), description, "{url}");
        }
    }

    #[test]
    fn words_are_read_as_well() {
        let settings = settings(
            r"host=/run user=u password='it\'s \\ a' sslmode=require dbname=d\ e application_name=''",
        );
        assert_eq!(settings.config.get_password(), Some(r"it's \ a".as_bytes()));
        assert_eq!(settings.describe(), "/run:5432/d e");
        assert_eq!(settings.ssl.mode, SslMode::Require);
        assert_eq!(settings.config.get_application_name(), Some("ostiary"));
    }

    #[test]
    fn parts_have_defaults_and_any_signs() {
        let none = PostgresParts {
            host: None,
            port: 5432,
            user: None,
            password: None,
            database: Some(String::new()),
        };
        let settings = PostgresSettings::from_parts(none);
        assert_eq!((settings.user(), settings.database()), ("postgres", "postgres"));
        assert_eq!(settings.describe(), "localhost:5432/postgres");

        let odd = r"a'b\ c=d@/?&%41,";
        let settings = PostgresSettings::from_parts(PostgresParts {
            host: Some("/run/postgresql".into()),
            port: 7,
            user: Some(odd.into()),
            password: Some(odd.into()),
            database: None,
        });
        assert_eq!((settings.user(), settings.database()), (odd, odd));
        assert_eq!(settings.config.get_password(), Some(odd.as_bytes()));
        assert_eq!(settings.config.get_hosts(), [Host::Unix("/run/postgresql".into())]);
    }

    #[test]
    fn the_system_s_roots_mean_that_all_is_verified() {
        assert_eq!(settings("postgres://h?sslrootcert=system").ssl.mode, SslMode::VerifyFull);
        assert_eq!(settings("postgres://h?sslrootcert=/ca.pem").ssl.mode, SslMode::Prefer);
        assert_eq!(settings("postgres://h?ssl=true").ssl.mode, SslMode::Require);
    }

    #[test]
    fn modes_have_the_names_of_libpq() {
        let names: Vec<_> = SslMode::ALL.into_iter().map(SslMode::as_str).collect();
        assert_eq!(names, ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]);
        for mode in SslMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert_eq!(SslMode::from_name("Require"), None);
        assert_eq!(SslMode::default(), SslMode::Prefer);
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        assert_eq!(error("postgresql+asyncpg://u:p@h/d"), SettingsError::Scheme("postgresql+asyncpg".into()));
        assert_eq!(error("mysql://u:p@h/d"), SettingsError::Scheme("mysql".into()));
        assert_eq!(error("postgres://u:p@h/d?pgbouncer=true"), SettingsError::Unknown("pgbouncer".into()));
        assert_eq!(error("host=h sslmod=require"), SettingsError::Unknown("sslmod".into()));
        assert_eq!(error("host=h password=a b=c"), SettingsError::UnknownUnnamed);
        assert_eq!(error("postgres://h/d?password=a&b=c"), SettingsError::UnknownUnnamed);
        assert_eq!(error("postgres://u:s@h?k=v@h/d"), SettingsError::UnknownUnnamed);
        assert_eq!(error("postgres://u:s@cret@h/d"), STRAY_AT);
        for no_form in
            ["", " ", "localhost/d", "u:p@h/d", "postgres://[::1/d", "postgres://[::1]x/d", "a b=c"]
        {
            assert_eq!(error(no_form), NO_FORM, "{no_form}");
        }
        assert_eq!(error("postgres://u:%ff@h/d"), NOT_TEXT);
        assert!(matches!(error("postgres://h/d?sslmode"), SettingsError::Malformed(_)));
        assert!(matches!(error("password='x"), SettingsError::Malformed(_)));
        for (url, name) in [
            ("postgres://h/d?sslmode=on", "sslmode"),
            ("postgres://h/d?tcp_user_timeout=1s", "tcp_user_timeout"),
            ("postgres://h/d?sslnegotiation=direct", "sslnegotiation"),
            ("postgres://h,i,j/d?port=1,2", "port"),
            ("postgres://h,i/d?hostaddr=127.0.0.1", "hostaddr"),
            ("postgres://h:port/d", "port"),
            ("postgres://h/d?channel_binding=x", "channel_binding"),
        ] {
            assert!(error(url).to_string().contains(&format!("`{name}`")), "{url}: {}", error(url));
        }
    }

    #[test]
    fn nothing_shows_a_password() {
        let settings = settings("postgres://u:hunter2@h/d");
        assert!(!format!("{settings:?} {}", settings.describe()).contains("hunter"));
        for url in [
            "postgresql+asyncpg://u:hunter2@h/d",
            "postgres://u:hunter2@h:hunter2/d?port=hunter2",
            "postgres://u:x@hunter2@h/d",
            "postgres://u:x@y/hunter2@h/d",
            "postgres://u:x@y?hunter2=@h/d",
            "postgres://h/d?password=x&hunter2=1",
            "postgres://h/d?sslmode=hunter2",
            "password=x hunter2=y",
            "password='hunter2",
            "u:hunter2@h/d",
            "hunter2",
            "u:hunter2://h",
        ] {
            let error = error(url);
            assert!(!format!("{error} {error:?}").contains("hunter"), "{url}: {error}");
        }
    }
}
