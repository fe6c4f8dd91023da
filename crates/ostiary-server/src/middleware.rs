//! What is done around every request: its figures, an id, a span in the log, security headers, a guard
//! against panics, and a limit on its time.

use std::any::Any;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use ostiary_core::{clock::Clock, id::Id};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::{app::App, metrics, problem::Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `router` with all of it around.
pub fn around(router: Router, app: App) -> Router {
    router
        .layer(from_fn_with_state(app.clone(), limit_time))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn(add_security_headers))
        .layer(from_fn_with_state(app.clone(), trace))
        .layer(from_fn_with_state(app, metrics::record))
}

async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    tokio::time::timeout(app.request_timeout, next.run(request)).await.unwrap_or_else(|_| {
        tracing::error!(limit = ?app.request_timeout, "a request took too long and was given up");
        Problem::Unavailable(app.request_timeout).into_response()
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the layer takes a function of this form")]
fn answer_panic(payload: Box<dyn Any + Send>) -> Response {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(message, "a request panicked");
    Problem::Internal.into_response()
}

/// OWASP's set for an API. A page that needs to be let do more says so itself, and is left alone.
async fn add_security_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 7] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Names the request, in its answer and in every log line about it. A proxy may have named it already.
async fn trace(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|value| is_plain(value))
        // A copy: a part of the head would keep all of it in memory, for as long as the body takes.
        .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
        .unwrap_or_else(|| new_request_id(&*app.ostiary.clock));
    // Of the highest level, so that it is there for whatever line the log filter lets through. It names the
    // route, not the path: in that a client may put a token, by design or by mistake.
    let span = tracing::error_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route = request.extensions().get().map(MatchedPath::as_str),
    );
    async {
        let mut response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
    .instrument(span.clone())
    .await
}

fn new_request_id(clock: &dyn Clock) -> HeaderValue {
    enum Request {}
    let id = Id::<Request>::new(clock.now());
    HeaderValue::try_from(id.to_string()).expect("an id is plain text")
}

/// Nothing that could be taken for more than a name, in a log or elsewhere.
fn is_plain(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
