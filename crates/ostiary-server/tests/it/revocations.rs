//! The list of sessions that were ended, for services that verify access tokens by themselves.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, refusal};

const REVOCATIONS: &str = "/api/v1/auth/revocations";

async fn ask(server: &Server, credential: &str, query: &str) -> Response {
    server.request(Method::GET, &format!("{REVOCATIONS}{query}"), credential).send().await.unwrap()
}

async fn list(server: &Server, credential: &str, query: &str) -> Value {
    let answer = ask(server, credential, query).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn log_out(server: &Server, tokens: &Tokens) {
    let body = json!({ "refresh_token": tokens.refresh });
    assert_eq!(server.post("/api/v1/auth/logout", &body).await.status(), 204);
}

#[rstest]
#[tokio::test]
async fn a_session_is_on_the_list_however_it_was_ended(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("MAX_SESSIONS_PER_USER", "6")]).await;
    let credential = server.service_credential().await;
    assert_eq!(list(&server, &credential, "").await, json!({ "sessions": [], "next": null }));

    let (stays, mut ended) = (server.register("boris").await, Vec::new());
    let mut next = server.register("anna").await;
    log_out(&server, &next).await;
    ended.push(next.session());

    next = server.log_in_again("anna").await;
    let own = format!("/api/v1/auth/sessions/{}", next.session());
    server.request(Method::DELETE, &own, &next.access).send().await.unwrap();
    ended.push(next.session());

    next = server.log_in_again("anna").await;
    Tokens::from(server.refresh(&next.refresh).await).await;
    server.clock.advance(SignedDuration::from_secs(11));
    assert_eq!(server.refresh(&next.refresh).await.status(), 401);
    ended.push(next.session());

    ended.push(server.log_in_again("anna").await.session());
    next = server.log_in_again("anna").await;
    let body = json!({ "current_password": "correct horse", "new_password": "battery staple" });
    let change = server.request(Method::POST, "/api/v1/auth/password/change", &next.access).json(&body);
    assert_eq!(change.send().await.unwrap().status(), 204);
    server.request(Method::POST, "/api/v1/auth/logout/all", &next.access).send().await.unwrap();
    ended.push(next.session());

    // The seventh session takes the place of the first; the deletion ends the rest.
    for _ in 0..7 {
        next = Tokens::from(server.login("anna", "battery staple").await).await;
        server.clock.advance(SignedDuration::from_secs(1));
        ended.push(next.session());
    }
    let body = json!({ "current_password": "battery staple" });
    let deletion = server.request(Method::DELETE, "/api/v1/auth/me", &next.access).json(&body);
    assert_eq!(deletion.send().await.unwrap().status(), 204);

    let mut revoked = server.revoked(&credential).await;
    assert!(!revoked.contains(&stays.session()));
    revoked.sort_unstable();
    ended.sort_unstable();
    assert_eq!(revoked, ended);
}

/// `since` gives what is new, and perhaps some of what was there.
#[rstest]
#[tokio::test]
async fn a_service_asks_for_what_is_new(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let first = server.register("anna").await;
    let second = server.log_in_again("anna").await;
    log_out(&server, &first).await;
    let all = list(&server, &credential, "").await;
    let until = "2026-11-22T12:30:01Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let expected = json!({
        "sessions": [{ "sid": first.session(), "until": until }],
        "next": "2026-11-22T12:00:00Z",
    });
    assert_eq!(all, expected);

    server.clock.advance(SignedDuration::from_secs(60));
    log_out(&server, &second).await;
    let since = list(&server, &credential, "?since=2026-11-22T12:00:00Z").await;
    let sids = since["sessions"].as_array().unwrap().iter().map(|session| session["sid"].as_str().unwrap());
    assert!(sids.into_iter().any(|sid| sid == second.session()));
    assert_eq!(since["next"], "2026-11-22T12:01:00Z");
    let later = list(&server, &credential, "?since=2026-11-22T12:01:30Z").await;
    assert_eq!(later, json!({ "sessions": [], "next": "2026-11-22T12:01:30Z" }));
}

#[rstest]
#[tokio::test]
async fn an_entry_is_there_for_as_long_as_an_access_token_can_live(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let tokens = server.register("anna").await;
    log_out(&server, &tokens).await;
    server.clock.advance(SignedDuration::from_secs(30 * 60 - 1));
    assert_eq!(server.revoked(&credential).await, [tokens.session()]);
    server.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(server.revoked(&credential).await, Vec::<String>::new());
}

#[rstest]
#[tokio::test]
async fn a_list_that_is_known_is_not_sent_again(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let tokens = server.register("anna").await;
    let known = async |tags: &str| {
        let request = server.request(Method::GET, REVOCATIONS, &credential).header("if-none-match", tags);
        request.send().await.unwrap()
    };
    let answer = ask(&server, &credential, "").await;
    assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    for tags in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let again = known(&tags).await;
        assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag.parse().unwrap()));
        assert_eq!(again.text().await.unwrap(), "");
    }
    assert_eq!(known("\"other\"").await.status(), 200);
    log_out(&server, &tokens).await;
    let changed = known(&tag).await;
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"], tag.as_str());
}

