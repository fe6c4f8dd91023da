//! `POST /api/v1/auth/introspect` (RFC 7662)

use axum::{Json, extract::State, http::HeaderMap};
use ostiary_core::jwt::AccessTokenClaims;
use serde::Serialize;
use utoipa::ToSchema;

use super::schemas::{ErrorResponse, OAuthError as OAuthErrorResponse};
use crate::{
    app::App,
    extract::service_of,
    oauth_form::OAuthForm,
    problem::{OAuthError, Problem},
};

/// A token to be looked at.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the handler takes from the form")]
pub(super) struct IntrospectionRequest {
    /// An access token.
    #[schema(min_length = 1)]
    token: String,
    /// Ignored: there is one kind.
    token_type_hint: Option<String>,
    /// The service's name, if it does not authenticate by a header.
    client_id: Option<String>,
    /// The service's credential, if it does not authenticate by a header.
    client_secret: Option<String>,
}

/// Whether a token is good, and what it says.
#[derive(Serialize, ToSchema)]
pub(super) struct Introspection {
    /// Whether it was issued here, has not expired, and its session and user are alive.
    active: bool,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The claims of an active token.
    #[serde(flatten)]
    #[schema(value_type = Option<Object>)]
    claims: Option<AccessTokenClaims>,
}

/// Whether an access token is good now.
///
/// As RFC 7662 has it. A service authenticates by its credential, as the password of HTTP Basic with its name as
/// the user, as a bearer token, or by `client_secret` in the body.
#[utoipa::path(
    post,
    path = "/api/v1/auth/introspect",
    tag = "services",
    security(("service_credential" = [])),
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Whether it is good", body = Introspection),
        (status = 400, description = "The request has no token", body = OAuthErrorResponse),
        (status = 401, description = "No credential of a service", body = OAuthErrorResponse),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn introspect(
    State(app): State<App>,
    headers: HeaderMap,
    form: OAuthForm,
) -> Result<Json<Introspection>, Problem> {
    let in_body = form.parameter("client_secret").map(|secret| (form.parameter("client_id"), secret));
    let refuse = |error, description| Problem::OAuth { error, description };
    let service = service_of(&app, &headers, in_body).await?;
    service
        .ok_or(refuse(OAuthError::InvalidClient, "The service is unknown, or its credential is not good"))?;
    let token = form.parameter("token");
    let token = token.ok_or(refuse(OAuthError::InvalidRequest, "The parameter token is missing"))?;
    let claims = app.ostiary.introspect(token).await?;
    let token_type = claims.as_ref().map(|_| "Bearer");
    Ok(Json(Introspection { active: claims.is_some(), token_type, claims }))
}
