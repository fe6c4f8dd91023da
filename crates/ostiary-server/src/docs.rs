//! The interactive documentation, served from the binary: the OpenAPI document, Swagger UI and
//! `ReDoc`, without any address but the server's own.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use aide::redoc::Redoc;
use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::{HeaderName, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use utoipa::openapi::OpenApi;

use crate::{app::App, problem::Problem};

const OPENAPI: &str = "/openapi.json";

/// Scripts come from the server; both pages set styles from scripts, and `ReDoc` searches in a worker
/// that it makes itself.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);

/// The files of one release never change.
const CACHED: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=3600");

const JAVASCRIPT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/javascript; charset=utf-8");

/// The pages, for whoever must know all paths; they are not in the document.
pub const PAGES: [&str; 3] = [OPENAPI, "/docs", "/redoc"];

/// The routes of the documentation.
pub fn router(document: &OpenApi) -> Router<App> {
    let json = Bytes::from(document.to_json().expect("the document is plain data"));
    // Made when it is first asked for, and shared from then on: some megabytes that most servers never need.
    let redoc = Arc::new(OnceLock::new());
    Router::new()
        .route(OPENAPI, get(async move || ([(header::CONTENT_TYPE, "application/json")], json)))
        .route("/docs", get(async || ([POLICY], Html(SWAGGER_PAGE))))
        .route("/docs/{file}", get(swagger_file))
        .route("/redoc", get(async || ([POLICY], Html(REDOC_PAGE))))
        .route(
            "/redoc/redoc.js",
            get(async move || ([JAVASCRIPT, CACHED], redoc.get_or_init(redoc_script).clone())),
        )
}

const SWAGGER_PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Auth Service - Swagger UI</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/swagger-ui-standalone-preset.js"></script>
<script src="/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

const REDOC_PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Auth Service - ReDoc</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<style>body { margin: 0; padding: 0; }</style>
</head>
<body>
<div id="redoc-container"></div>
<script src="/redoc/redoc.js"></script>
</body>
</html>
"#;

async fn swagger_file(file: Result<Path<String>, PathRejection>) -> Response {
    let Ok(Path(file)) = file else { return Problem::NotFound.into_response() };
    let config = Arc::new(utoipa_swagger_ui::Config::from(OPENAPI).use_base_layout());
    match utoipa_swagger_ui::serve(&file, config) {
        Ok(Some(file)) => {
            let encoding = file.gzpipped.then_some([(header::CONTENT_ENCODING, "gzip")]);
            // A client that reads slowly must not hold a copy of its own.
            let body = match file.bytes {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            ([(header::CONTENT_TYPE, file.content_type)], [CACHED], encoding, body).into_response()
        }
        Ok(None) => Problem::NotFound.into_response(),
        Err(error) => {
            tracing::error!(error, "a file of Swagger UI is not as expected");
            Problem::Internal.into_response()
        }
    }
}

/// The crate has `ReDoc` only within a page of its own; this is the library out of it, with a start of
/// ours, and without the one image that it would load from its maker.
fn redoc_script() -> Bytes {
    const START: &str = r#"Redoc.init("/openapi.json", {}, document.getElementById("redoc-container"));"#;
    const LOGO: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
    let page = Redoc::new(OPENAPI).html();
    let library = page.split_once("<script>").and_then(|(_, rest)| rest.rsplit_once("Redoc.init("));
    let (library, _) = library.expect("the crate's page is compiled in, and a test reads the script");
    format!("{}\n{START}\n", library.replace(LOGO, "data:,")).into()
}
