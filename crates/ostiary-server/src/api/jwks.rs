//! `GET /.well-known/jwks.json`

use axum::{Json, extract::State};
use ostiary_core::keys::PublicJwk;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// A JSON Web Key Set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct JwkSet {
    /// The public keys of all access tokens that may be alive.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<PublicJwk>,
}

/// The public keys that verify access tokens.
///
/// A shared secret (HS256) is never among them.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "keys",
    responses((status = 200, description = "The key set", body = JwkSet))
)]
pub(super) async fn jwks(State(app): State<App>) -> Json<JwkSet> {
    Json(JwkSet { keys: app.ostiary.keys.published().to_vec() })
}
