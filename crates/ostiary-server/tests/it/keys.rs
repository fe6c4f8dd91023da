//! Signing keys: how they come and go.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use jsonwebtoken::Algorithm;
use rstest::rstest;
use serde_json::Value;

use crate::support::{On, Server, Tokens};

/// No shared secret: key pairs sign.
pub(crate) const KEY_PAIRS: &[(&str, &str)] =
    &[("JWT_SECRET_KEY", ""), ("SECRET_KEY", "one secret for all of the nodes there are")];

async fn key_ids(server: &Server) -> Vec<String> {
    let set: Value = server.get("/.well-known/jwks.json").await.json().await.unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn published_algorithms(server: &Server) -> Vec<String> {
    let set: Value = server.get("/.well-known/jwks.json").await.json().await.unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect()
}

fn key_of(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

async fn me(server: &Server, token: &str) -> u16 {
    let request = server.http.get(server.url("/api/v1/auth/me")).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

/// Waits for what the jobs of a node do, for as long as they may take to follow a change.
async fn within_five_seconds(mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(5), "it was not followed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    start.elapsed()
}

#[rstest]
#[tokio::test]
async fn a_key_is_published_before_it_signs_and_trusted_until_its_last_token_has_expired(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, KEY_PAIRS).await;
    let first = server.register("anna").await;
    let old_key = key_of(&first.access);
    let ostiary = &server.app.ostiary;
    let next = ostiary.keys.rotate(&*ostiary.store, false, ostiary.clock.now()).await.unwrap();
    let next_key = next.id.as_str().to_owned();
    assert_eq!(key_ids(&server).await, [old_key.clone(), next_key.clone()], "published at once");
    // 300 s of `max-age`, and 10 s for the nodes to follow.
    server.clock.advance(SignedDuration::from_secs(309));
    let second = Tokens::from(server.refresh(&first.refresh).await).await;
    assert_eq!(key_of(&second.access), old_key, "not yet");
    server.clock.advance(SignedDuration::from_secs(1));
    let third = Tokens::from(server.refresh(&second.refresh).await).await;
    assert_eq!(key_of(&third.access), next_key);
    server.clock.advance(SignedDuration::from_secs(29 * 60));
    assert_eq!(me(&server, &second.access).await, 200, "a token of the former key is good until it expires");
    server.clock.advance(SignedDuration::from_hours(3));
    // Signing extends the trust in the key that does.
    let fourth = Tokens::from(server.refresh(&third.refresh).await).await;
    assert_eq!(me(&server, &fourth.access).await, 200);
    assert_eq!(key_ids(&server).await, [next_key], "the former key has gone");
}

#[tokio::test]
async fn nodes_follow_a_rotation_and_a_withdrawal_within_five_seconds() {
    let first = Server::start_with(On::Postgres, KEY_PAIRS).await;
    let second = Server::start_in(first.place.clone(), KEY_PAIRS).await;
    let token = first.register("anna").await;
    let old_key = key_of(&token.access);
    let ostiary = &first.app.ostiary;
    let next = ostiary.keys.rotate(&*ostiary.store, true, ostiary.clock.now()).await.unwrap();
    let next_key = next.id.as_str().to_owned();
    let took = within_five_seconds(async || key_ids(&second).await.contains(&next_key)).await;
    println!("a rotation was followed after {} ms", took.as_millis());
    let refreshed = Tokens::from(second.refresh(&token.refresh).await).await;
    assert_eq!(key_of(&refreshed.access), next_key);
    assert_eq!(me(&second, &token.access).await, 200);
    let old_id = ostiary_core::keys::KeyId::from_stored(old_key.clone());
    assert!(ostiary_core::keys::Keys::retire(&*ostiary.store, &old_id, ostiary.clock.now()).await.unwrap());
    for node in [&first, &second] {
        within_five_seconds(async || me(node, &token.access).await == 401).await;
        assert!(!key_ids(node).await.contains(&old_key));
    }
    assert_eq!(me(&first, &refreshed.access).await, 200);
}

/// A verifier that asks while nobody has logged in for long still gets the key that the next token is signed by.
#[rstest]
#[tokio::test]
async fn the_key_that_signs_stays_published_when_nobody_logs_in(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, KEY_PAIRS).await;
    let keys = key_ids(&server).await;
    server.clock.advance(SignedDuration::from_hours(24 * 20));
    assert_eq!(key_ids(&server).await, keys);
    let token = server.register("anna").await;
    assert_eq!((key_of(&token.access), me(&server, &token.access).await), (keys[0].clone(), 200));
}

/// What a refresh spends is spent for tokens that can be signed: a client that is refused keeps its session.
#[rstest]
#[tokio::test]
async fn a_refresh_that_cannot_sign_spends_nothing(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, KEY_PAIRS).await;
    let token = server.register("anna").await.refresh;
    server.execute("alter table signing_keys rename to hidden_signing_keys");
    // By now the trust in the key has to be extended before it signs.
    server.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(server.refresh(&token).await.status(), 500);
    assert_eq!(server.login("anna", "correct horse").await.status(), 500);
    assert_eq!(server.query::<i64>("select generation from sessions"), 0);
    assert_eq!(server.query::<i64>("select count(*) from sessions"), 1);
    server.execute("alter table hidden_signing_keys rename to signing_keys");
    server.clock.advance(SignedDuration::from_secs(60));
    Tokens::from(server.refresh(&token).await).await;
}

