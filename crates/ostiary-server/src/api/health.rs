//! `GET /livez` and `GET /readyz`: what an orchestrator asks.

use std::time::Duration;

use axum::{Json, extract::State};
use ostiary_core::store::Store;
use serde::Serialize;
use utoipa::ToSchema;

use super::schemas::ErrorResponse;
use crate::{app::App, problem::Problem};

/// A store that takes longer does not serve anybody.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The server's own view of itself.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process answers at all. If not, restart it.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operations",
    responses((status = 200, description = "It lives", body = Health))
)]
pub(super) async fn livez() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the server can serve requests. If not, send them elsewhere.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It serves", body = Health),
        (status = 503, description = "Its store is away, no key signs, or it is stopping", body = ErrorResponse),
    )
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    let has_key = app.ostiary.keys.algorithm(app.ostiary.clock.now()).is_some();
    if app.is_draining() || !has_key {
        return Err(Problem::Unavailable(STORE_TIMEOUT));
    }
    let store: &dyn Store = &*app.ostiary.store;
    match tokio::time::timeout(STORE_TIMEOUT, store.check()).await {
        Ok(checked) => checked?,
        Err(_) => return Err(Problem::Unavailable(STORE_TIMEOUT)),
    }
    Ok(Json(Health { status: "ok" }))
}
