//! `POST /api/v1/auth/refresh`

use axum::{Json, extract::State};
use utoipa::ToSchema;

use super::schemas::{ErrorResponse, HTTPValidationError, TokenResponse};
use crate::{
    app::App,
    extract::RequestClient,
    problem::Problem,
    validation::{COMPLETE, FieldError, Form, Text},
};

/// A session to go on with.
#[derive(ToSchema)]
pub(super) struct RefreshRequest {
    /// The refresh token of the last answer.
    refresh_token: String,
}

impl RefreshRequest {
    fn decode(mut form: Form) -> Result<Self, Vec<FieldError>> {
        let refresh_token = form.required_text("refresh_token", &Text::ANY);
        form.finish()?;
        Ok(Self { refresh_token: refresh_token.expect(COMPLETE) })
    }
}

/// Exchange a refresh token for the next pair.
///
/// Safe to repeat: within the grace period the same token gets the same successor. A token that is
/// used again later ends its session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "auth",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The next pair", body = TokenResponse),
        (status = 401, description = "The token is not good", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn refresh(
    State(app): State<App>,
    RequestClient(client): RequestClient,
    form: Form,
) -> Result<Json<TokenResponse>, Problem> {
    let RefreshRequest { refresh_token } = RefreshRequest::decode(form)?;
    let pair = app.ostiary.refresh(&refresh_token, &client).await?;
    Ok(Json(pair.into()))
}
