//! Connections as `sslmode` says, with the meaning that libpq gives it
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>). The driver has three of its six modes, sends
//! its request for TLS into Unix sockets as well, and hides what one address of a host has answered behind
//! the silence of the next: so each address is tried here, by itself.

use std::{
    error::Error as _,
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ostiary_core::secret::random;
use tokio::{net::lookup_host, task::JoinHandle};
use tokio_postgres::{
    Client, Config, Error, NoTls, Socket,
    config::{Host, LoadBalanceHosts, SslMode as DriverMode},
    error::SqlState,
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

mod trust;

use super::settings::{SslMode, SslSettings, port};
use trust::client_config;

/// How long one of several servers may take to answer: two fit into the time that a request waits for a
/// connection.
const SERVER_TIMEOUT: Duration = Duration::from_millis(900);
/// In place of a file: the certificates of the operating system.
const SYSTEM: &str = "system";

/// Connections cannot be encrypted as the settings want it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("the file {path} of {parameter} cannot be used: {cause}; {advice}")]
    File {
        /// The setting that names it.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{0} is set and {1} is not: set both, or neither")]
    Half(&'static str, &'static str),
    /// Everybody can have a certificate of those authorities, for a name of his own.
    #[error(
        "sslrootcert=system verifies nothing unless the name of the host is verified too: \
         set sslmode=verify-full"
    )]
    WeakSystem,
    /// The operating system trusts nobody.
    #[error(
        "this system has no root certificates{0}: install its package ca-certificates, or name a file of the \
         authority's certificate in sslrootcert"
    )]
    NoSystem(String),
}

/// Makes connections as `sslmode` says: libpq's semantics.
#[derive(Clone)]
pub(super) struct Connector {
    mode: SslMode,
    /// `None` if it is never used.
    tls: Option<MakeRustlsConnect>,
    /// Of several servers, the one to begin with.
    preferred: Arc<AtomicUsize>,
}

/// A connection, and the task that drives it.
pub(super) type Connected = (Client, JoinHandle<()>);

impl Connector {
    /// Reads the files that the settings name.
    pub(super) fn new(ssl: &SslSettings) -> Result<Self, TlsError> {
        let system = ssl.root_cert.as_deref().is_some_and(|path| path.as_os_str() == SYSTEM);
        if system && ssl.mode != SslMode::VerifyFull {
            return Err(TlsError::WeakSystem);
        }
        let tls = match ssl.mode {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(client_config(ssl)?)),
        };
        Ok(Self { mode: ssl.mode, tls, preferred: Arc::default() })
    }

    /// Opens a connection and spawns the task that drives it. Tries the addresses of all hosts until a server
    /// answers, the one that answered last first; what it answers holds, unless it is not ready. How long it may
    /// take in all is the caller's affair, but of several none may take all the time.
    pub(super) async fn connect(&self, config: &Config) -> Result<Connected, Error> {
        let (mut failure, mut silent) = (None, None);
        let servers = self.order(config);
        for &server in &servers {
            let targets = targets(config, server).await;
            let is_only = servers.len() == 1 && targets.len() == 1;
            for target in targets {
                let limit = if is_only { Duration::MAX } else { SERVER_TIMEOUT };
                match tokio::time::timeout(limit, self.connect_to(target.clone())).await {
                    Err(_) => silent = silent.or(Some(target)),
                    Ok(Err(error)) if is_unreached(&error) => {
                        failure = failure.filter(|error: &Error| error.code().is_some()).or(Some(error));
                    }
                    Ok(outcome) => {
                        self.preferred.store(server, Ordering::Relaxed);
                        return outcome;
                    }
                }
            }
            // Whoever comes next begins with the next one, if there is no time for all of them.
            self.preferred.store(server + 1, Ordering::Relaxed);
        }
        match (failure, silent) {
            (Some(error), _) => Err(error),
            (None, Some(target)) => self.connect_to(target).await,
            // There is no host, and the driver says so.
            (None, None) => open(config, DriverMode::Disable, NoTls).await,
        }
    }

    /// The indices of the servers, in the order to try them: at random if `load_balance_hosts` wants it.
    fn order(&self, config: &Config) -> Vec<usize> {
        let mut order = order(config, config.get_hosts().len().max(config.get_hostaddrs().len()));
        if config.get_load_balance_hosts() != LoadBalanceHosts::Random && !order.is_empty() {
            let first = self.preferred.load(Ordering::Relaxed) % order.len();
            order.rotate_left(first);
        }
        order
    }

    /// Connects to a single address or socket.
    async fn connect_to(&self, target: Config) -> Result<Connected, Error> {
        let is_socket = !matches!(target.get_hosts(), [Host::Tcp(_)]);
        let Some(tls) = self.tls.clone().filter(|_| !is_socket) else {
            return open(&target, DriverMode::Disable, NoTls).await;
        };
        match self.mode {
            SslMode::Disable | SslMode::Allow => match open(&target, DriverMode::Disable, NoTls).await {
                Err(error) if is_refused(&error) => {
                    let second = open(&target, DriverMode::Require, tls).await;
                    second.map_err(|second| more_telling(error, second))
                }
                outcome => outcome,
            },
            SslMode::Prefer => match open(&target, DriverMode::Prefer, tls).await {
                Err(error) if is_refused(&error) || is_handshake(&error) => {
                    tracing::debug!(
                        error = all(&error),
                        "no encrypted connection to PostgreSQL; trying a plain one"
                    );
                    let second = open(&target, DriverMode::Disable, NoTls).await;
                    second.map_err(|second| more_telling(error, second))
                }
                outcome => outcome,
            },
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                open(&target, DriverMode::Require, tls).await
            }
        }
    }
}

