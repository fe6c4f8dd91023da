//! Refreshing through HTTP: races, retries, theft, restarts.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::json;

use crate::support::{On, Server, Tokens, refusal};

#[rstest]
#[tokio::test]
async fn each_refresh_gives_the_next_token(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let mut tokens = server.register("anna").await;
    for _ in 0..5 {
        let next = Tokens::from(server.refresh(&tokens.refresh).await).await;
        assert_ne!(next.refresh, tokens.refresh);
        assert_ne!(next.access, tokens.access);
        tokens = next;
    }
}

/// 64 clients with one token, 50 rounds: one rotation, and every answer carries the same successor.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_refreshes_with_one_token_at_once_all_get_the_same_successor(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = std::sync::Arc::new(Server::start(on).await);
    let mut token = server.register("anna").await.refresh;
    for round in 1..=50 {
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (server, token) = (server.clone(), token.clone());
            racers.spawn(async move { Tokens::from(server.refresh(&token).await).await.refresh });
        }
        let mut successors = racers.join_all().await;
        assert_eq!(successors.len(), 64);
        successors.dedup();
        assert_eq!(successors.len(), 1, "round {round}");
        assert_eq!(server.query::<i64>("select generation from sessions"), round, "one rotation a round");
        token = successors.remove(0);
    }
}

#[rstest]
#[tokio::test]
async fn a_retry_within_the_grace_period_gets_the_same_successor_also_after_a_restart(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let first = server.register("anna").await.refresh;
    let second = Tokens::from(server.refresh(&first).await).await.refresh;
    let (_, place) = server.stop().await;
    // The clock of the new server stands where that of the old one began: the grace period is not over.
    let server = Server::start_in(place, &[]).await;
    server.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(Tokens::from(server.refresh(&first).await).await.refresh, second);
    Tokens::from(server.refresh(&second).await).await;
}

#[rstest]
#[tokio::test]
async fn a_spent_token_after_the_grace_period_ends_the_session(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let first = server.register("anna").await.refresh;
    let second = Tokens::from(server.refresh(&first).await).await.refresh;
    server.clock.advance(SignedDuration::from_millis(10_001));
    let refused = (401, json!({"detail": "Invalid refresh token"}));
    assert_eq!(refusal(server.refresh(&first).await).await, refused);
    assert_eq!(refusal(server.refresh(&second).await).await, refused);
    let events = "select action from audit_events where action <> 'user_registered' and user_id is not null";
    assert_eq!(server.query::<String>(events), "refresh_token_reused");
    assert_eq!(server.query::<i64>("select count(*) from audit_events where user_id is not null"), 2);
}

#[rstest]
#[tokio::test]
async fn a_grandparent_ends_the_session_even_within_the_grace_period(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let first = server.register("anna").await.refresh;
    let second = Tokens::from(server.refresh(&first).await).await.refresh;
    let third = Tokens::from(server.refresh(&second).await).await.refresh;
    assert_eq!(server.refresh(&first).await.status(), 401);
    assert_eq!(server.refresh(&third).await.status(), 401);
}

#[rstest]
#[tokio::test]
async fn the_end_of_one_session_leaves_the_users_others_alone(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let stolen = server.register("anna").await.refresh;
    let other = Tokens::from(server.login("anna", "correct horse").await).await.refresh;
    let next = Tokens::from(server.refresh(&stolen).await).await.refresh;
    Tokens::from(server.refresh(&next).await).await;
    assert_eq!(server.refresh(&stolen).await.status(), 401);
    Tokens::from(server.refresh(&other).await).await;
}

#[rstest]
#[tokio::test]
async fn a_session_ends_at_its_time_however_often_it_is_refreshed(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("REFRESH_TOKEN_EXPIRE_DAYS", "2")]).await;
    let mut token = server.register("anna").await.refresh;
    for _ in 0..47 {
        server.clock.advance(SignedDuration::from_hours(1));
        token = Tokens::from(server.refresh(&token).await).await.refresh;
    }
    server.clock.advance(SignedDuration::from_secs(3599));
    token = Tokens::from(server.refresh(&token).await).await.refresh;
    server.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(server.refresh(&token).await.status(), 401);
}

#[rstest]
#[tokio::test]
async fn a_disabled_users_sessions_are_dead(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.refresh;
    server.execute("update users set active = false");
    assert_eq!(server.refresh(&token).await.status(), 401);
}

/// A forged token is refused before the database is asked: here there is none any more.
#[rstest]
#[tokio::test]
async fn a_forged_token_never_reaches_the_database(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.refresh;
    server.execute("drop table sessions");
    let mut forged = token.clone().into_bytes();
    for at in 4..forged.len() {
        forged[at] ^= 1;
        let text = String::from_utf8_lossy(&forged).into_owned();
        assert_eq!(server.refresh(&text).await.status(), 401, "{text}");
        forged[at] ^= 1;
    }
    assert_eq!(server.refresh(&token).await.status(), 500, "a true one does reach it");
}

#[rstest]
#[tokio::test]
async fn neither_the_token_nor_its_secret_is_in_the_database(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let token = server.register("anna").await.refresh;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("ort_").unwrap()).unwrap();
    let secret = &bytes[21..37];
    let (_, place) = server.stop().await;
    let kept = place.everything();
    let secret_digits = uuid::Uuid::from_slice(secret).unwrap().simple().to_string();
    for wanted in [secret, token.as_bytes(), secret_digits.as_bytes()] {
        assert!(!kept.windows(wanted.len()).any(|window| window == wanted));
    }
    assert!(kept.windows(4).any(|window| window == b"anna"), "this is where everything is");
}
