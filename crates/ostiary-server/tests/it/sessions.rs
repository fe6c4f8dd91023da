//! A user's sessions through HTTP: to be listed and ended, and to end by themselves.

use std::sync::Arc;

use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, refusal};

const SESSIONS: &str = "/api/v1/auth/sessions";
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0";

async fn list(server: &Server, token: &str) -> Vec<Value> {
    server.request(Method::GET, SESSIONS, token).send().await.unwrap().json().await.unwrap()
}

/// The ids of the sessions that are listed, in their order.
async fn listed(server: &Server, token: &str) -> Vec<String> {
    let sessions = list(server, token).await;
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

async fn end(server: &Server, token: &str, id: &str) -> (u16, Value) {
    let answer = server.request(Method::DELETE, &format!("{SESSIONS}/{id}"), token).send().await.unwrap();
    refusal(answer).await
}

async fn log_out(server: &Server, refresh_token: &str) -> (u16, Value) {
    refusal(server.post("/api/v1/auth/logout", &json!({ "refresh_token": refresh_token })).await).await
}

async fn is_dead(server: &Server, tokens: &Tokens) -> bool {
    let (me, refresh) = (server.status_of_me(&tokens.access).await, server.refresh(&tokens.refresh).await);
    assert_eq!(me == 401, refresh.status() == 401, "an access token is as alive as its session");
    me == 401
}

fn nothing() -> (u16, Value) {
    (204, json!(""))
}

fn not_found() -> (u16, Value) {
    (404, json!({ "detail": "Not Found" }))
}

#[rstest]
#[tokio::test]
async fn sessions_are_listed_with_where_and_when_they_were_opened(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let first = server.register("anna").await;
    server.register("boris").await;
    server.clock.advance(SignedDuration::from_secs(60));
    let body = json!({ "login": "anna", "password": "correct horse" });
    let login = server.http.post(server.url("/api/v1/auth/login")).header("user-agent", FIREFOX).json(&body);
    let second = Tokens::from(login.send().await.unwrap()).await;
    let expected = json!([
        {
            "id": second.session(),
            "current": true,
            "device": "Firefox 133 on Windows",
            "address": "127.0.0.1",
            "methods": ["pwd"],
            "created_at": "2026-11-22T12:01:00Z",
            "refreshed_at": "2026-11-22T12:01:00Z",
            "expires_at": "2026-12-22T12:01:00Z",
        },
        {
            "id": first.session(),
            "current": false,
            "device": null,
            "address": "127.0.0.1",
            "methods": ["pwd"],
            "created_at": "2026-11-22T12:00:00Z",
            "refreshed_at": "2026-11-22T12:00:00Z",
            "expires_at": "2026-12-22T12:00:00Z",
        },
    ]);
    assert_eq!(json!(list(&server, &second.access).await), expected);

    server.clock.advance(SignedDuration::from_secs(60));
    let first = Tokens::from(server.refresh(&first.refresh).await).await;
    let sessions = list(&server, &first.access).await;
    assert_eq!(sessions[0]["id"], first.session(), "the last refreshed comes first");
    assert_eq!(sessions[0]["refreshed_at"], "2026-11-22T12:02:00Z");
    assert_eq!(sessions[0]["expires_at"], "2026-12-22T12:00:00Z");
    assert_eq!([&sessions[0]["current"], &sessions[1]["current"]], [&json!(true), &json!(false)]);
}

#[rstest]
#[tokio::test]
async fn a_logout_ends_the_session_and_never_says_whether_there_was_one(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let other = server.register("anna").await;
    let tokens = server.log_in_again("anna").await;
    assert_eq!(log_out(&server, &tokens.refresh).await, nothing());
    assert!(is_dead(&server, &tokens).await);
    let mut forged = tokens.refresh.clone();
    forged.replace_range(10..11, if &forged[10..11] == "A" { "B" } else { "A" });
    for token in [&tokens.refresh, &tokens.access, &forged, &"A".repeat(86), "garbage", ""] {
        assert_eq!(log_out(&server, token).await, nothing(), "{token}");
    }
    assert!(!is_dead(&server, &other).await);
    let recorded = "select count(*) from audit_events where action = 'user_logged_out'";
    assert_eq!(server.query::<i64>(recorded), 1);
}

/// A client may have been answered by a refresh that it did not get to hear of.
#[rstest]
#[tokio::test]
async fn a_spent_token_ends_its_session_too(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let old = server.register("anna").await;
    let new = Tokens::from(server.refresh(&old.refresh).await).await;
    assert_eq!(log_out(&server, &old.refresh).await, nothing());
    assert!(is_dead(&server, &new).await);
}

#[rstest]
#[tokio::test]
async fn a_logout_everywhere_ends_all_sessions_of_the_user_and_no_others(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let hers = [server.register("anna").await, server.log_in_again("anna").await];
    let his = server.register("boris").await;
    let request = server.request(Method::POST, "/api/v1/auth/logout/all", &hers[1].access);
    assert_eq!(refusal(request.send().await.unwrap()).await, nothing());
    for tokens in &hers {
        assert!(is_dead(&server, tokens).await);
    }
    assert!(!is_dead(&server, &his).await);
    let again = server.log_in_again("anna").await;
    assert_eq!(listed(&server, &again.access).await, [again.session()]);
}

#[rstest]
#[tokio::test]
async fn users_end_their_own_sessions_and_those_of_nobody_else(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let (this, other) = (server.register("anna").await, server.log_in_again("anna").await);
    let his = server.register("boris").await;
    assert_eq!(end(&server, &this.access, &his.session()).await, not_found());
    assert!(!is_dead(&server, &his).await, "it is not hers");

    assert_eq!(end(&server, &this.access, &other.session()).await, nothing());
    assert!(is_dead(&server, &other).await);
    assert_eq!(listed(&server, &this.access).await, [this.session()]);
    assert_eq!(end(&server, &this.access, &other.session()).await, not_found(), "it is over");

    let own = this.session();
    let nil = uuid::Uuid::nil().to_string();
    let unknown = "019abcde-0000-7000-8000-0123456789ab";
    for id in [unknown, &nil, "1", "all", "%00", "..%2Fme", &own.to_uppercase(), &own.replace('-', ""), "%FF"]
    {
        let (status, body) = end(&server, &this.access, id).await;
        assert!(status == 404 || (status == 400 && id == "%FF"), "{id}: {status} {body}");
    }
    assert!(!is_dead(&server, &this).await);
    assert_eq!(end(&server, &this.access, &own).await, nothing());
    assert!(is_dead(&server, &this).await);
    assert_eq!(end(&server, &this.access, &own).await.0, 401);
}

#[rstest]
#[tokio::test]
async fn a_session_that_is_not_refreshed_ends(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start_with(on, &[("SESSION_IDLE_MINUTES", "10")]).await;
    let idle = server.register("anna").await;
    let mut busy = server.log_in_again("anna").await;
    server.clock.advance(SignedDuration::from_secs(10 * 60 - 1));
    busy = Tokens::from(server.refresh(&busy.refresh).await).await;
    assert_eq!(server.status_of_me(&idle.access).await, 200);
    assert_eq!(listed(&server, &busy.access).await.len(), 2);
    server.clock.advance(SignedDuration::from_secs(1));
    assert!(is_dead(&server, &idle).await);
    assert_eq!(listed(&server, &busy.access).await, [busy.session()]);
    assert_eq!(
        end(&server, &busy.access, &idle.session()).await.0,
        204,
        "it is on the list of the revoked then"
    );
    assert!(!is_dead(&server, &busy).await);
}

#[rstest]
#[tokio::test]
async fn of_too_many_sessions_the_one_that_was_refreshed_the_longest_ago_ends(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("MAX_SESSIONS_PER_USER", "3")]).await;
    let his = server.register("boris").await;
    let mut sessions = vec![server.register("anna").await];
    for _ in 0..2 {
        server.clock.advance(SignedDuration::from_secs(60));
        sessions.push(server.log_in_again("anna").await);
    }
    server.clock.advance(SignedDuration::from_secs(60));
    sessions[0] = Tokens::from(server.refresh(&sessions[0].refresh).await).await;
    let newest = server.log_in_again("anna").await;
    assert!(is_dead(&server, &sessions[1]).await);
    let alive = listed(&server, &newest.access).await;
    assert_eq!(alive.len(), 3);
    for stays in [&sessions[0], &sessions[2], &newest] {
        assert!(alive.contains(&stays.session()));
    }
    assert!(!is_dead(&server, &his).await);
    let recorded = "select count(*) from audit_events where action = 'session_evicted'";
    assert_eq!(server.query::<i64>(recorded), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_at_once_leave_no_more_sessions_than_there_may_be(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let settings = [("MAX_SESSIONS_PER_USER", "3"), ("HASH_DEADLINE", "20")];
    let server = Arc::new(Server::start_with(on, &settings).await);
    server.register("anna").await;
    server.clock.advance(SignedDuration::from_secs(1));
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let server = server.clone();
        logins.spawn(async move {
            let tokens = server.log_in_again("anna").await;
            let alive = "select count(*) from sessions where revoked_at is null";
            assert!(server.query::<i64>(alive) <= 3);
            tokens
        });
    }
    let mut alive = 0;
    for tokens in logins.join_all().await {
        alive += i32::from(server.status_of_me(&tokens.access).await == 200);
    }
    assert_eq!(alive, 3);
    assert_eq!(server.query::<i64>("select count(*) from sessions where revoked_why = 'evicted'"), 14);
}