async fn open<T>(target: &Config, mode: DriverMode, tls: T) -> Result<Connected, Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let (client, connection) = target.clone().ssl_mode(mode).connect(tls).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = all(&error), "a connection to PostgreSQL ended");
        }
    });
    Ok((client, task))
}

/// An error as a log shows it with its causes: the text of the driver's alone says no more than of which kind it is.
fn all(error: &Error) -> &(dyn std::error::Error + 'static) {
    error
}

/// The server refuses this kind of connection: most often `pg_hba.conf` has no line for it. (A wrong password
/// is another error, and is not sent again in the clear.)
fn is_refused(error: &Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// TLS was begun and went wrong.
fn is_handshake(error: &Error) -> bool {
    io_error(error).is_some_and(|error| {
        is_of_tls(error)
            || matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
    })
}

/// Another server could answer: this one does not, does not yet, or is not of the kind that is looked for
/// (`target_session_attrs`).
fn is_unreached(error: &Error) -> bool {
    match error.code() {
        Some(code) => *code == SqlState::CANNOT_CONNECT_NOW,
        None => io_error(error).is_some_and(|error| !is_of_tls(error)),
    }
}

fn io_error(error: &Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()).is_some()
}

/// Of the errors of two tries, the one that an operator can do something about: the second try got further,
/// unless it could not begin.
fn more_telling(first: Error, second: Error) -> Error {
    let further = is_handshake(&second) || second.code().is_some() && !is_refused(&second);
    if further { second } else { first }
}

/// The indices below `count`, in the order that `load_balance_hosts` wants.
fn order(config: &Config, count: usize) -> Vec<usize> {
    let mut indices: Vec<_> = (0..count).collect();
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        indices.sort_by_cached_key(|_| random::<8>());
    }
    indices
}

/// The addresses of a server, each as a configuration that has only that one.
async fn targets(config: &Config, server: usize) -> Vec<Config> {
    let port = port(config, server);
    match (config.get_hosts().get(server), config.get_hostaddrs().get(server)) {
        (Some(Host::Tcp(name)), None) => {
            let addresses: Vec<_> = match lookup_host((name.as_str(), port)).await {
                Ok(addresses) => addresses.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            };
            if addresses.is_empty() {
                // The driver looks the name up again, and says that there is none.
                return vec![target(config, Some(Host::Tcp(name.clone())), None, port)];
            }
            let order = order(config, addresses.len()).into_iter();
            order.map(|i| target(config, Some(Host::Tcp(name.clone())), Some(addresses[i]), port)).collect()
        }
        (host, address) => vec![target(config, host.cloned(), address.copied(), port)],
    }
}

