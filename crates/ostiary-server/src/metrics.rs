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
use ostiary_core::store::Store;
use prometheus_client::{encoding::text, metrics::info::Info, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    VERSION,
    app::App,
    listener::{self, ConnectionLimits},
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

/// Serves the figures of `app` on `listener` until `stop`.
pub async fn serve(listener: TcpListener, app: &App, stop: CancellationToken) {
    listener::serve(listener, router(registry(app)), LIMITS, stop).await;
}

/// All figures of a server.
fn registry(app: &App) -> Registry {
    let mut registry = Registry::default();
    registry.register("ostiary_build", "The version of this server", Info::new([("version", VERSION)]));
    app.metrics.register(&mut registry);
    app.ostiary.hasher.metrics().register(&mut registry);
    app.ostiary.limit_metrics.register(&mut registry);
    app.limiter_metrics.register(&mut registry);
    let store: &dyn Store = &*app.ostiary.store;
    store.register_metrics(&mut registry);
    process::register(&mut registry, app.ostiary.clock.now());
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
