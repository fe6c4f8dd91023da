//! Figures for Prometheus, on an address of their own: nobody who can reach the service should see them.
//!
//! Each part of the server owns its figures; here they are put together, and served as OpenMetrics text
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>). No figure and no label
//! holds anything of a user.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use prometheus_client::{encoding::text, metrics::info::Info, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    VERSION,
    listener::{self, ConnectionLimits, ConnectionMetrics},
    problem::Problem,
};

mod process;
mod requests;

pub use requests::{InFlight, RequestMetrics};

/// The one path that is served.
const PATH: &str = "/metrics";

/// What the answer is, by the specification.
const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// A few scrapers, each of which asks once in some seconds on a connection that it keeps.
const LIMITS: ConnectionLimits = ConnectionLimits {
    header_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_mins(2),
    max_connections: 16,
    drain_timeout: Duration::from_secs(2),
};

/// Serves the figures of `registry` on `listener` until `stop`.
pub async fn serve(listener: TcpListener, registry: Registry, stop: CancellationToken) {
    // Who reads the figures is no client.
    let connections = ConnectionMetrics::default();
    listener::serve(listener, router(registry), LIMITS, connections, stop).await;
}

/// Figures of the build and of the process, to which the parts of the server add theirs.
#[must_use]
pub fn registry(now: Timestamp) -> Registry {
    let mut registry = Registry::default();
    registry.register("ostiary_build", "The version of this server", Info::new([("version", VERSION)]));
    process::register(&mut registry, now);
    registry
}

fn router(registry: Registry) -> Router {
    let registry = Arc::new(registry);
    Router::new()
        .route(PATH, get(async move || encode(&registry)))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
}

fn encode(registry: &Registry) -> Response {
    let mut text = String::new();
    match text::encode(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the figures could not be written down");
            Problem::Internal.into_response()
        }
    }
}
