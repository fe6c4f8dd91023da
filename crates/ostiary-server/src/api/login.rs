//! `POST /api/v1/auth/login`

use axum::{extract::State, response::Response};
use utoipa::ToSchema;

use super::{
    device::Device,
    schemas::{ErrorResponse, HTTPValidationError, TokenResponse},
};
use crate::{
    app::App,
    extract::RequestClient,
    problem::Problem,
    validation::{COMPLETE, FieldError, Form, Text},
};

/// Who wants in.
#[derive(ToSchema)]
pub(super) struct LoginRequest {
    /// A username, a phone number in any spelling, or an e-mail address.
    #[schema(example = "anna")]
    login: String,
    /// The password.
    #[schema(format = "password", example = "correct horse")]
    password: Option<String>,
}

impl LoginRequest {
    fn decode(mut form: Form) -> Result<Self, Vec<FieldError>> {
        let login = form.required_text("login", &Text::ANY);
        let password = form.optional_text("password", &Text::ANY);
        form.finish()?;
        Ok(Self { login: login.expect(COMPLETE), password })
    }
}

/// Log in by username, phone number or e-mail address.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "auth",
    params(
        ("Ostiary-Device" = Option<String>, Header, description = "The device token of an earlier login; or `request`, to be given one")
    ),
    request_body = LoginRequest,
    responses(
        (status = 200, description = "A session is open", body = TokenResponse),
        (status = 400, description = "There is no password", body = ErrorResponse),
        (status = 401, description = "The login or the password is wrong", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 429, description = "Too many wrong passwords; see `Retry-After`", body = ErrorResponse),
        (status = 503, description = "Too many logins at once; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn login(
    State(app): State<App>,
    RequestClient(client): RequestClient,
    device: Device,
    form: Form,
) -> Result<Response, Problem> {
    let LoginRequest { login, password } = LoginRequest::decode(form)?;
    let password = password.filter(|password| !password.is_empty()).ok_or(Problem::PasswordRequired)?;
    let logged_in = app.ostiary.login(&login, &password, device.token(), &client).await?;
    Ok(device.answer(logged_in))
}