/// A service that waits hears of a logout within a second, from whichever node.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_waits_is_told_of_a_logout_on_another_node(
    #[values(On::Postgres, On::PgBouncer)] on: On,
    #[values(true, false)] by_tag: bool,
) {
    let first = Server::start(on).await;
    let second = Server::start_in(first.place.clone(), &[]).await;
    let credential = first.service_credential().await;
    let (before, tokens) = (first.register("anna").await, first.log_in_again("anna").await);
    log_out(&first, &before).await;
    first.clock.advance(SignedDuration::from_secs(60));
    second.clock.advance(SignedDuration::from_secs(60));
    let answer = ask(&second, &credential, "").await;
    let tag = answer.headers()["etag"].clone();
    let next = answer.json::<Value>().await.unwrap()["next"].as_str().unwrap().to_owned();
    let request = if by_tag {
        second
            .request(Method::GET, &format!("{REVOCATIONS}?wait=20"), &credential)
            .header("if-none-match", tag)
    } else {
        second.request(Method::GET, &format!("{REVOCATIONS}?wait=20&since={next}"), &credential)
    };
    let waiting = tokio::spawn(async move {
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        (list, Instant::now())
    });
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!waiting.is_finished(), "there is nothing new");
    log_out(&first, &tokens).await;
    let ended = Instant::now();
    let (list, heard) = waiting.await.unwrap();
    let took = heard.saturating_duration_since(ended);
    println!("heard of a logout on another node after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(list.to_string().contains(&tokens.session()));
}

#[rstest]
#[tokio::test]
async fn a_wait_ends(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let tokens = server.register("anna").await;
    let begin = Instant::now();
    let empty = list(&server, &credential, "?wait=2").await;
    assert_eq!(empty, json!({ "sessions": [], "next": null }));
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&begin.elapsed()));

    log_out(&server, &tokens).await;
    let tag = ask(&server, &credential, "").await.headers()["etag"].clone();
    let request = server.request(Method::GET, &format!("{REVOCATIONS}?wait=1"), &credential);
    assert_eq!(request.header("if-none-match", tag).send().await.unwrap().status(), 304);
    // Whoever knows nothing yet does not wait for what is there.
    let begin = Instant::now();
    assert_eq!(list(&server, &credential, "?wait=25").await["sessions"].as_array().unwrap().len(), 1);
    assert!(begin.elapsed() < Duration::from_secs(1));
}

/// A service that waits does not hold up the end of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_the_waits() {
    let server = Server::start(On::Sqlite).await;
    let credential = server.service_credential().await;
    let request = server.request(Method::GET, &format!("{REVOCATIONS}?wait=25"), &credential);
    let waiting = tokio::spawn(async move { request.send().await.unwrap().status().as_u16() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begin = Instant::now();
    assert!(server.stop().await.0, "all requests finish");
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn only_services_see_the_list() {
    let server = Server::start(On::Sqlite).await;
    let credential = server.service_credential().await;
    let tokens = server.register("anna").await;
    let challenge = "Basic realm=\"ostiary\"";
    let none = server.get(REVOCATIONS).await;
    assert_eq!(none.headers()["www-authenticate"], challenge);
    assert_eq!(refusal(none).await, (401, json!({ "detail": "Not authenticated" })));
    for wrong in [&tokens.access, &tokens.refresh, &credential[..67], "osc_"] {
        let answer = ask(&server, wrong, "").await;
        assert_eq!(answer.headers()["www-authenticate"], challenge);
        assert_eq!(refusal(answer).await, (401, json!({ "detail": "Could not validate credentials" })));
    }
    let request = server.http.get(server.url(REVOCATIONS));
    assert_eq!(request.basic_auth("billing", Some(&credential)).send().await.unwrap().status(), 200);
    let request = server.http.get(server.url(REVOCATIONS));
    assert_eq!(request.basic_auth("shipping", Some(&credential)).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused() {
    let server = Server::start(On::Sqlite).await;
    let credential = server.service_credential().await;
    for (query, place) in [
        ("?since=", json!(["query", "since"])),
        ("?since=yesterday", json!(["query", "since"])),
        ("?since=1795348800", json!(["query", "since"])),
        ("?since=2026-11-22T12:00:00", json!(["query", "since"])),
        ("?since=2026-13-22T12:00:00Z", json!(["query", "since"])),
        ("?wait=", json!(["query", "wait"])),
        ("?wait=-1", json!(["query", "wait"])),
        ("?wait=1.5", json!(["query", "wait"])),
        ("?wait=soon", json!(["query", "wait"])),
        ("?wait=99999999999999999999", json!(["query", "wait"])),
        ("?sincé=x", json!(["query"])),
        ("?limit=1", json!(["query"])),
        ("?wait=0&wait=1", json!(["query"])),
    ] {
        let (status, body) = refusal(ask(&server, &credential, query).await).await;
        assert_eq!((status, &body["detail"][0]["loc"]), (422, &place), "{query}");
    }
    let (_, both) = refusal(ask(&server, &credential, "?since=x&wait=y").await).await;
    assert_eq!(both["detail"].as_array().unwrap().len(), 2, "all of it at once");
    assert_eq!(ask(&server, &credential, "?wait=0&since=2026-11-22T12:00:00%2B03:00").await.status(), 200);
}
