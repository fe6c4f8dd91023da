//! The OpenAPI document's frame, and the schemas that several endpoints share. Titles, names and
//! constraints are those of the replaced service, whose generated clients go on working.

use axum::http::StatusCode;
use ostiary_core::session::TokenPair;
use serde::Serialize;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        Content, Info, OpenApi as Document, Ref, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The frame of the document.
#[derive(OpenApi)]
#[openapi(
    components(schemas(HTTPValidationError, ValidationError)),
    tags(
        (name = "auth", description = "Registration, login and refresh"),
        (name = "account", description = "What users do with their own accounts"),
        (name = "sessions", description = "Logging out, and looking after one's sessions"),
        (name = "services", description = "What services ask about tokens"),
        (name = "keys", description = "What others verify tokens with"),
        (name = "operations", description = "Whether the server lives and serves")
    ),
    modifiers(&Title, &Credentials)
)]
pub(super) struct Description;

struct Title;

impl Modify for Title {
    fn modify(&self, document: &mut Document) {
        let mut info = Info::new("Auth Service", env!("CARGO_PKG_VERSION"));
        info.description = Some("Ostiary, a self-hosted authentication server.".to_owned());
        document.info = info;
    }
}

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer = bearer.description(Some("The access token of a login, a registration or a refresh"));
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
        let basic = basic.description(Some("A service's name and its credential (`ostiary service create`)"));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::Http(bearer.build()));
        components.add_security_scheme("service_credential", SecurityScheme::Http(basic.build()));
    }
}

/// Adds what any endpoint, or any that takes a body, may answer when something goes wrong.
pub(super) fn describe_failures(document: &mut Document) {
    for path in document.paths.paths.values_mut() {
        let operations =
            [&mut path.get, &mut path.put, &mut path.post, &mut path.patch, &mut path.delete].into_iter();
        for operation in operations.flatten() {
            if operation.request_body.is_some() {
                describe_failure(operation, StatusCode::REQUEST_TIMEOUT, "The body did not come in time");
                describe_failure(operation, StatusCode::PAYLOAD_TOO_LARGE, "The body is too large");
            }
            let defect = "A defect or a damaged store, of which the log says more";
            describe_failure(operation, StatusCode::INTERNAL_SERVER_ERROR, defect);
        }
    }
}

fn describe_failure(operation: &mut Operation, status: StatusCode, description: &str) {
    let body = Content::new(Some(Ref::from_schema_name("ErrorResponse")));
    let response = ResponseBuilder::new().description(description).content("application/json", body).build();
    operation.responses.responses.insert(status.as_str().to_owned(), response.into());
}

/// An access token and what gets the next one.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenResponse {
    /// A JSON Web Token; send it as `Authorization: Bearer`.
    access_token: String,
    /// Opaque, of single use: exchange it at `/api/v1/auth/refresh` before the access token expires.
    refresh_token: String,
    /// Always `bearer`.
    #[schema(default = "bearer")]
    token_type: &'static str,
    /// By which the device is known at its next login, in the header `Ostiary-Device`; only where a login or a
    /// registration asked for it with `Ostiary-Device: request`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device_token: Option<String>,
}

impl TokenResponse {
    /// The answer to a client that asked for a device token.
    pub(super) fn with_device_token(self, token: &str) -> Self {
        Self { device_token: Some(token.to_owned()), ..self }
    }
}

impl From<TokenPair> for TokenResponse {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: "bearer",
            device_token: None,
        }
    }
}

/// An error with a fixed text.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `problem` writes")]
pub(super) struct ErrorResponse {
    /// What went wrong.
    #[schema(example = "Invalid credentials")]
    detail: String,
}

/// An error as OAuth has it (RFC 6749 §5.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `problem` writes")]
pub(super) struct OAuthError {
    /// What went wrong, for programs.
    #[schema(example = "invalid_client")]
    error: String,
    /// What went wrong, for people.
    error_description: Option<String>,
}

/// All that is wrong with a body.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `problem` writes")]
pub(super) struct HTTPValidationError {
    detail: Vec<ValidationError>,
}

/// One thing that is wrong with a body.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `validation` writes")]
pub(super) struct ValidationError {
    /// Where: `body`, then names of members and positions in lists.
    #[schema(value_type = Vec<serde_json::Value>, example = json!(["body", "login"]))]
    loc: Vec<String>,
    /// What is wrong, for people.
    msg: String,
    /// What is wrong, for programs.
    #[schema(example = "missing")]
    r#type: String,
    /// What was given, unless it is a secret.
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<String>,
    /// Facts that the message mentions.
    #[schema(value_type = Option<Object>)]
    ctx: Option<String>,
}
