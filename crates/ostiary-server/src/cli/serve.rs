//! `ostiary serve`

use std::{io, net::SocketAddr, process::ExitCode, time::Instant};

use ostiary_core::keys::SigningAlgorithm;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::paint::{self, Paint};
use crate::{
    VERSION, api,
    app::App,
    config::{Settings, server_secret::SecretSource},
    jobs,
    listener::{self, open_files},
    metrics,
    startup::{self, Started},
    telemetry,
};

pub(super) fn run(settings: &Settings, no_color: bool) -> ExitCode {
    let start = Instant::now();
    telemetry::start(settings.log_format, settings.log_level.clone(), no_color);
    match super::block_on(serve(settings, no_color, start)).flatten() {
        Ok(code) => code,
        Err(error) => {
            // For the operator at the terminal, and for whoever reads only the log.
            if settings.log_format.is_text() {
                paint::failure(no_color, &format!("{error:#}"));
            } else {
                tracing::error!("{error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings, no_color: bool, start: Instant) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let limits = open_files::fit(settings.connection_limits(), settings.database.postgres_pool_max.into());
    let listener = bind(SocketAddr::new(settings.host, settings.port), &SERVICE)?;
    let address = listener.local_addr()?;
    let metrics_listener = match settings.metrics_listen {
        Some(address) => Some(bind(address, &METRICS)?),
        None => None,
    };
    let metrics_address = metrics_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let started = tokio::select! {
        started = startup::start(settings) => started?,
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before it was ready");
            return Ok(ExitCode::FAILURE);
        }
    };
    announce(settings, (address, metrics_address), &started, no_color, start);

    let app = App::new(started.ostiary, started.limiter_metrics, settings);
    let stop = CancellationToken::new();
    jobs::start(&app, &stop);
    let router = api::router(app.clone());
    let serving = async {
        let figures = async {
            if let Some(listener) = metrics_listener {
                metrics::serve(listener, app.figures(), stop.clone()).await;
            }
        };
        let connections = app.connection_metrics.clone();
        tokio::join!(listener::serve(listener, router, limits, connections, stop.clone()), figures).0
    };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = &mut serving => unreachable!("only `stop` ends the accept loop"),
        name = signals.next() => tracing::info!(signal = name, "stopping: no new connections, finishing requests in flight"),
    }
    app.start_draining();
    stop.cancel();
    tokio::select! {
        drained = &mut serving => {
            if drained {
                tracing::info!("stopped");
            } else {
                tracing::warn!(limit = ?settings.connections.drain_timeout, "stopped; requests in flight were cut off");
            }
            Ok(ExitCode::SUCCESS)
        }
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once; requests in flight were cut off");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What asks the server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// What an address is set by, for whoever has to set another.
struct ListenSettings {
    host: &'static str,
    port: &'static str,
}

const SERVICE: ListenSettings = ListenSettings { host: "HOST", port: "PORT" };
const METRICS: ListenSettings =
    ListenSettings { host: "address in METRICS_LISTEN", port: "port in METRICS_LISTEN" };

fn bind(address: SocketAddr, settings: &ListenSettings) -> anyhow::Result<TcpListener> {
    let ListenSettings { host, port } = settings;
    listener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {} is in use by another process: stop that one, or set another {port}",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("this user may not listen on port {}: set a {port} above 1023", address.port())
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{} is no address of this machine: set another {host}", address.ip())
        }
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    })
}

/// An address as one reaches it from this machine.
fn base_url(address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("http://{host}:{}", address.port())
}

/// Says where the server and its figures are.
fn announce(
    settings: &Settings,
    (address, metrics): (SocketAddr, Option<SocketAddr>),
    started: &Started,
    no_color: bool,
    start: Instant,
) {
    let base = base_url(address);
    let metrics = metrics.map(|address| format!("{}/metrics", base_url(address)));
    let ostiary = &started.ostiary;
    let algorithm = ostiary.keys.algorithm(ostiary.clock.now()).map_or("none", SigningAlgorithm::as_str);
    let took = start.elapsed().as_millis();
    if settings.log_format.is_text() {
        let paint = Paint::for_stderr(no_color);
        let name = format!("Ostiary {VERSION}");
        paint::note(&format!("{} is ready ({took} ms)", paint.good(&name)));
        paint::fact(paint, "Service", &format!("{base}/api/v1/auth"));
        paint::fact(paint, "Docs", &format!("{base}/docs, {base}/redoc"));
        if let Some(metrics) = &metrics {
            paint::fact(paint, "Metrics", metrics);
        }
        paint::fact(paint, "Data", &started.database);
        paint::fact(paint, "Tokens", &tokens(algorithm, &base));
        paint::fact(paint, "Secret", &describe(&started.secret));
        paint::fact(paint, "Limits", &limits(settings));
        paint::note("Stop it with Ctrl-C.");
    } else {
        tracing::info!(
            service = %format!("{base}/api/v1/auth"),
            docs = %format!("{base}/docs"),
            metrics,
            data = started.database,
            tokens = algorithm,
            limits = limits(settings),
            version = VERSION,
            milliseconds = u64::try_from(took).unwrap_or(u64::MAX),
            "ready"
        );
    }
}

fn tokens(algorithm: &str, base: &str) -> String {
    if algorithm.starts_with("HS") {
        format!("{algorithm}, with JWT_SECRET_KEY")
    } else {
        format!("{algorithm}, public keys at {base}/.well-known/jwks.json")
    }
}

/// Where guesses at passwords are counted.
pub(super) fn limits(settings: &Settings) -> String {
    match settings.redis.settings() {
        _ if !settings.limits.rate_limits => {
            "none: RATE_LIMITS is off, anybody may guess passwords for ever".to_owned()
        }
        Ok(Some(redis)) => format!("counted in Redis at {}", redis.description),
        _ => "counted in memory, by this node alone".to_owned(),
    }
}

pub(super) fn describe(source: &SecretSource) -> String {
    match source {
        SecretSource::Setting => "SECRET_KEY".to_owned(),
        SecretSource::File(path) => path.display().to_string(),
        SecretSource::Made(path) => {
            format!("{}, made now: keep a copy, all tokens depend on it", path.display())
        }
        SecretSource::JwtSecret => "derived from JWT_SECRET_KEY".to_owned(),
    }
}
