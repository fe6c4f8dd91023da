//! The accept loop: connections with time-outs and a limit on their number, and a drain at the end.
//!
//! `axum::serve` has no time-out for a header that comes a byte a minute; here every wait has one.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

mod metrics;
pub mod open_files;
mod protocols;
mod slots;
mod watch;
mod watched_body;

pub use metrics::ConnectionMetrics;
use protocols::protocols;
use slots::Slots;
use watch::{Watch, WatchedIo};
use watched_body::WatchedBody;

use crate::seldom::Seldom;

/// How long connections may take, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// How long the head of a request may take, from its first byte; of the first one, from the
    /// connection's start.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How many connections are served at once; for more, those that wait for their clients make room.
    pub max_connections: usize,
    /// How long requests in flight may take to finish when the server stops.
    pub drain_timeout: Duration,
}

/// After an error of `accept` the loop rests, or it would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the system completes before they are accepted; beyond it, those that come are let drop,
/// and their clients try again after a second, and then after two. The system may allow fewer
/// (`net.core.somaxconn`).
const BACKLOG: u32 = 4_096;

/// How much of an answer the system keeps for a client that does not read, in bytes (it takes twice as much
/// for its own needs). By itself it goes up to 4 MiB for each, which a thousand slow readers would fill.
const SYSTEM_SEND_BUFFER: u32 = 128 * 1024;

/// Listens on `address`.
///
/// # Errors
/// If that is not possible.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // After a restart the port is free at once.
    socket.set_reuseaddr(true)?;
    // The sockets of connections take it over.
    socket.set_send_buffer_size(SYSTEM_SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` on `listener` until `stop`, then lets what is in flight finish. Says whether all of
/// it did within the drain time-out. Connections are counted in `metrics`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    metrics: ConnectionMetrics,
    stop: CancellationToken,
) -> bool {
    let slots = Arc::new(Slots::new(limits.max_connections, metrics));
    let warning = Seldom::default();
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    loop {
        let next = async {
            let (stream, address) = accept(&listener, &slots, &warning).await;
            let watch = Arc::new(Watch::new(limits, Instant::now()));
            let slot = slots.take(Arc::clone(&watch)).await;
            (stream, address, watch, slot)
        };
        let (stream, address, watch, slot) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = next => next,
        };
        let connection = Connection { router: router.clone(), watch, stop: stop.clone(), address };
        let abort = abort.clone();
        connections.spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = connection.run(stream) => {}
                () = abort.cancelled() => {}
            }
        });
    }
    // Closing the socket now, not at the end, sends new clients to another node at once.
    drop(listener);
    connections.close();
    let drained = tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_ok();
    abort.cancel();
    connections.wait().await;
    drained
}

/// The next connection. If the system has none to give (often: no more file descriptors), one that only
/// waits is closed in its favour.
async fn accept(listener: &TcpListener, slots: &Slots, warning: &Seldom) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(times) = warning.is_due() {
                    tracing::error!(%error, times, "no connection could be accepted");
                }
                slots.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client was gone before it was accepted; the next one is not concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

struct Connection {
    router: Router,
    watch: Arc<Watch>,
    stop: CancellationToken,
    address: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Answers are small and written at once: waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before its first request");
            return;
        }
        let io = TokioIo::new(WatchedIo::new(stream, Arc::clone(&self.watch)));
        let service = TowerToHyperService::new(self.service());
        let builder = protocols();
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error = &*error, "a connection broke off");
                    }
                    return;
                }
                () = self.watch.overdue() => return,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// The router, told who asks, and counted by the watch.
    fn service(
        &self,
    ) -> impl tower::Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone
    + use<> {
        let (router, address, watch) = (self.router.clone(), self.address, Arc::clone(&self.watch));
        tower::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            let in_flight = watch.request(request.version());
            let request = request.map(|body| axum::body::Body::new(WatchedBody::new(body, &watch)));
            let router = router.clone();
            async move {
                let response = router.oneshot(request).await;
                drop(in_flight);
                response
            }
        })
    }
}