/// To another algorithm and, long after, back: the key of before is unknown to the verifiers again.
#[rstest]
#[tokio::test]
async fn a_key_that_was_forgotten_is_published_before_it_signs_again(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let with = |algorithm| [KEY_PAIRS, &[("JWT_ALGORITHM", algorithm)]].concat();
    let server = Server::start_with(on, &with("EdDSA")).await;
    let mut tokens = server.register("anna").await;
    let (_, place) = server.stop().await;
    let mut hours = 0;
    let mut place = Some(place);
    for (algorithm, before) in [("ES256", "EdDSA"), ("EdDSA", "ES256")] {
        let server = Server::start_in(place.take().unwrap(), &with(algorithm)).await;
        server.clock.advance(SignedDuration::from_hours(hours));
        tokens = Tokens::from(server.refresh(&tokens.refresh).await).await;
        let signed_by = format!("{:?}", jsonwebtoken::decode_header(&tokens.access).unwrap().alg);
        assert_eq!(signed_by, before, "{algorithm} is not known yet");
        within_five_seconds(async || published_algorithms(&server).await.contains(&algorithm.to_owned()))
            .await;
        server.clock.advance(SignedDuration::from_secs(310));
        tokens = Tokens::from(server.refresh(&tokens.refresh).await).await;
        assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&tokens.access).unwrap().alg), algorithm);
        assert!(key_ids(&server).await.contains(&key_of(&tokens.access)));
        // Longer than the former key is trusted.
        server.clock.advance(SignedDuration::from_hours(5));
        tokens = Tokens::from(server.refresh(&tokens.refresh).await).await;
        hours += 6;
        place = Some(server.stop().await.1);
    }
}

/// Both nodes see at the same time that the next key is due.
#[tokio::test]
async fn a_key_is_rotated_when_its_time_has_come_by_one_of_the_nodes() {
    let settings = [KEY_PAIRS, &[("KEY_ROTATION_DAYS", "1")]].concat();
    let first = Server::start_with(On::Postgres, &settings).await;
    let second = Server::start_in(first.place.clone(), &settings).await;
    assert_eq!(key_ids(&first).await.len(), 1);
    for (day, expected) in [(1, 2), (2, 3)] {
        // A minute before a day has passed the next key is to be there: it takes 310 s to be known.
        let step = SignedDuration::from_hours(24) - SignedDuration::from_secs(if day == 1 { 60 } else { 0 });
        first.clock.advance(step);
        second.clock.advance(step);
        let count = || first.query::<i64>("select count(*) from signing_keys");
        within_five_seconds(async || count() == expected).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(count(), expected, "one of the two made it");
    }
    let rotations =
        "select count(*) from audit_events where action = 'signing_key_rotated' and actor = 'ostiary'";
    assert_eq!(first.query::<i64>(rotations), 2);
}

#[rstest]
#[tokio::test]
async fn every_algorithm_signs_what_it_verifies(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("HS256", "HS384", "HS512", "EdDSA", "ES256", "RS256")] algorithm: &str,
) {
    const LONG: &str = "a shared secret that is long enough for each of the algorithms: sixty-four bytes";
    let server = Server::start_with(on, &[("JWT_SECRET_KEY", LONG), ("JWT_ALGORITHM", algorithm)]).await;
    let token = server.register("anna").await;
    let header = jsonwebtoken::decode_header(&token.access).unwrap();
    assert_eq!(format!("{:?}", header.alg), algorithm);
    assert_eq!(me(&server, &token.access).await, 200);
    let keys = key_ids(&server).await;
    assert_eq!(keys.len(), usize::from(!algorithm.starts_with("HS")), "a shared secret is never published");
    assert_eq!(header.kid, keys.first().cloned());
    // The private part is nowhere in the clear.
    let (_, place) = server.stop().await;
    assert!(!place.everything().windows(LONG.len()).any(|window| window == LONG.as_bytes()));
}

#[rstest]
#[tokio::test]
async fn a_key_set_says_how_long_it_may_be_kept_and_answers_304(#[values(On::Sqlite, On::Postgres)] on: On) {
    let settings = [KEY_PAIRS, &[("JWKS_MAX_AGE", "60")]].concat();
    let server = Server::start_with(on, &settings).await;
    let answer = server.get("/.well-known/jwks.json").await;
    assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
    let tag = answer.headers()["etag"].clone();
    let ask = async |tag: &str| {
        let request = server.http.get(server.url("/.well-known/jwks.json")).header("if-none-match", tag);
        request.send().await.unwrap()
    };
    for known in [tag.to_str().unwrap(), &format!("\"x\", W/{}", tag.to_str().unwrap()), "*"] {
        let answer = ask(known).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["etag"]), (304, &tag));
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(ask("\"another\"").await.status(), 200);
}

/// The tokens of a server of the previous release, which kept nothing of its shared secret.
#[rstest]
#[tokio::test]
async fn tokens_of_a_shared_secret_that_was_never_kept_verify_after_the_move(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    const SECRET_KEY: (&str, &str) = ("SECRET_KEY", "one secret for all of the nodes there are");
    let server = Server::start_with(on, &[SECRET_KEY]).await;
    let tokens = server.register("anna").await;
    server.execute("delete from signing_keys");
    let (_, place) = server.stop().await;
    let server = Server::start_in(place, &[SECRET_KEY, ("JWT_ALGORITHM", "EdDSA")]).await;
    assert_eq!(me(&server, &tokens.access).await, 200);
    let next = Tokens::from(server.refresh(&tokens.refresh).await).await;
    assert_eq!(jsonwebtoken::decode_header(&next.access).unwrap().alg, Algorithm::HS256, "until it is known");
    assert_eq!(key_ids(&server).await.len(), 1);
    server.clock.advance(SignedDuration::from_secs(310));
    let next = Tokens::from(server.refresh(&next.refresh).await).await;
    assert_eq!(jsonwebtoken::decode_header(&next.access).unwrap().alg, Algorithm::EdDSA);
}
