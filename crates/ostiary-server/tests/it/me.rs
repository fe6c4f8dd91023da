//! A user's own account through HTTP: to be seen, changed and deleted.

use std::sync::Arc;

use jiff::SignedDuration;
use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, refusal, registration};

const ME: &str = "/api/v1/auth/me";

async fn me(server: &Server, token: &str) -> Value {
    server.request(Method::GET, ME, token).send().await.unwrap().json().await.unwrap()
}

async fn patch(server: &Server, token: &str, body: &Value) -> Response {
    server.request(Method::PATCH, ME, token).json(body).send().await.unwrap()
}

async fn delete(server: &Server, token: &str, password: &str) -> Response {
    let body = json!({ "current_password": password });
    server.request(Method::DELETE, ME, token).json(&body).send().await.unwrap()
}

/// A profile that has so many bytes as compact JSON.
fn profile_of(bytes: usize) -> Value {
    let half = "x".repeat(8_180);
    let rest = bytes - json!({ "a": half, "b": "" }).to_string().len();
    json!({ "a": half, "b": "y".repeat(rest) })
}

/// A profile of so many levels of objects.
fn levels(count: usize) -> Value {
    (1..count).fold(json!({}), |inner, _| json!({ "in": inner }))
}

#[rstest]
#[tokio::test]
async fn an_account_is_shown_to_its_user(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let registered = json!({
        "second_login": "Anna",
        "phone": "8 (916) 123-45-67",
        "email": "Anna@Example.com",
        "profile": {"first_name": "Анна", "age": 30, "tags": ["a", null, 1.5]},
        "password": "correct horse",
        "group_names": ["customer", "courier"],
    });
    let tokens = Tokens::from(server.post("/api/v1/auth/register", &registered).await).await;
    server.register("boris").await;
    let mut shown = me(&server, &tokens.access).await;
    shown["contacts"].as_array_mut().unwrap().sort_by_key(|contact| contact["kind"].to_string());
    shown["groups"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    let contact = |kind: &str, value: &str, display: &str| json!({ "kind": kind, "value": value, "display": display, "verified": false });
    let expected = json!({
        "id": tokens.claim("sub"),
        "contacts": [
            contact("email", "anna@example.com", "Anna@Example.com"),
            contact("phone", "+79161234567", "8 (916) 123-45-67"),
            contact("second_login", "anna", "Anna"),
        ],
        "groups": ["courier", "customer"],
        "profile": registered["profile"],
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
    });
    assert_eq!(shown, expected);
}

/// The rules of RFC 7396, one after the other on one profile.
#[rstest]
#[tokio::test]
async fn a_profile_is_changed_by_merge_patches(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.access;
    for (change, profile) in [
        (json!({ "nickname": "Anya" }), json!({ "first_name": "anna", "nickname": "Anya" })),
        (json!({ "first_name": null, "never": null }), json!({ "nickname": "Anya" })),
        (json!({ "nickname": ["Anya", null] }), json!({ "nickname": ["Anya", null] })),
        (json!({ "nickname": { "a": 1, "b": null } }), json!({ "nickname": { "a": 1 } })),
        (
            json!({ "nickname": { "c": { "d": true } } }),
            json!({ "nickname": { "a": 1, "c": { "d": true } } }),
        ),
        (
            json!({ "nickname": { "a": null, "c": { "d": 2.5 } } }),
            json!({ "nickname": { "c": { "d": 2.5 } } }),
        ),
        (json!({}), json!({ "nickname": { "c": { "d": 2.5 } } })),
        (Value::Null, Value::Null),
        (Value::Null, Value::Null),
        (json!({ "a": { "b": null } }), json!({ "a": {} })),
        (json!({ "a": null }), json!({})),
    ] {
        let answer = patch(&server, &token, &json!({ "profile": change })).await;
        assert_eq!(answer.status(), 200, "{change}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["profile"], profile, "{change}");
        assert_eq!(me(&server, &token).await, answer, "{change}");
    }
}

#[rstest]
#[tokio::test]
async fn a_change_is_dated_and_recorded_and_what_changes_nothing_is_not(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.access;
    let before = me(&server, &token).await;
    server.clock.advance(SignedDuration::from_secs(60));
    let recorded =
        "select count(*) from audit_events where action = 'profile_changed' and user_id is not null
                    and session_id is not null and address = '127.0.0.1'";
    for nothing in [json!({}), json!({ "profile": {} }), json!({ "profile": { "first_name": "anna" } })] {
        let request = server.request(Method::PATCH, ME, &token).body(nothing.to_string());
        let answer = request.header("content-type", "application/merge-patch+json").send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap(), before);
    }
    assert_eq!(server.query::<i64>(recorded), 0);
    patch(&server, &token, &json!({ "profile": { "first_name": "Anna" } })).await;
    let after = me(&server, &token).await;
    assert_eq!(after["updated_at"], "2026-11-22T12:01:00Z");
    assert_eq!(after["created_at"], before["created_at"]);
    assert_eq!(server.query::<i64>(recorded), 1);
}

/// The limits are those of what a patch makes, not of the patch.
#[rstest]
#[tokio::test]
async fn a_profile_stays_within_its_limits(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.access;
    let fault = |kind: &str, msg: &str| {
        (422, json!({ "detail": [{ "type": kind, "loc": ["body", "profile"], "msg": msg }] }))
    };
    let too_large = fault("object_too_large", "Input should be at most 16384 bytes as JSON");
    let too_deep = fault("nesting_too_deep", "Input should have at most 16 levels");
    patch(&server, &token, &json!({ "profile": null })).await;

    let largest = profile_of(16 * 1024);
    assert_eq!(patch(&server, &token, &json!({ "profile": largest })).await.status(), 200);
    let larger = profile_of(16 * 1024 + 1);
    for change in [larger, json!({ "c": "" }), json!({ "c": 1, "first_name": null })] {
        let answer = patch(&server, &token, &json!({ "profile": change })).await;
        assert_eq!(refusal(answer).await, too_large);
    }
    assert_eq!(me(&server, &token).await["profile"], largest);

    patch(&server, &token, &json!({ "profile": null })).await;
    assert_eq!(patch(&server, &token, &json!({ "profile": levels(16) })).await.status(), 200);
    for change in [levels(17), levels(60), (0..16).fold(json!(1), |inner, _| json!({ "list": [inner] }))] {
        let answer = patch(&server, &token, &json!({ "profile": change })).await;
        assert_eq!(refusal(answer).await, too_deep);
    }
    assert_eq!(me(&server, &token).await["profile"], levels(16));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_20_patches_at_once_none_is_lost(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Arc::new(Server::start(on).await);
    let token = server.register("anna").await.access;
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..20 {
        let (server, token) = (server.clone(), token.clone());
        racers.spawn(async move {
            let change = json!({ "profile": { format!("member{racer}"): racer } });
            patch(&server, &token, &change).await.status().as_u16()
        });
    }
    assert_eq!(racers.join_all().await, [200; 20]);
    let mut expected = json!({ "first_name": "anna" });
    for racer in 0..20 {
        expected[format!("member{racer}")] = json!(racer);
    }
    assert_eq!(me(&server, &token).await["profile"], expected);
}

#[rstest]
#[tokio::test]
async fn an_account_is_not_deleted_without_its_password(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let tokens = server.register("anna").await;
    let long = "x".repeat(5_000);
    for wrong in ["wrong horse", "", "correct horse ", "Correct horse", &long] {
        let answer = delete(&server, &tokens.access, wrong).await;
        assert_eq!(refusal(answer).await, (400, json!({ "detail": "Invalid password" })), "{wrong}");
    }
    let refused =
        "select count(*) from audit_events where action = 'password_refused' and session_id is not null";
    assert_eq!(server.query::<i64>(refused), 5);
    assert_eq!(server.status_of_me(&tokens.access).await, 200);
    Tokens::from(server.refresh(&tokens.refresh).await).await;
}

#[rstest]
#[tokio::test]
async fn of_a_deleted_account_nothing_is_left_but_the_ids_of_its_events(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let registered = registration("anna");
    let request = server.http.post(server.url("/api/v1/auth/register")).json(&registered);
    let first = Tokens::from(request.header("user-agent", "Firefox/133").send().await.unwrap()).await;
    let second = server.log_in_again("anna").await;
    let third = server.log_in_again("anna").await;
    let boris = server.register("boris").await;
    let body = json!({ "refresh_token": third.refresh });
    assert_eq!(server.post("/api/v1/auth/logout", &body).await.status(), 204);
    let traced = "select count(*) from audit_events where coalesce(address, user_agent) is not null";
    assert_eq!(server.query::<i64>(traced), 5);

    assert_eq!(delete(&server, &first.access, "correct horse").await.status(), 204);
    let login = refusal(server.login("anna", "correct horse").await).await;
    assert_eq!(login, (401, json!({ "detail": "Invalid credentials" })));
    for tokens in [&first, &second, &third] {
        assert_eq!(server.status_of_me(&tokens.access).await, 401);
        assert_eq!(server.refresh(&tokens.refresh).await.status(), 401);
    }
    for (rows, left) in [("users", 1), ("contacts", 3), ("memberships", 1), ("sessions", 1)] {
        assert_eq!(server.query::<i64>(&format!("select count(*) from {rows}")), left, "{rows}");
    }
    assert_eq!(server.status_of_me(&boris.access).await, 200);
    let mut revoked = server.revoked(&credential).await;
    let mut sessions = [&first, &second, &third].map(Tokens::session);
    revoked.sort_unstable();
    sessions.sort_unstable();
    assert_eq!(revoked, sessions);

    // The failed login is of nobody now, as it would be of anybody who was never there.
    let hers = "(select user_id from audit_events where action = 'user_deleted')";
    let events = server.query::<i64>(&format!("select count(*) from audit_events where user_id = {hers}"));
    assert_eq!(events, 5, "registration, two logins, a logout, the deletion");
    assert_eq!(server.query::<i64>(&format!("{traced} and user_id = {hers}")), 0);

    Tokens::from(server.post("/api/v1/auth/register", &registered).await).await;
}

/// Of two deletions at once one comes too late; neither fails otherwise.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_deleted_once(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.access;
    let both =
        tokio::join!(delete(&server, &token, "correct horse"), delete(&server, &token, "correct horse"));
    let mut statuses = [both.0.status().as_u16(), both.1.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401]);
    let deletions = "select count(*) from audit_events where action = 'user_deleted'";
    assert_eq!(server.query::<i64>(deletions), 1);
}
