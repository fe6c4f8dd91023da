//! `GET /api/v1/auth/sessions` and `DELETE /api/v1/auth/sessions/{id}`

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use ostiary_core::{
    access::Caller,
    audit::UserAgent,
    device,
    id::SessionId,
    store::{AuthenticationMethod, RevokeOutcome, SessionRecord},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::schemas::ErrorResponse;
use crate::{
    app::App,
    extract::{Authenticated, RequestClient},
    problem::Problem,
};

/// A session of the caller's that is alive.
#[derive(Serialize, ToSchema)]
pub(super) struct MySession {
    /// Its id, the `sid` of its tokens.
    #[schema(example = "019abcde-0000-7000-8000-0123456789ab")]
    id: String,
    /// Whether it is the one that this request belongs to.
    current: bool,
    /// The browser and the system that it was opened with, as far as they told.
    #[schema(example = "Firefox 133 on Windows")]
    device: Option<String>,
    /// The address that it was opened from.
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
    /// How the user proved who they are (RFC 8176).
    #[schema(example = json!(["pwd"]))]
    methods: Vec<&'static str>,
    /// When the user logged in (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last refreshed.
    #[schema(format = DateTime)]
    refreshed_at: String,
    /// When it ends, however often it is refreshed.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl MySession {
    fn of(session: SessionRecord, caller: &Caller) -> Self {
        let user_agent = session.client.user_agent.as_ref().map(UserAgent::as_str);
        Self {
            id: session.id.to_string(),
            current: session.id == caller.session_id,
            device: user_agent.and_then(device::describe).map(|device| device.as_str().to_owned()),
            address: session.client.address.map(|address| address.to_string()),
            methods: session.methods.into_iter().map(AuthenticationMethod::as_str).collect(),
            created_at: session.created_at.to_string(),
            refreshed_at: session.refreshed_at.to_string(),
            expires_at: session.expires_at.to_string(),
        }
    }
}

/// The caller's sessions that are alive, the last refreshed first.
#[utoipa::path(
    get,
    path = "/api/v1/auth/sessions",
    tag = "sessions",
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The sessions", body = Vec<MySession>),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Vec<MySession>>, Problem> {
    let sessions = app.ostiary.sessions(&caller).await?;
    Ok(Json(sessions.into_iter().map(|session| MySession::of(session, &caller)).collect()))
}

/// End one of the caller's sessions.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/sessions/{id}",
    tag = "sessions",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The id of the session")),
    responses(
        (status = 204, description = "It is over"),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 404, description = "The caller has no such session", body = ErrorResponse),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn end(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RequestClient(client): RequestClient,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let session_id = id.ok().and_then(|Path(id)| SessionId::parse(&id)).ok_or(Problem::NotFound)?;
    match app.ostiary.end_session(&caller, session_id, &client).await? {
        RevokeOutcome::Revoked => Ok(StatusCode::NO_CONTENT),
        RevokeOutcome::NotOpen => Err(Problem::NotFound),
    }
}
