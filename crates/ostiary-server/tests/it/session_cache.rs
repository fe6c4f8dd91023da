//! What was asked about a session a moment ago, and has changed since. The clock stands still in these tests, so an
//! answer that is kept is kept for ever: whatever changes here has to end it.

use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens};

const ME: &str = "/api/v1/auth/me";
/// What an operator does beside the server.
const DISABLE_ALL: &str = "update users set active = false";

/// How a session ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Logout,
    LogoutEverywhere,
    FromElsewhere,
    PasswordChange,
    Deletion,
    Reuse,
    Eviction,
}

/// Ends the first of a user's two sessions.
async fn end(server: &Server, how: End, first: &Tokens, second: &Tokens) {
    let request = |method, path: &str| server.request(method, path, &second.access);
    let (password, refresh) = (json!("correct horse"), json!(first.refresh));
    let answer = match how {
        End::Logout => server.post("/api/v1/auth/logout", &json!({ "refresh_token": refresh })).await,
        End::LogoutEverywhere => request(Method::POST, "/api/v1/auth/logout/all").send().await.unwrap(),
        End::FromElsewhere => {
            let path = format!("/api/v1/auth/sessions/{}", first.session());
            request(Method::DELETE, &path).send().await.unwrap()
        }
        End::PasswordChange => {
            let body = json!({ "current_password": password, "new_password": "battery staple" });
            request(Method::POST, "/api/v1/auth/password/change").json(&body).send().await.unwrap()
        }
        End::Deletion => {
            let body = json!({ "current_password": password });
            request(Method::DELETE, ME).json(&body).send().await.unwrap()
        }
        End::Reuse => {
            let next = Tokens::from(server.refresh(&first.refresh).await).await;
            Tokens::from(server.refresh(&next.refresh).await).await;
            // What was asked before is asked again, so that it is the reuse that has to end it.
            assert_eq!(server.status_of_me(&first.access).await, 200);
            let answer = server.refresh(&first.refresh).await;
            assert_eq!(answer.status(), 401);
            return;
        }
        End::Eviction => {
            server.log_in_again("anna").await;
            return;
        }
    };
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[rstest]
#[tokio::test]
async fn a_session_that_was_just_asked_about_is_over_at_once_however_it_ends(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(
        End::Logout,
        End::LogoutEverywhere,
        End::FromElsewhere,
        End::PasswordChange,
        End::Deletion,
        End::Reuse,
        End::Eviction
    )]
    how: End,
) {
    let server = Server::start_with(on, &[("MAX_SESSIONS_PER_USER", "2")]).await;
    let credential = server.service_credential().await;
    let first = server.register("anna").await;
    server.clock.advance(SignedDuration::from_secs(1));
    let second = server.log_in_again("anna").await;
    assert_eq!(server.status_of_me(&first.access).await, 200);
    assert_eq!(server.introspect(&credential, &first.access).await["active"], true);
    end(&server, how, &first, &second).await;
    assert_eq!(server.status_of_me(&first.access).await, 401);
    assert_eq!(server.introspect(&credential, &first.access).await, json!({ "active": false }));
}

#[rstest]
#[tokio::test]
async fn whoever_changed_their_profile_sees_it_at_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.access;
    let name = async || {
        let answer = server.request(Method::GET, ME, &token).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["profile"]["first_name"].clone()
    };
    assert_eq!(name().await, "anna");
    let patch = json!({ "profile": { "first_name": "Anya" } });
    let answer = server.request(Method::PATCH, ME, &token).json(&patch).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(name().await, "Anya");
}

#[rstest]
#[tokio::test]
async fn what_others_do_to_the_database_counts_after_half_a_second_and_for_changes_at_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let token = server.register("anna").await.access;
    assert_eq!(server.status_of_me(&token).await, 200);
    assert_eq!(server.introspect(&credential, &token).await["active"], true);
    server.execute(DISABLE_ALL);
    server.clock.advance(SignedDuration::from_millis(499));
    assert_eq!(server.status_of_me(&token).await, 200);
    assert_eq!(server.introspect(&credential, &token).await["active"], true);
    let everywhere = server.request(Method::POST, "/api/v1/auth/logout/all", &token);
    assert_eq!(everywhere.send().await.unwrap().status(), 401, "it is looked for");
    server.clock.advance(SignedDuration::from_millis(1));
    assert_eq!(server.status_of_me(&token).await, 401);
    assert_eq!(server.introspect(&credential, &token).await["active"], false);
}

#[rstest]
#[tokio::test]
async fn with_the_setting_at_zero_the_database_is_asked_each_time(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start_with(on, &[("SESSION_CACHE_MILLISECONDS", "0")]).await;
    let token = server.register("anna").await.access;
    assert_eq!(server.status_of_me(&token).await, 200);
    server.execute(DISABLE_ALL);
    assert_eq!(server.status_of_me(&token).await, 401);
}
