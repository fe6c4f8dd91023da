//! What goes wrong, as a client sees it: every status code that is not a success stands here.
//!
//! A client gets a fixed text in the contract's shape, `{"detail": ...}`, or in OAuth's; the cause is in the
//! log, once, with its whole chain.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ostiary_core::{
    access::AccessError, account::RegisterError, contact::ContactKind, guess::NotAdmitted,
    hasher::HasherError, login::LoginError, self_service::SelfServiceError, session::RefreshError,
    store::StoreError,
};
use serde_json::{Value, json};

use crate::validation::FieldError;

/// How a service is asked for its credential.
const SERVICE_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"ostiary\"");

/// A request that failed.
#[derive(Debug)]
pub enum Problem {
    /// The body is not what the endpoint takes.
    Validation(Vec<FieldError>),
    /// The contract's answer to a login without a password.
    PasswordRequired,
    /// A contact belongs to another account.
    ContactTaken(ContactKind),
    /// No such group is open to registration.
    GroupNotFound(String),
    /// A directory of accounts that Ostiary did not make refused, in these words.
    DirectoryRefused(String),
    /// The directory of accounts has no function for this; its name and arguments.
    FunctionMissing(&'static str),
    /// The login or the password is wrong.
    InvalidCredentials,
    /// The refresh token is not good.
    InvalidRefreshToken,
    /// There is no access token.
    NotAuthenticated,
    /// The access token is not good.
    InvalidAccessToken,
    /// There is no credential of a service.
    ServiceNotAuthenticated,
    /// The credential is no service's.
    InvalidServiceCredential,
    /// The current password, which was asked for once more, is wrong.
    WrongPassword,
    /// There is nothing at this path.
    NotFound,
    /// There is something at this path, but not for this method.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTimeout,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The body broke off.
    BodyIncomplete,
    /// A request to one of OAuth's endpoints is refused (RFC 6749 §5.2).
    OAuth {
        /// What went wrong, for programs.
        error: OAuthError,
        /// What went wrong, for people: ASCII without quotes and backslashes.
        description: &'static str,
    },
    /// There were too many wrong passwords; the next one may be tried after this time.
    TooManyAttempts(Duration),
    /// The server cannot serve this now; it can after this time.
    Unavailable(Duration),
    /// A defect or a damaged store.
    Internal,
}

/// The errors of OAuth (RFC 6749 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthError {
    /// The request is malformed, lacks a parameter, or repeats one.
    InvalidRequest,
    /// The client is unknown, or did not prove who it is.
    InvalidClient,
}

impl OAuthError {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
        }
    }
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Validation(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PasswordRequired
            | Self::ContactTaken(_)
            | Self::GroupNotFound(_)
            | Self::DirectoryRefused(_)
            | Self::WrongPassword
            | Self::BodyIncomplete
            | Self::OAuth { error: OAuthError::InvalidRequest, .. } => StatusCode::BAD_REQUEST,
            Self::InvalidCredentials
            | Self::InvalidRefreshToken
            | Self::NotAuthenticated
            | Self::InvalidAccessToken
            | Self::ServiceNotAuthenticated
            | Self::InvalidServiceCredential
            | Self::OAuth { error: OAuthError::InvalidClient, .. } => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::FunctionMissing(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> Value {
        match self {
            Self::Validation(errors) => json!(errors),
            Self::PasswordRequired => "Password is required for now".into(),
            Self::ContactTaken(kind) => format!("{} already exists", kind.as_str()).into(),
            Self::GroupNotFound(name) => format!("Group {name} not found").into(),
            Self::DirectoryRefused(message) => message.as_str().into(),
            Self::FunctionMissing(signature) => format!("The database has no function {signature}").into(),
            Self::InvalidCredentials => "Invalid credentials".into(),
            Self::InvalidRefreshToken => "Invalid refresh token".into(),
            Self::NotAuthenticated | Self::ServiceNotAuthenticated => "Not authenticated".into(),
            Self::InvalidAccessToken | Self::InvalidServiceCredential => {
                "Could not validate credentials".into()
            }
            Self::WrongPassword => "Invalid password".into(),
            Self::NotFound => "Not Found".into(),
            Self::MethodNotAllowed => "Method Not Allowed".into(),
            Self::BodyTimeout => "Request Timeout".into(),
            Self::BodyTooLarge => "Request body too large".into(),
            Self::BodyIncomplete => "Request body incomplete".into(),
            Self::OAuth { description, .. } => (*description).into(),
            Self::TooManyAttempts(_) => "Too many attempts".into(),
            Self::Unavailable(_) => "Service temporarily unavailable".into(),
            Self::Internal => "Internal Server Error".into(),
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::OAuth { error, .. } => {
                json!({ "error": error.as_str(), "error_description": self.detail() })
            }
            _ => json!({ "detail": self.detail() }),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self {
            Self::TooManyAttempts(after) | Self::Unavailable(after) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
            }
            Self::NotAuthenticated | Self::InvalidAccessToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::ServiceNotAuthenticated
            | Self::InvalidServiceCredential
            | Self::OAuth { error: OAuthError::InvalidClient, .. } => {
                headers.insert(header::WWW_AUTHENTICATE, SERVICE_CHALLENGE);
            }
            // What is left of the body would be taken for the next request.
            Self::BodyTimeout | Self::BodyTooLarge | Self::BodyIncomplete => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

impl From<Vec<FieldError>> for Problem {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Validation(errors)
    }
}

impl From<HasherError> for Problem {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Busy(after) => Self::Unavailable(after),
            HasherError::Lost => {
                tracing::error!(%error, "a password could not be hashed");
                Self::Internal
            }
        }
    }
}

impl From<NotAdmitted> for Problem {
    fn from(refused: NotAdmitted) -> Self {
        match refused {
            NotAdmitted::TooManyAttempts(after) => Self::TooManyAttempts(after),
            NotAdmitted::Busy(after) => Self::Unavailable(after),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::FunctionMissing(signature) => Self::FunctionMissing(signature),
            StoreError::Unavailable(_) => {
                tracing::error!(error = error.with_causes(), "a request failed in the store");
                Self::Unavailable(Duration::from_secs(1))
            }
            StoreError::Failed(_) => {
                tracing::error!(error = error.with_causes(), "a request failed in the store");
                Self::Internal
            }
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::InvalidCredentials,
            LoginError::NotAdmitted(refused) => refused.into(),
            LoginError::Hasher(error) => error.into(),
            LoginError::Store(error) => error.into(),
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::ContactTaken(kind) => Self::ContactTaken(kind),
            RegisterError::GroupNotFound(name) => Self::GroupNotFound(name),
            RegisterError::Refused(message) => Self::DirectoryRefused(message),
            RegisterError::Hasher(error) => error.into(),
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::BadToken => Self::InvalidAccessToken,
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<SelfServiceError> for Problem {
    fn from(error: SelfServiceError) -> Self {
        match error {
            // The account went while the request was under way, and its tokens with it.
            SelfServiceError::NoSuchUser => Self::InvalidAccessToken,
            SelfServiceError::WrongPassword => Self::WrongPassword,
            SelfServiceError::NotAdmitted(refused) => refused.into(),
            SelfServiceError::Profile(refusal) => {
                Self::Validation(vec![FieldError::of_member("profile", refusal.into())])
            }
            SelfServiceError::Busy => Self::Unavailable(Duration::from_secs(1)),
            SelfServiceError::Hasher(error) => error.into(),
            SelfServiceError::Store(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Refused => Self::InvalidRefreshToken,
            RefreshError::Store(error) => error.into(),
        }
    }
}
