//! What users can do with their accounts where the directory is somebody else's, and has no functions for it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, refusal};

async fn ask(server: &Server, method: Method, path: &str, token: &str, body: Value) -> (u16, Value) {
    let request = server.request(method, path, token);
    let request = if body.is_null() { request } else { request.json(&body) };
    refusal(request.send().await.unwrap()).await
}

#[tokio::test]
async fn what_the_directory_has_no_function_for_is_answered_with_its_name() {
    let server = Server::start(On::Adopted).await;
    let token = server.register("anna").await.access;
    let me = "/api/v1/auth/me";
    let password = json!({ "current_password": "correct horse" });
    let passwords = json!({ "current_password": "correct horse", "new_password": "battery staple" });
    let profile = json!({ "profile": { "first_name": "Anna" } });
    for (method, path, body, missing) in [
        (Method::GET, me, Value::Null, "accounts.get_account(uuid)"),
        (Method::PATCH, me, profile, "accounts.get_account(uuid)"),
        (Method::DELETE, me, password, "accounts.get_password_hash(uuid)"),
        (Method::POST, "/api/v1/auth/password/change", passwords, "accounts.get_password_hash(uuid)"),
    ] {
        let answer = ask(&server, method.clone(), path, &token, body).await;
        let detail = format!("The database has no function {missing}");
        assert_eq!(answer, (501, json!({ "detail": detail })), "{method} {path}");
    }
    server.log_in_again("anna").await;
}

/// Sessions are Ostiary's own, on whichever directory.
#[tokio::test]
async fn sessions_work_without_any_of_those_functions() {
    let server = Server::start(On::Adopted).await;
    let credential = server.service_credential().await;
    let (first, second, third) =
        (server.register("anna").await, server.log_in_again("anna").await, server.log_in_again("anna").await);
    assert_eq!(server.introspect(&credential, &first.access).await["sub"], first.claim("sub"));

    let sessions = "/api/v1/auth/sessions";
    let (_, listed) = ask(&server, Method::GET, sessions, &first.access, Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let one = format!("{sessions}/{}", second.session());
    assert_eq!(ask(&server, Method::DELETE, &one, &first.access, Value::Null).await.0, 204);
    assert_eq!(server.introspect(&credential, &second.access).await, json!({ "active": false }));
    let body = json!({ "refresh_token": third.refresh });
    assert_eq!(server.post("/api/v1/auth/logout", &body).await.status(), 204);
    let mut last = Tokens::from(server.refresh(&first.refresh).await).await;
    assert_eq!(ask(&server, Method::POST, "/api/v1/auth/logout/all", &last.access, Value::Null).await.0, 204);
    assert_eq!(server.refresh(&last.refresh).await.status(), 401);
    assert_eq!(server.introspect(&credential, &last.access).await, json!({ "active": false }));

    let mut revoked = server.revoked(&credential).await;
    let mut ended = [first, second, third].map(|tokens| tokens.session());
    revoked.sort_unstable();
    ended.sort_unstable();
    assert_eq!(revoked, ended);
    last = server.log_in_again("anna").await;
    Tokens::from(server.refresh(&last.refresh).await).await;
}
