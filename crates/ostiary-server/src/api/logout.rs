//! `POST /api/v1/auth/logout` and `POST /api/v1/auth/logout/all`

use axum::{extract::State, http::StatusCode};
use utoipa::ToSchema;

use super::schemas::{ErrorResponse, HTTPValidationError};
use crate::{
    app::App,
    extract::{Authenticated, ClosedForm, RequestClient},
    problem::Problem,
    validation::{COMPLETE, FieldError, Form, Text},
};

/// A session to be ended.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogoutRequest {
    /// A refresh token of it.
    refresh_token: String,
}

impl LogoutRequest {
    fn decode(mut form: Form) -> Result<Self, Vec<FieldError>> {
        let refresh_token = form.required_text("refresh_token", &Text::ANY);
        form.finish()?;
        Ok(Self { refresh_token: refresh_token.expect(COMPLETE) })
    }
}

/// End the session of a refresh token.
///
/// The answer does not tell whether the token was alive.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "sessions",
    request_body = LogoutRequest,
    responses(
        (status = 204, description = "No session of this token is alive"),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn logout(
    State(app): State<App>,
    RequestClient(client): RequestClient,
    ClosedForm(form): ClosedForm,
) -> Result<StatusCode, Problem> {
    let LogoutRequest { refresh_token } = LogoutRequest::decode(form)?;
    app.ostiary.log_out(&refresh_token, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all of the caller's sessions, this one too.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout/all",
    tag = "sessions",
    security(("access_token" = [])),
    responses(
        (status = 204, description = "No session of the user is alive"),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn logout_all(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RequestClient(client): RequestClient,
) -> Result<StatusCode, Problem> {
    app.ostiary.log_out_everywhere(&caller, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
