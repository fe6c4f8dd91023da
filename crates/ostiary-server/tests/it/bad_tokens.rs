//! Access tokens that are not to be accepted, by any endpoint. Each setting is one in which the token that they
//! are made of is accepted, and would be accepted whatever else it said.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use ostiary_core::keys::Keys;
use reqwest::{Method, header::HeaderValue};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, refusal};

mod claims;
mod forger;
mod headers;
mod key_pairs;
mod shapes;
mod signatures;

use forger::{Forgery, Genuine};
use key_pairs::Published;

/// What the corpus has at least.
const LEAST: usize = 120;

/// How many tokens of each class were shown, and which were answered as none of them is to be.
#[derive(Default)]
struct Corpus {
    shown: BTreeMap<String, usize>,
    mistakes: Vec<String>,
}

impl Corpus {
    async fn show(&mut self, judge: &Judge<'_>, class: impl Into<String>, forgeries: Vec<Forgery>) {
        let class = class.into();
        for Forgery { name, token } in &forgeries {
            let mistakes = judge.mistakes(token).await;
            self.mistakes.extend(mistakes.into_iter().map(|answer| format!("{class}: {name}: {answer}")));
        }
        *self.shown.entry(class).or_default() += forgeries.len();
    }
}

/// A server that is asked about tokens, in both ways.
struct Judge<'a> {
    server: &'a Server,
    credential: String,
}

impl<'a> Judge<'a> {
    async fn of(server: &'a Server) -> Self {
        Self { server, credential: server.service_credential().await }
    }

    async fn accepts(&self, token: &str) {
        assert_eq!(self.server.status_of_me(token).await, 200);
        assert_eq!(self.server.introspect(&self.credential, token).await["active"], true);
    }

    async fn refuses(&self, token: &str) {
        assert_eq!(self.mistakes(token).await, Vec::<String>::new());
    }

    /// The answers that are not those which every bad token gets.
    async fn mistakes(&self, token: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        // Other characters than those of plain ASCII cannot stand in the header.
        if let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}"))
            && token.is_ascii()
        {
            let url = self.server.url("/api/v1/auth/me");
            let answer = self.server.http.get(url).header("authorization", value).send().await.unwrap();
            let challenge = answer.headers().get("www-authenticate").cloned();
            let (status, body) = refusal(answer).await;
            let is_right = status == 401 && body == json!({ "detail": "Could not validate credentials" });
            if !is_right || challenge.is_none_or(|challenge| challenge != "Bearer") {
                mistakes.push(format!("{status} {body}"));
            }
        }
        let answer = self.server.introspection(&self.credential, token).send().await.unwrap();
        let (status, body) = refusal(answer).await;
        // No parameter of OAuth has control characters, but for the tab.
        let is_parameter = !token.replace('\t', "").contains(|character: char| character.is_ascii_control());
        let is_right = if is_parameter {
            status == 200 && body == json!({ "active": false })
        } else {
            status == 400 && body["error"] == "invalid_request"
        };
        if !is_right {
            mistakes.push(format!("{status} {body}"));
        }
        mistakes
    }
}

#[tokio::test]
async fn no_bad_token_is_accepted() {
    let mut corpus = Corpus::default();
    Box::pin(tokens_of_a_shared_secret(&mut corpus)).await;
    Box::pin(tokens_for_a_certain_audience(&mut corpus)).await;
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        Box::pin(tokens_of_a_key_pair(&mut corpus, algorithm)).await;
    }
    for (class, count) in &corpus.shown {
        println!("{count:4} {class}");
    }
    let total: usize = corpus.shown.values().sum();
    println!("{total:4} in all");
    assert!(total >= LEAST);
    assert!(corpus.mistakes.is_empty(), "{:#?}", corpus.mistakes);
}

