//! What handlers take from a request.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use ostiary_core::audit::{Client, UserAgent};

use crate::{
    app::{App, BodyLimits},
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
        let body = read_body(request, app.body_limits).await?;
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
        let body = read_body(request, app.body_limits).await?;
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
pub(crate) async fn read_body(request: Request, limits: BodyLimits) -> Result<Bytes, Problem> {
    let announced = content_length(request.headers());
    let waits_for_consent = request.headers().contains_key(header::EXPECT);
    let is_hopeless = announced.is_some_and(|length| length > DISCARDED_BYTES);
    if is_hopeless || (waits_for_consent && announced.is_some_and(|length| length > limits.bytes)) {
        return Err(Problem::BodyTooLarge);
    }
    match tokio::time::timeout(limits.timeout, collect(request.into_body(), limits.bytes)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::BodyTimeout),
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut collected = BytesMut::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Problem::BodyIncomplete)?.into_data() else { continue };
        total += data.len();
        if total <= limit {
            collected.extend_from_slice(&data);
        } else if total > DISCARDED_BYTES {
            break;
        }
    }
    if total > limit { Err(Problem::BodyTooLarge) } else { Ok(collected.freeze()) }
}

/// Where a request came from.
pub struct RequestClient(pub Client);

impl<S: Sync> FromRequestParts<S> for RequestClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let address =
            parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self(Client {
            address: address.map(|address| address.to_canonical()),
            user_agent: user_agent.and_then(UserAgent::parse),
        }))
    }
}
