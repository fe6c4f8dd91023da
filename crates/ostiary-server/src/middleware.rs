//! What is done around every request: its figures, an id, a span in the log, security headers, a guard
//! against panics, and a limit on its time.
//!
//! All of it in one layer, since each costs a request some copies of what is inside.

use std::{any::Any, panic::AssertUnwindSafe};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use ostiary_core::{clock::Clock, id::Id};
use tracing::Instrument;

use crate::{app::App, problem::Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// OWASP's set for an API.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// `router` with all of it around.
pub fn around(router: Router, app: App) -> Router {
    router.layer(from_fn_with_state(app, handle))
}

async fn handle(State(app): State<App>, request: Request, next: Next) -> Response {
    let counted = app.metrics.begin(&request);
    let id = request_id(&request, &*app.ostiary.clock);
    let span = span(&request, &id);
    let mut response = guarded(&app, request, next).instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id);
    counted.answered(response.status());
    response
}

/// The answer, with security headers, also where there is none of the handler's.
async fn guarded(app: &App, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(in_time(app, request, next)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|payload| answer_panic(&*payload));
    tracing::debug!(status = response.status().as_u16(), "answered");
    add_security_headers(response.headers_mut());
    response
}

async fn in_time(app: &App, request: Request, next: Next) -> Response {
    tokio::time::timeout(app.request_timeout, next.run(request)).await.unwrap_or_else(|_| {
        tracing::error!(limit = ?app.request_timeout, "a request took too long and was given up");
        Problem::Unavailable(app.request_timeout).into_response()
    })
}

fn answer_panic(payload: &(dyn Any + Send)) -> Response {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default();
    tracing::error!(message, "a request panicked");
    Problem::Internal.into_response()
}

/// A page that needs to be let do more says so itself, and is left alone.
fn add_security_headers(headers: &mut HeaderMap) {
    headers.reserve(SECURITY_HEADERS.len());
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
}

/// The request's name, in its answer and in every log line about it. A proxy may have named it already.
fn request_id(request: &Request, clock: &dyn Clock) -> HeaderValue {
    request
        .headers()
        .get(&REQUEST_ID)
        .filter(|value| is_plain(value))
        // A copy: a part of the head would keep all of it in memory, for as long as the body takes.
        .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
        .unwrap_or_else(|| new_request_id(clock))
}

/// Of the highest level, so that it is there for whatever line the log filter lets through. It names the route,
/// not the path: in that a client may put a token, by design or by mistake.
fn span(request: &Request, id: &HeaderValue) -> tracing::Span {
    tracing::error_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        route = request.extensions().get().map(MatchedPath::as_str),
    )
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