/// The configuration with this server alone.
fn target(config: &Config, host: Option<Host>, address: Option<IpAddr>, port: u16) -> Config {
    let mut target = Config::new();
    match (host, address) {
        (Some(Host::Tcp(name)), _) => target.host(name),
        // The driver wants a name for the certificate, verified or not.
        (_, Some(address)) => target.host(address.to_string()),
        #[cfg(unix)]
        (Some(Host::Unix(directory)), None) => target.host_path(directory),
        (None, None) => &mut target,
    };
    // What is not set stays unset.
    address.map(|address| target.hostaddr(address));
    config.get_user().map(|user| target.user(user));
    config.get_password().map(|password| target.password(password));
    config.get_dbname().map(|database| target.dbname(database));
    config.get_options().map(|options| target.options(options));
    config.get_application_name().map(|name| target.application_name(name));
    config.get_connect_timeout().map(|timeout| target.connect_timeout(*timeout));
    config.get_tcp_user_timeout().map(|timeout| target.tcp_user_timeout(*timeout));
    config.get_keepalives_interval().map(|interval| target.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| target.keepalives_retries(retries));
    target
        .port(port)
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts())
        .ssl_mode(config.get_ssl_mode());
    target
}

#[cfg(test)]
mod tests {
    use super::{super::settings::PostgresSettings, *};

    fn config(url: &str) -> Config {
        PostgresSettings::from_url(url).unwrap().config
    }

    #[tokio::test]
    async fn a_target_keeps_everything_but_the_other_servers() {
        let mut one = config(
            "postgres://u:p@127.0.0.1:7/d?options=-cgeqo%3Doff&application_name=a&connect_timeout=3&\
             keepalives=0&keepalives_idle=4&keepalives_interval=5&keepalives_retries=6&tcp_user_timeout=8&\
             sslmode=require&target_session_attrs=read-write&channel_binding=require&\
             load_balance_hosts=random&sslnegotiation=direct",
        );
        one.ssl_mode(DriverMode::Require).hostaddr("127.0.0.1".parse().unwrap());
        assert_eq!(targets(&one, 0).await, [one]);
    }

    #[tokio::test]
    async fn each_server_has_its_port() {
        let servers = config("postgres://127.0.0.1:1,%2Frun:2,[::1]/d");
        let ports: Vec<_> = [
            targets(&servers, 0).await[0].get_ports().to_vec(),
            targets(&servers, 1).await[0].get_ports().to_vec(),
            targets(&servers, 2).await[0].get_ports().to_vec(),
        ]
        .concat();
        assert_eq!(ports, [1, 2, 5432]);
        assert_eq!(targets(&servers, 1).await[0].get_hosts(), [Host::Unix("/run".into())]);
        assert_eq!(targets(&servers, 2).await[0].get_hostaddrs(), ["::1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn an_address_alone_is_its_name() {
        let target = &targets(&config("postgres:///d?hostaddr=127.0.0.1"), 0).await[0];
        assert_eq!(target.get_hosts(), [Host::Tcp("127.0.0.1".into())]);
    }

    #[test]
    fn servers_are_shuffled_on_demand() {
        assert_eq!(order(&config("postgres://a,b,c/d"), 3), [0, 1, 2]);
        let mut shuffled = order(&config("postgres://a,b,c/d?load_balance_hosts=random"), 3);
        shuffled.sort_unstable();
        assert_eq!(shuffled, [0, 1, 2]);
    }

    #[test]
    fn an_error_names_the_file() {
        let ssl = |mode, root: Option<&str>, cert: Option<&str>, key: Option<&str>| {
            let [root_cert, cert, key] = [root, cert, key].map(|path| path.map(PathBuf::from));
            Connector::new(&SslSettings { mode, root_cert, cert, key })
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        let none = Some("/none/x.pem");
        let root = ssl(SslMode::Require, none, None, None).unwrap_err();
        assert!(root.contains("/none/x.pem") && root.contains("sslrootcert"), "{root}");
        let cert = ssl(SslMode::Prefer, None, none, none).unwrap_err();
        assert!(cert.contains("/none/x.pem") && cert.contains("sslcert"), "{cert}");
        assert!(ssl(SslMode::Require, None, none, None).unwrap_err().contains("sslkey"));
        assert!(ssl(SslMode::Require, None, None, none).unwrap_err().contains("sslcert"));
        assert!(ssl(SslMode::VerifyCa, Some("system"), None, None).unwrap_err().contains("verify-full"));
        assert_eq!(ssl(SslMode::Disable, none, none, none), Ok(()), "nothing is read");
    }
}