async fn tokens_of_a_shared_secret(corpus: &mut Corpus) {
    let server = Server::start(On::Sqlite).await;
    let judge = Judge::of(&server).await;
    let genuine = Genuine::new(&server.register("anna").await.access);
    let other = Genuine::new(&server.register("boris").await.access);
    judge.accepts(&genuine.token).await;
    judge.accepts(&other.token).await;
    // What is rightly signed is accepted, whatever a later version adds to it and in whatever order.
    judge.accepts(&genuine.under(forger::good_header().to_string())).await;
    judge.accepts(&genuine.under(r#"{ "alg": "HS256", "typ": "JWT" }"#)).await;
    judge.accepts(&genuine.with("of a later version", json!({ "deep": [1, "a", null] }))).await;
    judge.accepts(&genuine.with("exp", json!(genuine.number("iat") + 1))).await;
    judge.accepts(&genuine.with("iat", json!(genuine.number("iat") + 60))).await;
    judge.accepts(&genuine.with("nbf", json!(genuine.number("iat") + 60))).await;
    judge.accepts(&genuine.with("padding", json!("x".repeat(5_000)))).await;

    corpus.show(&judge, "algorithm", headers::algorithms(&genuine)).await;
    corpus.show(&judge, "key", headers::keys(&genuine)).await;
    corpus.show(&judge, "header", headers::others(&genuine)).await;
    corpus.show(&judge, "time", claims::times(&genuine)).await;
    corpus.show(&judge, "bearer", claims::bearers(&genuine, &other)).await;
    corpus.show(&judge, "issuer and audience", claims::strangers(&genuine)).await;
    corpus.show(&judge, "claims", claims::texts(&genuine, &other)).await;
    corpus.show(&judge, "signature", signatures::wrong(&genuine, &other)).await;
    corpus.show(&judge, "spelling", signatures::respelt(&genuine)).await;
    corpus.show(&judge, "spelling", signatures::in_the_other_alphabet(&genuine)).await;
    corpus.show(&judge, "shape", shapes::shapes(&genuine)).await;
    judge.accepts(&genuine.token).await;
}

async fn tokens_for_a_certain_audience(corpus: &mut Corpus) {
    let settings = [("PUBLIC_URL", "https://auth.example.com"), ("JWT_AUDIENCE", "shop")];
    let server = Server::start_with(On::Sqlite, &settings).await;
    let judge = Judge::of(&server).await;
    let genuine = Genuine::new(&server.register("anna").await.access);
    judge.accepts(&genuine.token).await;
    judge.accepts(&genuine.with("aud", json!(["bank", "shop"]))).await;
    corpus.show(&judge, "issuer and audience", claims::other_parties(&genuine)).await;
    judge.accepts(&genuine.token).await;
}

/// On a server that has signed by a shared secret before, whose tokens are good still.
async fn tokens_of_a_key_pair(corpus: &mut Corpus, algorithm: &'static str) {
    let server = Server::start(On::Sqlite).await;
    let old = Genuine::new(&server.register("anna").await.access);
    let (_, place) = server.stop().await;
    let server = Server::start_in(place, &[("JWT_ALGORITHM", algorithm)]).await;
    let judge = Judge::of(&server).await;
    // The key is published for a while before it signs.
    server.clock.advance(SignedDuration::from_mins(10));
    let genuine = Genuine::new(&server.log_in_again("anna").await.access);
    let other = Genuine::new(&server.register("boris").await.access);
    for good in [&old, &genuine, &other] {
        judge.accepts(&good.token).await;
    }
    let set = server.get("/.well-known/jwks.json").await.text().await.unwrap();
    let key = serde_json::from_str::<Value>(&set).unwrap()["keys"][0].take();
    let published = Published { algorithm, set, key };
    assert_eq!(genuine.parts()[0], forger::part(published.header().to_string()));

    let class = |what: &str| format!("{algorithm}: {what}");
    corpus.show(&judge, class("confusion"), key_pairs::confusions(&genuine, &published)).await;
    corpus.show(&judge, class("header"), key_pairs::headers(&genuine, &published)).await;
    corpus.show(&judge, class("forger's key"), key_pairs::own_keys(&genuine, &published)).await;
    let signatures = key_pairs::signatures(&genuine, &other, algorithm);
    corpus.show(&judge, class("signature"), signatures).await;
    judge.accepts(&old.token).await;
    judge.accepts(&genuine.token).await;
}

/// A token that was good, and is good no more: with its time, its key, its session or its user.
#[rstest]
#[tokio::test]
async fn a_token_of_a_retired_key_is_not_accepted(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
    #[values("EdDSA", "ES256", "RS256")] algorithm: &str,
) {
    let server = Server::start_with(on, &[("JWT_SECRET_KEY", ""), ("JWT_ALGORITHM", algorithm)]).await;
    let judge = Judge::of(&server).await;
    let tokens = server.register("anna").await;
    let ostiary = &server.app.ostiary;
    let (store, now) = (&*ostiary.store, ostiary.clock.now());
    let first = store.signing_keys().await.unwrap().remove(0);
    ostiary.keys.rotate(store, true, now).await.unwrap();
    let next = Tokens::from(server.refresh(&tokens.refresh).await).await;
    assert_ne!(next.access.split('.').next(), tokens.access.split('.').next(), "another key has signed it");
    judge.accepts(&tokens.access).await;

    assert!(Keys::retire(store, &first.id, now).await.unwrap());
    ostiary.keys.follow(store, now).await.unwrap();
    judge.refuses(&tokens.access).await;
    judge.accepts(&next.access).await;
}

#[rstest]
#[tokio::test]
async fn a_token_is_not_accepted_after_its_time(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start_with(on, &[("ACCESS_TOKEN_EXPIRE_MINUTES", "30")]).await;
    let judge = Judge::of(&server).await;
    let token = server.register("anna").await.access;
    server.clock.advance(SignedDuration::from_secs(30 * 60 - 1));
    judge.accepts(&token).await;
    server.clock.advance(SignedDuration::from_secs(1));
    judge.refuses(&token).await;
}

#[rstest]
#[tokio::test]
async fn a_token_is_not_accepted_after_the_end_of_its_session(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
    #[values(("REFRESH_TOKEN_EXPIRE_DAYS", "1"), ("SESSION_IDLE_MINUTES", "1440"))] end: (&str, &str),
) {
    let server = Server::start_with(on, &[end, ("ACCESS_TOKEN_EXPIRE_MINUTES", "10000")]).await;
    let judge = Judge::of(&server).await;
    let token = server.register("anna").await.access;
    server.clock.advance(SignedDuration::from_secs(24 * 60 * 60 - 1));
    judge.accepts(&token).await;
    server.clock.advance(SignedDuration::from_secs(1));
    judge.refuses(&token).await;
}

#[rstest]
#[tokio::test]
async fn a_token_is_not_accepted_once_its_session_or_user_is_gone(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let judge = Judge::of(&server).await;
    let stays = server.register("boris").await.access;

    let tokens = server.register("anna").await;
    judge.accepts(&tokens.access).await;
    let body = json!({ "refresh_token": tokens.refresh });
    assert_eq!(server.post("/api/v1/auth/logout", &body).await.status(), 204);
    judge.refuses(&tokens.access).await;

    let token = server.log_in_again("anna").await.access;
    judge.accepts(&token).await;
    server.execute(
        "update users set active = false where id in (select user_id from contacts where value = 'anna')",
    );
    // What the database said is over by then.
    server.clock.advance(SignedDuration::from_secs(1));
    judge.refuses(&token).await;
    server.execute("update users set active = true");
    judge.accepts(&token).await;

    let body = json!({ "current_password": "correct horse" });
    let request = server.request(Method::DELETE, "/api/v1/auth/me", &token).json(&body);
    assert_eq!(request.send().await.unwrap().status(), 204);
    judge.refuses(&token).await;
    judge.accepts(&stays).await;
}
