//! What access tokens say.

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, claims, registration};

#[rstest]
#[tokio::test]
async fn a_token_says_no_more_than_it_has_to(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let tokens = server.register("anna").await;
    let names = |token: &str| claims(token).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let expected = ["sub", "exp", "iat", "jti", "sid", "auth_time", "amr"];
    assert_eq!(names(&tokens.access), expected);
    let next = Tokens::from(server.refresh(&tokens.refresh).await).await;
    assert_eq!(names(&next.access), expected);
    let logged_in = server.log_in_again("anna").await;
    assert_eq!(names(&logged_in.access), expected);
    assert_eq!([next.claim("sub"), logged_in.claim("sub")], [tokens.claim("sub"), tokens.claim("sub")]);
    assert_eq!(next.claim("sid"), tokens.claim("sid"));
    assert_ne!(next.claim("jti"), tokens.claim("jti"));
    assert_ne!(logged_in.claim("sid"), tokens.claim("sid"));
}

#[rstest]
#[tokio::test]
async fn the_time_of_the_login_stays_and_that_of_the_token_moves(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let mut tokens = server.register("anna").await;
    let login = tokens.claim("iat").as_i64().unwrap();
    for minutes in 0..3 {
        let now = login + minutes * 60;
        assert_eq!(tokens.claim("auth_time"), json!(login));
        assert_eq!([tokens.claim("iat"), tokens.claim("exp")], [json!(now), json!(now + 30 * 60)]);
        assert_eq!(tokens.claim("amr"), json!(["pwd"]));
        server.clock.advance(SignedDuration::from_secs(60));
        tokens = Tokens::from(server.refresh(&tokens.refresh).await).await;
    }
    let again = server.log_in_again("anna").await;
    assert_eq!(again.claim("auth_time"), json!(login + 180));
}

#[rstest]
#[tokio::test]
async fn a_token_names_its_issuer_and_its_audience_if_they_are_set(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let settings = [("PUBLIC_URL", "https://auth.example.com"), ("JWT_AUDIENCE", "shop")];
    let server = Server::start_with(on, &settings).await;
    let tokens = server.register("anna").await;
    let next = Tokens::from(server.refresh(&tokens.refresh).await).await;
    for tokens in [&tokens, &next, &server.log_in_again("anna").await] {
        assert_eq!(tokens.claim("iss"), "https://auth.example.com");
        assert_eq!(tokens.claim("aud"), "shop");
        assert_eq!(tokens.claim("groups"), Value::Null);
        assert_eq!(server.status_of_me(&tokens.access).await, 200);
    }
}

/// The tokens that are about when the settings change serve until they expire, or are of somebody else now.
#[tokio::test]
async fn tokens_of_before_a_setting_stay_good_and_those_of_another_audience_do_not() {
    let server = Server::start(On::Sqlite).await;
    let plain = server.register("anna").await.access;
    let (_, place) = server.stop().await;
    let server = Server::start_in(place, &[("JWT_AUDIENCE", "shop")]).await;
    assert_eq!(server.status_of_me(&plain).await, 200);
    let shops = server.log_in_again("anna").await.access;
    let (_, place) = server.stop().await;
    let server = Server::start_in(place, &[("JWT_AUDIENCE", "bank")]).await;
    assert_eq!([server.status_of_me(&plain).await, server.status_of_me(&shops).await], [200, 401]);
}

/// They are read when a token is made, so that a change is in the next one.
#[rstest]
#[tokio::test]
async fn a_token_names_the_groups_of_its_user_if_they_are_asked_for(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("ACCESS_TOKEN_GROUPS", "true")]).await;
    let mut body = registration("anna");
    body["group_names"] = json!(["customer", "courier"]);
    let tokens = Tokens::from(server.post("/api/v1/auth/register", &body).await).await;
    let groups = |tokens: &Tokens| {
        let mut names: Vec<String> = serde_json::from_value(tokens.claim("groups")).unwrap();
        names.sort_unstable();
        names
    };
    assert_eq!(groups(&tokens), ["courier", "customer"]);
    server.execute("delete from memberships where group_name = 'courier'");
    let next = Tokens::from(server.refresh(&tokens.refresh).await).await;
    assert_eq!(groups(&next), ["customer"]);
    server.execute("delete from memberships");
    let none = server.log_in_again("anna").await;
    assert_eq!(none.claim("groups"), json!([]));
    assert_eq!(server.status_of_me(&none.access).await, 200);
}
