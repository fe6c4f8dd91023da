//! The accept loop: connections with time-outs and a limit on their number, and a drain at the end.
//!
//! `axum::serve` has no time-out for a header that comes a byte a minute; here every wait has one.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

mod watch;

use watch::{Watch, WatchedIo};

/// How long connections may take, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// How long the head of a request may take, from its first byte; of the first one, from the
    /// connection's start.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How many connections are served at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long requests in flight may take to finish when the server stops.
    pub drain_timeout: Duration,
}

/// The head of a request, in bytes; more is refused (431).
const MAX_HEAD: u16 = u16::MAX;

/// After an error of `accept` (often: no more file descriptors) the loop rests, or it would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop`, then lets what is in flight finish. Says whether all of
/// it did within the drain time-out.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> bool {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    while let Some((stream, address, slot)) = accept(&listener, &slots, &stop).await {
        let connection = Connection { router: router.clone(), limits, stop: stop.clone(), address };
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

/// The next connection; `None` once the server stops.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let next = async {
        loop {
            let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, address)) => return (stream, address, slot),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = next => Some(accepted),
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
    limits: ConnectionLimits,
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
        let watch = Arc::new(Watch::new(self.limits, Instant::now()));
        let io = TokioIo::new(WatchedIo::new(stream, Arc::clone(&watch)));
        let service = TowerToHyperService::new(self.service(&watch));

        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(usize::from(MAX_HEAD));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::from(MAX_HEAD))
            .max_concurrent_streams(16);
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut stopping = false;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error = &*error, "a connection broke off");
                    }
                    return;
                }
                () = watch.overdue() => return,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// The router, told who asks, and counted by `watch`.
    fn service(
        &self,
        watch: &Arc<Watch>,
    ) -> impl tower::Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone
    + use<> {
        let (router, address, watch) = (self.router.clone(), self.address, Arc::clone(watch));
        tower::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            let in_flight = watch.request(request.version());
            let router = router.clone();
            async move {
                let response = router.oneshot(request.map(axum::body::Body::new)).await;
                drop(in_flight);
                response
            }
        })
    }
}
