//! What services are told of access tokens (RFC 7662), through HTTP.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::SignedDuration;
use ostiary_core::{
    audit::{Actor, AuditAction, AuditEvent, Client},
    service::ServiceName,
};
use reqwest::{RequestBuilder, Response};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, claims, refusal};

const INTROSPECT: &str = "/api/v1/auth/introspect";

/// A form, and perhaps a header of a client that says who it is.
async fn ask(server: &Server, authorization: Option<&str>, parameters: &[(&str, &str)]) -> Response {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = form(server, body);
    let request = match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    };
    request.send().await.unwrap()
}

fn form(server: &Server, body: String) -> RequestBuilder {
    let request = server.http.post(server.url(INTROSPECT));
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

fn basic(name: &str, credential: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{credential}")))
}

#[rstest]
#[tokio::test]
async fn a_good_token_is_active_with_all_that_it_says(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let token = server.register("anna").await.access;
    let mut expected = claims(&token);
    expected.insert("active".to_owned(), json!(true));
    expected.insert("token_type".to_owned(), json!("Bearer"));
    assert_eq!(server.introspect(&credential, &token).await, Value::from(expected));
}

#[rstest]
#[tokio::test]
async fn a_service_may_say_who_it_is_in_three_ways(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let token = server.register("anna").await.access;
    let asked = ("token", token.as_str());
    let bearer = format!("Bearer {credential}");
    let secret = ("client_secret", credential.as_str());
    for (authorization, parameters) in [
        (Some(basic("billing", &credential)), vec![asked]),
        (Some(bearer.clone()), vec![asked]),
        (Some(bearer.replacen("Bearer", "BEARER", 1)), vec![asked]),
        (None, vec![asked, secret]),
        (None, vec![("client_id", "billing"), asked, secret]),
        (Some(bearer), vec![("token_type_hint", "refresh_token"), asked, ("unheard-of", "x")]),
    ] {
        let answer = ask(&server, authorization.as_deref(), &parameters).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.unwrap()["active"], true);
    }
}

#[rstest]
#[tokio::test]
async fn nobody_else_is_told_anything(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let tokens = server.register("anna").await;
    let asked = ("token", tokens.access.as_str());
    let ostiary = &server.app.ostiary;
    let name = ServiceName::parse("billing").unwrap();
    let (id, revoked) = server.credential_of(name).await;
    assert_eq!(server.introspect(&revoked, &tokens.access).await["active"], true);
    let action = AuditAction::ServiceCredentialRevoked;
    let event = AuditEvent::new(action, Actor::Operator, &Client::default(), ostiary.clock.now());
    assert!(ostiary.store.revoke_service_credential(id, event).await.unwrap());
    let wrong = format!("{}{}", &credential[..67], if credential.ends_with('A') { "Q" } else { "A" });
    let bearer = |text: &str| Some(format!("Bearer {text}"));
    for (authorization, parameters) in [
        (None, vec![asked]),
        (bearer(&tokens.access), vec![asked]),
        (bearer(&tokens.refresh), vec![asked]),
        (bearer(&wrong), vec![asked]),
        (bearer(&revoked), vec![asked]),
        (bearer("osc_"), vec![asked]),
        (bearer(&format!("{credential} x")), vec![asked]),
        (Some(basic("shipping", &credential)), vec![asked]),
        (Some(basic("", &credential)), vec![asked]),
        (Some(basic("billing", &wrong)), vec![asked]),
        (Some(basic("billing", "")), vec![asked]),
        (Some(format!("Basic {}", BASE64_STANDARD.encode(&credential))), vec![asked]),
        (Some(format!("Basic {credential}")), vec![asked]),
        (Some(format!("Digest {credential}")), vec![asked]),
        (None, vec![asked, ("client_secret", wrong.as_str())]),
        (None, vec![asked, ("client_secret", revoked.as_str())]),
        (None, vec![asked, ("client_id", "shipping"), ("client_secret", credential.as_str())]),
        (bearer(&wrong), vec![asked, ("client_secret", credential.as_str())]),
        (None, vec![]),
    ] {
        let answer = ask(&server, authorization.as_deref(), &parameters).await;
        assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"ostiary\"");
        let (status, body) = refusal(answer).await;
        assert_eq!(
            (status, &body["error"]),
            (401, &json!("invalid_client")),
            "{authorization:?} {parameters:?}"
        );
    }
    assert_eq!(server.introspect(&credential, &tokens.access).await["active"], true);
}

#[tokio::test]
async fn a_request_that_is_no_form_or_has_no_token_is_refused() {
    let server = Server::start(On::Sqlite).await;
    let credential = server.service_credential().await;
    let token = server.register("anna").await.access;
    for body in [
        String::new(),
        "token=".to_owned(),
        "token_type_hint=access_token".to_owned(),
        format!("Token={token}"),
        format!("token={token}&token={token}"),
        format!("token={token}&%74oken=other"),
        format!("token={token}&client_id=a&client_id=b"),
        format!("token={token}%"),
        format!("token={token} "),
        format!("token={token}%00"),
    ] {
        let answer = form(&server, body.clone()).bearer_auth(&credential).send().await.unwrap();
        let (status, answer) = refusal(answer).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")), "{body}");
        assert!(!answer.to_string().contains(&token));
    }
    let request = server.http.post(server.url(INTROSPECT)).bearer_auth(&credential);
    let answer = request.json(&json!({ "token": token })).send().await.unwrap();
    assert_eq!(refusal(answer).await.0, 400, "JSON is no form");
    let query = format!("{INTROSPECT}?token={token}");
    assert_eq!(
        server.http.get(server.url(&query)).bearer_auth(&credential).send().await.unwrap().status(),
        405
    );
}

#[rstest]
#[tokio::test]
async fn what_is_no_access_token_is_not_active(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let credential = server.service_credential().await;
    let tokens = server.register("anna").await;
    for token in [&tokens.refresh, &credential, &tokens.session(), "garbage", "\u{430}", &"x".repeat(20_000)]
    {
        assert_eq!(server.introspect(&credential, token).await, json!({ "active": false }));
    }
    // To be asked about is not to be used.
    Tokens::from(server.refresh(&tokens.refresh).await).await;
}

/// As soon as a logout was answered, on whichever node.
#[rstest]
#[tokio::test]
async fn the_token_of_a_session_that_was_ended_is_not_active_on_any_node(
    #[values(On::Postgres, On::PgBouncer)] on: On,
) {
    let first = Server::start(on).await;
    let second = Server::start_in(first.place.clone(), &[]).await;
    let credential = first.service_credential().await;
    for round in 0..20 {
        let tokens = if round == 0 { first.register("anna").await } else { first.log_in_again("anna").await };
        assert_eq!(second.introspect(&credential, &tokens.access).await["active"], true);
        let body = json!({ "refresh_token": tokens.refresh });
        assert_eq!(first.post("/api/v1/auth/logout", &body).await.status(), 204);
        // What this one was told before the logout is over by then.
        second.clock.advance(SignedDuration::from_millis(500));
        assert_eq!(second.introspect(&credential, &tokens.access).await, json!({ "active": false }));
        assert_eq!(second.status_of_me(&tokens.access).await, 401);
        assert_eq!(first.introspect(&credential, &tokens.access).await, json!({ "active": false }));
    }
}
