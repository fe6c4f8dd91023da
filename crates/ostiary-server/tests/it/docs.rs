//! The OpenAPI document and the pages that show it.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server};

async fn document() -> Value {
    Server::start(On::Sqlite).await.get("/openapi.json").await.json().await.unwrap()
}

#[tokio::test]
async fn the_document_has_the_title_paths_and_schemas_of_the_replaced_service() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["info"]["title"], "Auth Service");
    for (path, request) in
        [("login", "LoginRequest"), ("refresh", "RefreshRequest"), ("register", "RegisterRequest")]
    {
        let post = &document["paths"][format!("/api/v1/auth/{path}")]["post"];
        let schema = |place: &Value| place["content"]["application/json"]["schema"]["$ref"].clone();
        assert_eq!(schema(&post["requestBody"]), format!("#/components/schemas/{request}"));
        assert_eq!(schema(&post["responses"]["200"]), "#/components/schemas/TokenResponse");
        assert_eq!(schema(&post["responses"]["422"]), "#/components/schemas/HTTPValidationError");
        assert_eq!(post["requestBody"]["required"], true);
    }
}

#[tokio::test]
async fn the_schemas_have_the_constraints_that_validation_holds_to() {
    let document = document().await;
    let register = &document["components"]["schemas"]["RegisterRequest"];
    assert_eq!(register["required"], json!(["second_login", "phone", "password", "group_names"]));
    let properties = &register["properties"];
    for (member, rule, value) in [
        ("second_login", "minLength", json!(3)),
        ("second_login", "maxLength", json!(64)),
        ("phone", "minLength", json!(10)),
        ("phone", "maxLength", json!(20)),
        ("email", "pattern", json!(r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$")),
        ("email", "type", json!(["string", "null"])),
        ("profile", "type", json!(["object", "null"])),
        ("password", "minLength", json!(8)),
        ("group_names", "minItems", json!(1)),
    ] {
        assert_eq!(properties[member][rule], value, "{member} {rule}");
    }
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["LoginRequest"]["required"], json!(["login"]));
    assert_eq!(schemas["RefreshRequest"]["required"], json!(["refresh_token"]));
    assert_eq!(schemas["TokenResponse"]["properties"]["token_type"]["default"], "bearer");
}

/// Every address that a page loads is one of the server's own, and is there.
#[rstest]
#[tokio::test]
async fn the_pages_work_without_any_address_but_the_servers(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for page in ["/docs", "/redoc"] {
        let answer = server.get(page).await;
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        let html = answer.text().await.unwrap();
        let loaded: Vec<&str> = ["src=\"", "href=\""]
            .iter()
            .flat_map(|attribute| html.split(attribute).skip(1))
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(!loaded.is_empty());
        for address in loaded {
            assert!(address.starts_with('/') && !address.starts_with("//"), "{page} loads {address}");
            let file = server.get(address).await;
            assert_eq!(file.status(), 200, "{address}");
            assert!(file.bytes().await.unwrap().len() > 100, "{address}");
        }
    }
    let redoc = server.get("/redoc/redoc.js").await.text().await.unwrap();
    assert!(redoc.contains(r#"Redoc.init("/openapi.json""#) && !redoc.contains("cdn.redoc.ly"));
    let start = server.get("/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(start.contains("/openapi.json"), "{start}");
    assert_eq!(server.get("/docs/nothing.js").await.status(), 404);
}

#[rstest]
#[tokio::test]
async fn a_slash_at_the_end_is_sent_to_the_page(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for (path, location) in
        [("/docs/", "/docs"), ("/openapi.json/?x=1", "/openapi.json?x=1"), ("/redoc///", "/redoc")]
    {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
            (307, location)
        );
    }
    for path in ["//evil.example/", "/api/v1/auth//", "/nothing/", "//", "//docs/"] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
}
