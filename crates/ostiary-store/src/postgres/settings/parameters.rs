//! URLs and words, read into the parameters of libpq
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>). The driver would take a URL
//! too, but not the parameters of TLS, and takes an `@` in the query for the one that ends the password.

use std::{borrow::Cow, fmt::Write, path::PathBuf};

use percent_encoding::percent_decode_str;

use super::{SettingsError, SslMode, SslSettings};

pub(super) const NO_FORM: SettingsError =
    SettingsError::Malformed("it must be postgresql://user:password@host:5432/database");
pub(super) const NOT_TEXT: SettingsError =
    SettingsError::Malformed("what its percent signs encode is not UTF-8; write a percent sign as %25");
pub(super) const STRAY_AT: SettingsError =
    SettingsError::Malformed("it has more than one `@`; write one in the user or the password as %40");

/// Parameters of libpq, each once, none empty: to libpq an empty one is one that is not given.
#[derive(Default)]
pub(super) struct Parameters {
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

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.all.retain(|(other, _)| other != name);
        let value = value.into();
        if !value.is_empty() {
            self.all.push((name.to_owned(), value));
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.all.iter().position(|(other, _)| other == name)?;
        Some(self.all.swap_remove(at).1)
    }

    /// Reads what follows `postgresql://`.
    pub(super) fn from_url(rest: &str) -> Result<Self, SettingsError> {
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
    pub(super) fn from_words(text: &str) -> Result<Self, SettingsError> {
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

    pub(super) fn take_ssl(&mut self) -> Result<SslSettings, SettingsError> {
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

    pub(super) fn assert_known(&self) -> Result<(), SettingsError> {
        let is_known = |name: &str| Self::KNOWN.contains(&name) || name == "sslnegotiation";
        match self.all.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some(_) if self.secret_names => Err(SettingsError::UnknownUnnamed),
            Some((name, _)) => Err(SettingsError::Unknown(name.clone())),
        }
    }

    pub(super) fn complete(&mut self) {
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
    pub(super) fn to_words(&self) -> String {
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
