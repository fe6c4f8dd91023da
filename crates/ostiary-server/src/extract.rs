//! What handlers take from a request.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use ostiary_core::{
    access::Caller,
    audit::{Client, UserAgent},
    service::ServiceName,
    store::StoreError,
};

use crate::{
    app::App,
    body_budget::BodyShare,
    client_address::{client_address, is_from_forgotten_proxy},
    problem::Problem,
    validation::Form,
};

/// Of a body over the limit this much is read and thrown away, so that a client that is still sending
/// gets to read the answer instead of a reset connection.
const DISCARDED_BYTES: usize = 32 * 1024 * 1024;

impl FromRequest<App> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let is_json = has_json_body(request.headers());
        let body = read_body(request, app).await?;
        Ok(Self::parse(&body, is_json)?)
    }
}

/// The form of a request that is not of the contract: it takes nothing but what its handler asks for.
#[derive(Debug)]
pub struct ClosedForm(pub Form);

impl FromRequest<App> for ClosedForm {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let is_json = has_json_body(request.headers());
        let body = read_body(request, app).await?;
        Ok(Self(Form::parse_closed(&body, is_json)?))
    }
}

/// Whether the body says that it is JSON: `application/json` or `application/*+json`. A body that does
/// not say so is not taken for it: a page elsewhere can send text without asking, but not JSON.
fn has_json_body(headers: &HeaderMap) -> bool {
    let Some(media_type) = media_type(headers) else { return false };
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || (subtype.ends_with("+json") && !subtype.contains('/'))
}

/// What a body says that it is, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let content_type = String::from_utf8_lossy(headers.get(header::CONTENT_TYPE)?.as_bytes());
    Some(content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The whole of a body, if it keeps to the limits.
pub(crate) async fn read_body(request: Request, app: &App) -> Result<Bytes, Problem> {
    let limits = app.body_limits;
    let announced = content_length(request.headers());
    let waits_for_consent = request.headers().contains_key(header::EXPECT);
    let is_hopeless = announced.is_some_and(|length| length > DISCARDED_BYTES);
    if is_hopeless || (waits_for_consent && announced.is_some_and(|length| length > limits.bytes)) {
        return Err(Problem::BodyTooLarge);
    }
    let share = app.body_budget.open();
    tokio::select! {
        result = collect(request.into_body(), limits.bytes, &share) => result,
        () = tokio::time::sleep(limits.timeout) => Err(Problem::BodyTimeout),
        () = share.given_up() => Err(Problem::BodyTimeout),
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Body, limit: usize, share: &BodyShare<'_>) -> Result<Bytes, Problem> {
    let mut collected = BytesMut::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Problem::BodyIncomplete)?.into_data() else { continue };
        total += data.len();
        if total <= limit {
            share.grow(data.len());
            collected.extend_from_slice(&data);
        } else if total > DISCARDED_BYTES {
            break;
        }
    }
    if total > limit { Err(Problem::BodyTooLarge) } else { Ok(collected.freeze()) }
}

/// Where a request came from, proxies that the operator trusts being looked through.
pub struct RequestClient(pub Client);

impl FromRequestParts<App> for RequestClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let address = peer.map(|peer| client_address(&app.trusted_proxies, peer, &parts.headers));
        if peer.is_some_and(|peer| is_from_forgotten_proxy(&app.trusted_proxies, peer, &parts.headers)) {
            app.forgotten_proxy.call_once(|| {
                tracing::warn!("requests come through a proxy in a private network that TRUSTED_PROXIES does not name: all of its clients share one address, and one budget of failed logins");
            });
        }
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self(Client { address, user_agent: user_agent.and_then(UserAgent::parse) }))
    }
}

/// The access token in `Authorization: Bearer`, whatever it is worth.
pub struct BearerToken(pub String);

impl<S: Sync> FromRequestParts<S> for BearerToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        bearer_token(&parts.headers).map(|token| Self(token.to_owned()))
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    match authorization(headers) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(Problem::NotAuthenticated),
    }
}

/// The user whose request it is, by the access token in `Authorization: Bearer`.
#[derive(Debug)]
pub struct Authenticated(pub Caller);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(Self(app.ostiary.authenticate(bearer_token(&parts.headers)?).await?))
    }
}

/// The service whose request it is, by its credential in `Authorization`: as the password of Basic, with its name
/// as the user, or as a bearer token.
#[derive(Debug)]
pub struct AuthenticatedService(pub ServiceName);

impl FromRequestParts<App> for AuthenticatedService {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        if authorization(&parts.headers).is_none() {
            return Err(Problem::ServiceNotAuthenticated);
        }
        let service = service_of(app, &parts.headers, None).await?;
        service.map(Self).ok_or(Problem::InvalidServiceCredential)
    }
}

/// The service whose credential is in the headers, or else in the body, with the name that it gives itself.
///
/// # Errors
/// If the store fails.
pub async fn service_of(
    app: &App,
    headers: &HeaderMap,
    in_body: Option<(Option<&str>, &str)>,
) -> Result<Option<ServiceName>, StoreError> {
    let ostiary = &app.ostiary;
    match authorization(headers) {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("bearer") => {
            ostiary.authenticate_service(credential, None).await
        }
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
            let decoded =
                BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            match decoded.as_deref().and_then(|text| text.split_once(':')) {
                Some((name, credential)) => ostiary.authenticate_service(credential, Some(name)).await,
                None => Ok(None),
            }
        }
        Some(_) => Ok(None),
        None => match in_body {
            Some((name, credential)) => ostiary.authenticate_service(credential, name).await,
            None => Ok(None),
        },
    }
}

/// The scheme and the credentials of the one header `Authorization`; of several nobody knows which counts.
fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    (!credentials.is_empty()).then_some((scheme, credentials))
}
