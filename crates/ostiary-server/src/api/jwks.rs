//! `GET /.well-known/jwks.json`

use axum::{extract::State, http::HeaderMap, response::Response};
use ostiary_core::keys::PublicJwk;
use serde::Serialize;
use utoipa::ToSchema;

use super::conditional::Tagged;
use crate::app::App;

/// A JSON Web Key Set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct JwkSet {
    /// The public keys of all access tokens that may be alive, and of those that are about to be signed.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<PublicJwk>,
}

/// The public keys that verify access tokens.
///
/// A key is here for longer than `max-age` before it signs, so that a verifier that keeps the set for so long
/// knows each key in time. A shared secret (HS256, HS384, HS512) is never among them.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "keys",
    responses(
        (status = 200, description = "The key set", body = JwkSet),
        (status = 304, description = "It is still the one that `If-None-Match` names"),
    )
)]
pub(super) async fn jwks(State(app): State<App>, headers: HeaderMap) -> Response {
    let keys = &app.ostiary.keys;
    let set = JwkSet { keys: keys.published(app.ostiary.clock.now()) };
    Tagged::new(&set).answer(&headers, &format!("public, max-age={}", keys.max_age().as_secs()))
}
