//! `GET`, `PATCH` and `DELETE /api/v1/auth/me`

use axum::{Json, extract::State, http::StatusCode};
use ostiary_core::{
    profile::MergePatch,
    store::{Account, AccountContact},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::schemas::{ErrorResponse, HTTPValidationError};
use crate::{
    app::App,
    extract::{Authenticated, BearerToken, ClosedForm, RequestClient},
    problem::Problem,
    validation::{COMPLETE, FieldError, Form, Text},
};

/// An account, as its user sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// Its id, the `sub` of its tokens.
    #[schema(example = "019abcde-0000-7000-8000-0123456789ab")]
    id: String,
    /// The names by which its user can log in.
    contacts: Vec<MyContact>,
    /// The groups that it is in.
    #[schema(example = json!(["customer"]))]
    groups: Vec<String>,
    /// What the user says about themselves.
    #[schema(value_type = Option<Object>, example = json!({"first_name": "Anna"}))]
    profile: Option<Map<String, Value>>,
    /// When it was made (RFC 3339).
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: Option<String>,
}

/// A name by which a user can log in.
#[derive(Serialize, ToSchema)]
pub(super) struct MyContact {
    /// `second_login`, `phone` or `email`.
    #[schema(example = "phone")]
    kind: &'static str,
    /// The one spelling that is compared.
    #[schema(example = "+79991234567")]
    value: String,
    /// What was typed.
    #[schema(example = "8 (999) 123-45-67")]
    display: String,
    /// Whether the user has shown that it is theirs.
    verified: bool,
}

impl From<Account> for Me {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            contacts: account.contacts.into_iter().map(MyContact::from).collect(),
            groups: account.groups,
            profile: account.profile,
            created_at: account.created_at.map(|time| time.to_string()),
            updated_at: account.updated_at.or(account.created_at).map(|time| time.to_string()),
        }
    }
}

impl From<AccountContact> for MyContact {
    fn from(contact: AccountContact) -> Self {
        Self {
            kind: contact.kind.as_str(),
            value: contact.value,
            display: contact.typed,
            verified: contact.is_verified,
        }
    }
}

/// The caller's account.
#[utoipa::path(
    get,
    path = "/api/v1/auth/me",
    tag = "account",
    security(("access_token" = [])),
    responses(
        (status = 200, description = "The account", body = Me),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 501, description = "The directory of accounts has no function for this", body = ErrorResponse),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn read(
    State(app): State<App>,
    BearerToken(token): BearerToken,
) -> Result<Json<Me>, Problem> {
    let account = app.ostiary.own_account(&token).await?.ok_or(Problem::InvalidAccessToken)?;
    Ok(Json(account.into()))
}

/// What is to be changed, as a JSON merge patch (RFC 7396).
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeMe {
    /// Members to be put into the profile; `null` takes one out, or the whole profile.
    #[schema(value_type = Option<Object>, example = json!({"first_name": "Anna", "nickname": null}))]
    profile: Option<MergePatch>,
}

impl ChangeMe {
    fn decode(mut form: Form) -> Result<Self, Vec<FieldError>> {
        let profile = form.optional_merge_patch("profile");
        form.finish()?;
        Ok(Self { profile })
    }
}

/// Change the caller's profile.
///
/// A JSON merge patch of what `GET` answers; the profile alone can be changed. It has at most 16 KiB and 16
/// levels.
#[utoipa::path(
    patch,
    path = "/api/v1/auth/me",
    tag = "account",
    security(("access_token" = [])),
    request_body(content(
        (ChangeMe = "application/merge-patch+json"),
        (ChangeMe = "application/json"),
    )),
    responses(
        (status = 200, description = "The account as it is now", body = Me),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 501, description = "The directory of accounts has no function for this", body = ErrorResponse),
        (status = 503, description = "The store is unavailable; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn change(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RequestClient(client): RequestClient,
    ClosedForm(form): ClosedForm,
) -> Result<Json<Me>, Problem> {
    let account = match ChangeMe::decode(form)?.profile {
        Some(patch) => app.ostiary.patch_profile(&caller, &patch, &client).await?,
        None => app.ostiary.account(caller.user_id).await?,
    };
    Ok(Json(account.into()))
}

/// The password once more, for what cannot be undone.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteMe {
    /// The password.
    #[schema(format = "password", example = "correct horse")]
    current_password: String,
}

impl DeleteMe {
    fn decode(mut form: Form) -> Result<Self, Vec<FieldError>> {
        let current_password = form.required_text("current_password", &Text::ANY);
        form.finish()?;
        Ok(Self { current_password: current_password.expect(COMPLETE) })
    }
}

/// Delete the caller's account, with all that hangs on it.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/me",
    tag = "account",
    security(("access_token" = [])),
    request_body = DeleteMe,
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "The password is wrong", body = ErrorResponse),
        (status = 401, description = "No access token that is good", body = ErrorResponse),
        (status = 422, description = "Validation Error", body = HTTPValidationError),
        (status = 429, description = "Too many wrong passwords; see `Retry-After`", body = ErrorResponse),
        (status = 501, description = "The directory of accounts has no function for this", body = ErrorResponse),
        (status = 503, description = "Too many logins at once; see `Retry-After`", body = ErrorResponse),
    )
)]
pub(super) async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RequestClient(client): RequestClient,
    ClosedForm(form): ClosedForm,
) -> Result<StatusCode, Problem> {
    let DeleteMe { current_password } = DeleteMe::decode(form)?;
    app.ostiary.delete_account(&caller, &current_password, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