#[tokio::test]
async fn without_an_access_token_there_is_no_caller() {
    let server = Server::start(On::Sqlite).await;
    let tokens = server.register("anna").await;
    let session = format!("{SESSIONS}/{}", tokens.session());
    let basic = format!("Basic {}", tokens.access);
    let (bearer, none) = (format!("Bearer {}", tokens.access), Vec::new());
    for headers in [
        none,
        vec![""],
        vec!["Bearer"],
        vec!["Bearer "],
        vec![tokens.access.as_str()],
        vec![basic.as_str()],
        vec!["Digest username=\"anna\""],
        vec![bearer.as_str(), bearer.as_str()],
        vec![basic.as_str(), bearer.as_str()],
    ] {
        for (method, path) in [
            (Method::GET, SESSIONS),
            (Method::DELETE, session.as_str()),
            (Method::GET, "/api/v1/auth/me"),
            (Method::PATCH, "/api/v1/auth/me"),
            (Method::DELETE, "/api/v1/auth/me"),
            (Method::POST, "/api/v1/auth/password/change"),
            (Method::POST, "/api/v1/auth/logout/all"),
        ] {
            let mut request = server.http.request(method.clone(), server.url(path));
            for value in &headers {
                request = request.header("authorization", *value);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{method} {path} {headers:?}");
            let expected = (401, json!({ "detail": "Not authenticated" }));
            assert_eq!(refusal(answer).await, expected, "{method} {path} {headers:?}");
        }
    }
    for good in [bearer.clone(), bearer.replacen("Bearer", "bearer", 1), bearer.replacen(' ', "   ", 1)] {
        let request = server.http.get(server.url(SESSIONS)).header("authorization", good);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }
}
