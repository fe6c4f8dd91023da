//! Endpoints that take nothing but what they ask for: no column of an account is changed by naming it.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, refusal};

/// What somebody may hope to set: what is shown, what is kept, and what other programs call it.
const NAMES: &str = "
    id user_id sub contacts second_login username login phone email kind value typed verified
    verified_at is_verified email_verified groups group_name group_names memberships role roles scope
    permissions is_admin admin is_staff is_superuser active is_active disabled blocked password
    password_hash hash secret secret_hash created_at updated_at refreshed_at expires_at revoked_at
    revoked_why methods address user_agent generation sessions session_id sid __proto__ constructor $set
    profile.first_name Profile current_Password";

struct Endpoint {
    method: Method,
    path: &'static str,
    /// A body that would do something.
    body: Value,
}

fn endpoints(refresh_token: &str) -> [Endpoint; 4] {
    let passwords = json!({ "current_password": "correct horse", "new_password": "battery staple" });
    [
        (Method::PATCH, "/api/v1/auth/me", json!({ "profile": { "first_name": "Mallory" } })),
        (Method::DELETE, "/api/v1/auth/me", json!({ "current_password": "correct horse" })),
        (Method::POST, "/api/v1/auth/password/change", passwords),
        (Method::POST, "/api/v1/auth/logout", json!({ "refresh_token": refresh_token })),
    ]
    .map(|(method, path, body)| Endpoint { method, path, body })
}

#[rstest]
#[tokio::test]
async fn what_nobody_asks_for_is_refused_and_changes_nothing(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let tokens = server.register("anna").await;
    let me = async || {
        let request = server.request(Method::GET, "/api/v1/auth/me", &tokens.access);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let before = me().await;
    for Endpoint { method, path, body } in endpoints(&tokens.refresh) {
        let others = ["profile", "current_password", "new_password", "refresh_token", ""];
        let others = others.into_iter().filter(|name| body.get(name).is_none());
        for name in NAMES.split_whitespace().chain(others) {
            for value in [json!("x"), Value::Null] {
                let mut body = body.clone();
                body[name] = value;
                let request = server.request(method.clone(), path, &tokens.access).json(&body);
                let fault = json!({
                    "type": "extra_forbidden",
                    "loc": ["body", name],
                    "msg": "Extra inputs are not permitted",
                });
                let answer = refusal(request.send().await.unwrap()).await;
                assert_eq!(answer, (422, json!({ "detail": [fault] })), "{method} {path} {body}");
            }
        }
    }
    assert_eq!(me().await, before);
    server.log_in_again("anna").await;
    assert_eq!(server.query::<i64>("select count(*) from audit_events where user_id is not null"), 2);
}

/// A name that stands twice is one that two programs read differently.
#[tokio::test]
async fn a_member_that_is_named_twice_is_refused() {
    let server = Server::start(On::Sqlite).await;
    let tokens = server.register("anna").await;
    for Endpoint { method, path, body } in endpoints(&tokens.refresh) {
        let text = body.to_string();
        let twice = format!("{},{}", text.strip_suffix('}').unwrap(), &text[1..]);
        let request = server.request(method.clone(), path, &tokens.access).body(twice);
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        let (status, answer) = refusal(answer).await;
        assert_eq!((status, &answer["detail"][0]["type"]), (422, &json!("json_duplicate_member")), "{path}");
    }
    assert_eq!(server.status_of_me(&tokens.access).await, 200);
}

/// The refusals repeat nothing: even a misspelt name may stand before a secret.
#[tokio::test]
async fn what_was_given_is_not_repeated() {
    let server = Server::start(On::Sqlite).await;
    let tokens = server.register("anna").await;
    for Endpoint { method, path, .. } in endpoints(&tokens.refresh) {
        for body in [
            json!({ "curent_password": "canary" }),
            json!({ "current_password": ["canary"], "new_password": ["canary"], "refresh_token": ["canary"] }),
            json!({ "profile": "canary" }),
            json!(["canary"]),
            json!("canary"),
        ] {
            let request = server.request(method.clone(), path, &tokens.access).json(&body);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 422, "{method} {path} {body}");
            let text = answer.text().await.unwrap();
            assert!(!text.contains("canary"), "{method} {path} {body}: {text}");
        }
    }
}
