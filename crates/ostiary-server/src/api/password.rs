//! `POST /api/v1/auth/password/change`

use axum::{extract::State, http::StatusCode};
use ostiary_core::{Ostiary, account::NewPassword, hasher::Standing, id::UserId};
use utoipa::ToSchema;

use super::schemas::{ErrorResponse, HTTPValidationError};
use crate::{
    app::App,
    extract::{Authenticated, ClosedForm, RequestClient},
    problem::Problem,
    validation::{COMPLETE, Form, Text},
};

/// A password to be changed.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `decode` takes; it gives a `Change`")]
pub(super) struct ChangePasswordRequest {
    /// The password as it is.
    #[schema(format = "password", example = "correct horse")]
    current_password: String,
    /// The password as it is to be; at most 256 characters, and none of the most common ones.
    #[schema(min_length = 8, max_length = 256, format = "password", example = "battery staple")]
    new_password: String,
}

struct Change {
    current: String,
    new: NewPassword,
}

impl ChangePasswordRequest {
    async fn decode(mut form: Form, ostiary: &Ostiary, user_id: UserId) -> Result<Change, Problem> {
        let current = form.required_text("current_password", &Text::ANY);
        let new = match form.required_text("new_password", &Text::ANY) {
            Some(text) => {
                let about_user = ostiary.words_about_user(user_id).await?;
                match ostiary.accept_password(&text, about_user, Standing::Known).await? {
                    Ok(password) => Some(password),
                    Err(refusal) => form.refuse("new_password", refusal.into()),
                }
            }
            None => None,
        };
        form.finish()?;
        let (current, new) = current.zip(new).expect(COMPLETE);
        Ok(Change { current, new })
    }
}

/// Change the caller's password, and end their other sessions.
///
/// This session goes on, with its tokens.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password/change",
    tag = "account",
    security(("access_token" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "It is changed"),
        (status = 400, description = "The current password is wrong", body = ErrorResponse),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 429, description = "Too many wrong passwords; see `Retry-After`", body = ErrorResponse),
        (status = 501, description = "The directory of accounts has no function for this", body = ErrorResponse),
        (status = 503, description = "Too many logins at once; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn change(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RequestClient(client): RequestClient,
    ClosedForm(form): ClosedForm,
) -> Result<StatusCode, Problem> {
    let Change { current, new } = ChangePasswordRequest::decode(form, &app.ostiary, caller.user_id).await?;
    app.ostiary.change_password(&caller, &current, new, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
