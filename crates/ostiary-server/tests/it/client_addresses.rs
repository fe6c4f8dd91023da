//! Whose address is kept with sessions and in the audit trail, behind proxies and without.

use rstest::rstest;
use serde_json::json;

use tempfile::TempDir;

use crate::support::{On, PASSWORD, Server, command};

/// Tests connect from here.
const PEER: &str = "127.0.0.1";

/// The addresses with which a login by `headers` is kept: of its session, and of its audit event.
async fn kept(server: &Server, headers: &[(&str, &str)]) -> (String, String) {
    let body = json!({ "login": "anna", "password": PASSWORD });
    let request = server.http.post(server.url("/api/v1/auth/login")).json(&body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    assert_eq!(request.send().await.unwrap().status(), 200, "no header is a reason to refuse");
    server.clock.advance(jiff::SignedDuration::from_secs(1));
    let of_session = "select cast(address as text) from sessions order by created_at desc limit 1";
    let of_event =
        "select cast(address as text) from audit_events where user_id is not null order by id desc limit 1";
    (server.query(of_session), server.query(of_event))
}

#[rstest]
#[tokio::test]
async fn sessions_and_audit_events_have_the_address_that_trusted_proxies_name(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start_with(on, &[("TRUSTED_PROXIES", "127.0.0.0/8, fd00::/8,192.0.2.7")]).await;
    server.register("anna").await;
    for (headers, expected) in [
        (&[] as &[_], PEER),
        (&[("x-forwarded-for", "203.0.113.9, 192.0.2.1, 192.0.2.7")], "192.0.2.1"),
        (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
        (&[("forwarded", "for=unknown, for=\"[2001:db8::1]:4711\";proto=https")], "2001:db8::1"),
        (&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "203.0.113.9")], PEER),
        (&[("x-forwarded-for", "192.0.2.1, unknown")], PEER),
        (&[("forwarded", "for=\"192.0.2.1")], PEER),
    ] {
        assert_eq!(kept(&server, headers).await, (expected.to_owned(), expected.to_owned()), "{headers:?}");
    }
}

#[rstest]
#[tokio::test]
async fn without_trusted_proxies_no_header_counts(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    server.register("anna").await;
    for headers in [&[("x-forwarded-for", "192.0.2.1")], &[("forwarded", "for=192.0.2.1")]] {
        assert_eq!(kept(&server, headers).await, (PEER.to_owned(), PEER.to_owned()), "{headers:?}");
    }
}

#[test]
fn a_start_with_a_proxy_that_is_none_is_refused_with_its_name() {
    let directory = TempDir::new().unwrap();
    let output =
        command(directory.path(), &[("TRUSTED_PROXIES", "10.0.0.0/8,10.1.2.3/16")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("TRUSTED_PROXIES") && text.contains("write 10.1.0.0/16 or 10.1.2.3"), "{text}");
}
