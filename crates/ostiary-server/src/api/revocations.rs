//! `GET /api/v1/auth/revocations`

use std::time::Duration;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::Response,
};
use jiff::Timestamp;
use ostiary_core::access::Revocations;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    conditional::Tagged,
    schemas::{ErrorResponse, HTTPValidationError},
};
use crate::{
    app::App,
    extract::AuthenticatedService,
    problem::Problem,
    validation::{Fault, FieldError},
};

/// How often a request that waits looks for something new.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Of the time that a whole request may take, this much is left for everything else.
const SPARE: Duration = Duration::from_secs(5);
/// No request waits longer: proxies give up after 30 or 60 s.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// What to answer, and when.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationsQuery {
    /// The `next` of the last answer (RFC 3339): what was revoked after it.
    since: Option<String>,
    /// Wait for something new, for this many seconds at most (0 to 25).
    wait: Option<String>,
}

/// Sessions that were ended before their time.
#[derive(Serialize, ToSchema)]
pub(super) struct RevocationList {
    /// The sessions, the first revoked first. Some may have been in an earlier answer too.
    sessions: Vec<Revoked>,
    /// What to give as `since` next; nothing if nothing was ever revoked.
    #[schema(format = DateTime)]
    next: Option<String>,
}

/// A session that was ended before its time.
#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    /// The claim `sid` of its tokens.
    #[schema(example = "019abcde-0000-7000-8000-0123456789ab")]
    sid: String,
    /// When its last access token has expired, and it can be forgotten; in seconds since 1970.
    until: i64,
}

struct Wanted {
    since: Option<Timestamp>,
    wait: Duration,
}

impl RevocationsQuery {
    fn decode(self) -> Result<Wanted, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut refuse =
            |name, kind, msg| errors.push(FieldError::of_query(Some(name), Fault::new(kind, msg)));
        let since = self.since.map(|text| text.parse()).transpose().unwrap_or_else(|_| {
            refuse("since", "datetime_parsing", "Input should be a time such as 2026-11-22T12:00:00Z");
            None
        });
        let wait = self.wait.map(|text| text.parse()).transpose().unwrap_or_else(|_| {
            refuse("wait", "int_parsing", "Input should be a whole number of seconds");
            None
        });
        let wait = Duration::from_secs(wait.unwrap_or(0)).min(LONGEST_WAIT);
        if errors.is_empty() { Ok(Wanted { since, wait }) } else { Err(errors) }
    }
}

impl RevocationList {
    fn of(revocations: &Revocations, lifetime: Duration) -> Self {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let sessions = revocations.sessions.iter().map(|session| Revoked {
            sid: session.id.to_string(),
            until: session.revoked_at.as_second().saturating_add(lifetime).saturating_add(1),
        });
        Self { sessions: sessions.collect(), next: revocations.next.map(|next| next.to_string()) }
    }
}

/// The sessions that were ended before their time, and whose access tokens may still be alive.
///
/// For services that verify access tokens by themselves: refuse those with such a `sid`. Ask for all at first,
/// then with `since` and `wait` for what is new. An answer that is the one of `If-None-Match` is 304.
#[utoipa::path(
    get,
    path = "/api/v1/auth/revocations",
    tag = "services",
    security(("service_credential" = [])),
    params(RevocationsQuery),
    responses(
        (status = 200, description = "The sessions", body = RevocationList),
        (status = 304, description = "They are those of the answer that `If-None-Match` names"),
        (status = 401, description = "No credential of a service", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn revocations(
    State(app): State<App>,
    _service: AuthenticatedService,
    headers: HeaderMap,
    query: Result<Query<RevocationsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| {
        let fault = Fault::new("extra_forbidden", "Only since and wait are permitted, each once");
        vec![FieldError::of_query(None, fault)]
    })?;
    let Wanted { since, wait } = query.decode()?;
    let deadline = Instant::now() + wait.min(app.request_timeout.saturating_sub(SPARE));
    let lifetime = app.ostiary.access_token_lifetime();
    loop {
        let revocations = app.ostiary.revocations(since).await?;
        let answer = Tagged::new(&RevocationList::of(&revocations, lifetime));
        let is_new = if headers.contains_key(header::IF_NONE_MATCH) {
            !answer.is_known_to(&headers)
        } else {
            revocations.next > since
        };
        let is_over = Instant::now() + LOOK_AGAIN > deadline || app.is_draining();
        if is_new || is_over {
            return Ok(answer.answer(&headers, "private, no-cache"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
