//! The HTTP interface: every route, tied to its description in the OpenAPI document, and what is done
//! around all of them.

use std::sync::Arc;

use axum::{
    Router,
    extract::OriginalUri,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, docs, middleware, problem::Problem};

mod conditional;
mod device;
mod health;
mod introspect;
mod jwks;
mod login;
mod logout;
mod me;
mod password;
mod refresh;
mod register;
mod revocations;
mod schemas;
mod sessions;

/// The router of the whole server.
pub fn router(app: App) -> Router {
    let (router, document) = described_routes();
    let documented = document.paths.paths.keys().map(String::as_str);
    let paths: Arc<[String]> = documented.chain(docs::PAGES).map(str::to_owned).collect();
    let router = router
        .merge(docs::router(&document))
        .fallback(async move |OriginalUri(uri): OriginalUri| not_found(&paths, &uri))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed);
    middleware::around(router.with_state(app.clone()), app)
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> Document {
    described_routes().1
}

fn described_routes() -> (Router<App>, Document) {
    let (router, mut document) = routes().split_for_parts();
    schemas::describe_failures(&mut document);
    (router, document)
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(schemas::Description::openapi())
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(register::register))
        .routes(routes!(me::read, me::change, me::delete))
        .routes(routes!(password::change))
        .routes(routes!(logout::logout))
        .routes(routes!(logout::logout_all))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(introspect::introspect))
        .routes(routes!(revocations::revocations))
        .routes(routes!(jwks::jwks))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

/// A path that is one but for slashes at its end is sent there, method and body included, as the
/// replaced service did.
fn not_found(paths: &[String], uri: &Uri) -> Response {
    let trimmed = uri.path().trim_end_matches('/');
    if trimmed == uri.path() || !paths.iter().any(|template| matches(template, trimmed)) {
        return Problem::NotFound.into_response();
    }
    let location = uri.query().map_or_else(|| trimmed.to_owned(), |query| format!("{trimmed}?{query}"));
    match HeaderValue::try_from(location) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => Problem::NotFound.into_response(),
    }
}

/// Whether a path is one of a template such as `/sessions/{id}`.
fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = template.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|segment| wanted == segment || (wanted.starts_with('{') && !segment.is_empty()))
    });
    fits && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_template_matches_its_paths_and_no_others() {
        assert!(matches("/a/{id}", "/a/7"));
        for path in ["/a", "/a/", "/a/7/b", "/b/7", "/a/7/", "a/7", ""] {
            assert!(!matches("/a/{id}", path), "{path}");
        }
    }

    /// axum keeps its fallback under paths of its own.
    fn is_fallback(path: &str) -> bool {
        path == "/" || path.starts_with("/{*__private__")
    }

    #[test]
    fn the_document_says_how_requests_fail() {
        let document = serde_json::to_value(document()).unwrap();
        let paths = document["paths"].as_object().unwrap().values();
        let operations: Vec<_> = paths.flat_map(|path| path.as_object().unwrap().values()).collect();
        assert!(operations.len() >= 14, "{}", operations.len());
        for operation in operations {
            let takes_a_body = !operation["requestBody"].is_null();
            for (status, is_possible) in [("408", takes_a_body), ("413", takes_a_body), ("500", true)] {
                let schema = &operation["responses"][status]["content"]["application/json"]["schema"];
                let expected =
                    if is_possible { "#/components/schemas/ErrorResponse".into() } else { Value::Null };
                assert_eq!(schema["$ref"], expected, "{status} of {}", operation["operationId"]);
            }
        }
    }

    #[test]
    fn every_route_is_in_the_document() {
        let (router, document) = described_routes();
        let shown = format!("{router:?}");
        let mut served: Vec<&str> =
            shown.split('"').filter(|text| text.starts_with('/') && !is_fallback(text)).collect();
        served.sort_unstable();
        served.dedup();
        let mut documented: Vec<&String> = document.paths.paths.keys().collect();
        documented.sort_unstable();
        assert!(served.len() >= 6, "the router's debug output has another form now: {shown}");
        assert_eq!(served, documented);
    }
}
