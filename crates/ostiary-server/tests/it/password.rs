//! Changing a password through HTTP.

use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::json;

use crate::support::{On, Server, Tokens, refusal};

async fn change(server: &Server, token: &str, current: &str, new: &str) -> Response {
    let body = json!({ "current_password": current, "new_password": new });
    server.request(Method::POST, "/api/v1/auth/password/change", token).json(&body).send().await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old_and_ends_the_other_sessions(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let others = [server.register("anna").await, server.log_in_again("anna").await];
    let this = server.log_in_again("anna").await;
    let boris = server.register("boris").await;
    let answer = change(&server, &this.access, "correct horse", "battery staple").await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (204, ""));

    assert_eq!(server.login("anna", "correct horse").await.status(), 401);
    Tokens::from(server.login("anna", "battery staple").await).await;
    for other in others {
        assert_eq!(server.status_of_me(&other.access).await, 401);
        assert_eq!(server.refresh(&other.refresh).await.status(), 401);
    }
    for stays in [this, boris] {
        assert_eq!(server.status_of_me(&stays.access).await, 200);
        Tokens::from(server.refresh(&stays.refresh).await).await;
    }
    let why = "select count(*) from sessions where revoked_why = 'password_changed'";
    assert_eq!(server.query::<i64>(why), 2);
    let recorded =
        "select count(*) from audit_events where action = 'password_changed' and user_id is not null
                    and session_id is not null";
    assert_eq!(server.query::<i64>(recorded), 1);
}

#[rstest]
#[tokio::test]
async fn without_the_current_password_it_is_not_changed(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let other = server.register("anna").await;
    let token = server.log_in_again("anna").await.access;
    let long = "x".repeat(257);
    for wrong in ["wrong horse", "", "CORRECT HORSE", &long] {
        let answer = change(&server, &token, wrong, "battery staple").await;
        assert_eq!(refusal(answer).await, (400, json!({ "detail": "Invalid password" })), "{wrong}");
    }
    assert_eq!(server.query::<i64>("select count(*) from audit_events where action = 'password_refused'"), 4);
    server.log_in_again("anna").await;
    assert_eq!(server.status_of_me(&other.access).await, 200);
    server.execute("update users set password_hash = null");
    let answer = change(&server, &token, "correct horse", "battery staple").await;
    assert_eq!(refusal(answer).await.0, 400, "who has no password cannot give it");
}

#[tokio::test]
async fn a_new_password_is_held_to_the_policy() {
    let server = Server::start(On::Sqlite).await;
    let token = server.register("anna").await.access;
    let long = "correct horse ".repeat(19);
    for (new, kind) in [
        ("", "string_too_short"),
        ("b4tt3ry", "string_too_short"),
        ("12345678", "password_too_common"),
        ("password", "password_too_common"),
        ("battery\0staple", "null_character"),
        (long.as_str(), "string_too_long"),
    ] {
        let (status, answer) = refusal(change(&server, &token, "correct horse", new).await).await;
        assert_eq!(status, 422, "{new}");
        let faults = answer["detail"].as_array().unwrap();
        assert_eq!(faults.len(), 1);
        assert_eq!((&faults[0]["loc"], &faults[0]["type"]), (&json!(["body", "new_password"]), &json!(kind)));
        assert!(faults[0].get("input").is_none());
    }
    server.log_in_again("anna").await;
    // 256 characters are not too many.
    let longest = &long[..256];
    assert_eq!(change(&server, &token, "correct horse", longest).await.status(), 204);
    Tokens::from(server.login("anna", longest).await).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_at_once_one_wins(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start_with(on, &[("HASH_DEADLINE", "20")]).await;
    let token = server.register("anna").await.access;
    let mut current = "correct horse".to_owned();
    for round in 0..4 {
        let news = [format!("battery staple {round}"), format!("paper clip {round}")];
        let (first, second) = tokio::join!(
            change(&server, &token, &current, &news[0]),
            change(&server, &token, &current, &news[1])
        );
        let statuses = [first.status().as_u16(), second.status().as_u16()];
        let [winner, loser] = match statuses {
            [204, 400] => [&news[0], &news[1]],
            [400, 204] => [&news[1], &news[0]],
            other => panic!("{other:?}"),
        };
        assert_eq!(server.login("anna", loser).await.status(), 401);
        Tokens::from(server.login("anna", winner).await).await;
        current.clone_from(winner);
    }
}

/// A hash of the replaced service verifies, and what takes its place is ours.
#[rstest]
#[tokio::test]
async fn a_bcrypt_hash_is_verified_and_replaced(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start_with(on, &[("PASSWORD_SCHEME", "bcrypt")]).await;
    let token = server.register("anna").await.access;
    let (_, place) = server.stop().await;
    let hash = "select password_hash from users";
    assert!(place.query::<String>(hash).starts_with("$2b$12$"));

    let server = Server::start_in(place, &[]).await;
    assert_eq!(change(&server, &token, "wrong horse", "battery staple").await.status(), 400);
    assert_eq!(change(&server, &token, "correct horse", "battery staple").await.status(), 204);
    assert!(server.query::<String>(hash).starts_with("$argon2id$"));
    Tokens::from(server.login("anna", "battery staple").await).await;
}
