//! Two nodes on one database: they race, and they come and go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use ostiary_harness::redis::Redis;
use serde_json::json;

use crate::support::{On, Place, Process, Server, Tokens, command, http_client, registration};

/// 64 clients with one token, 50 rounds, on two nodes in turn: one rotation, one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_refreshes_of_one_token_on_two_nodes_all_get_the_same_successor() {
    let first = Server::start(On::Postgres).await;
    let second = Server::start_in(first.place.clone(), &[]).await;
    let nodes = Arc::new([first, second]);
    let mut token = nodes[0].register("anna").await.refresh;
    for round in 1..=50 {
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..64 {
            let (nodes, token) = (nodes.clone(), token.clone());
            racers.spawn(async move { Tokens::from(nodes[racer % 2].refresh(&token).await).await.refresh });
        }
        let mut successors = racers.join_all().await;
        assert_eq!(successors.len(), 64);
        successors.dedup();
        assert_eq!(successors.len(), 1, "round {round}");
        assert_eq!(nodes[0].query::<i64>("select generation from sessions"), round, "one rotation a round");
        token = successors.remove(0);
    }
}

/// A session that ends on one node has ended on the other.
#[tokio::test]
async fn a_reuse_on_one_node_ends_the_session_on_the_other() {
    let first = Server::start(On::Postgres).await;
    let second = Server::start_in(first.place.clone(), &[]).await;
    let stolen = first.register("anna").await.refresh;
    let next = Tokens::from(second.refresh(&stolen).await).await.refresh;
    let newest = Tokens::from(first.refresh(&next).await).await.refresh;
    assert_eq!(second.refresh(&stolen).await.status(), 401);
    assert_eq!(first.refresh(&newest).await.status(), 401);
}

/// What Redis has, or has lost, makes no difference: what was revoked stays so.
#[tokio::test]
async fn a_logout_is_seen_on_the_other_node_within_a_second_and_outlives_both_nodes_and_redis() {
    let (place, redis) = (Place::new(On::Postgres), Redis::start());
    let redis_port = redis.port().to_string();
    let settings = place.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let settings = [&settings[..], &[("REDIS_HOST", redis.host()), ("REDIS_PORT", &redis_port)]].concat();
    let start = || Process::start(place.path(), &settings);
    let (first, second) = (start(), start());
    let http = http_client();
    let status = async |node: &Process, token: &str| {
        http.get(node.url("/api/v1/auth/me")).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let refresh = async |node: &Process, token: &str| {
        let body = json!({ "refresh_token": token });
        http.post(node.url("/api/v1/auth/refresh")).json(&body).send().await.unwrap().status().as_u16()
    };
    let body = registration("anna");
    let registered = http.post(first.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
    let tokens = Tokens::from(registered).await;
    assert_eq!((status(&first, &tokens.access).await, status(&second, &tokens.access).await), (200, 200));
    let body = json!({ "refresh_token": tokens.refresh });
    let answer = http.post(first.url("/api/v1/auth/logout")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let answered = Instant::now();
    assert_eq!(status(&first, &tokens.access).await, 401, "the first time that it is asked");
    while status(&second, &tokens.access).await != 401 {
        assert!(answered.elapsed() < Duration::from_secs(1));
    }
    println!("a logout was seen on the other node {} ms after its answer", answered.elapsed().as_millis());
    assert_eq!(refresh(&second, &tokens.refresh).await, 401);
    first.kill();
    second.kill();
    redis.flush();
    for node in [start(), start()] {
        assert_eq!(status(&node, &tokens.access).await, 401);
        assert_eq!(refresh(&node, &tokens.refresh).await, 401);
        node.kill();
    }
}

/// Nodes that start at once on an empty database with one secret agree on everything.
#[tokio::test]
async fn nodes_that_start_at_once_agree_on_their_keys() {
    const SETTINGS: &[(&str, &str)] =
        &[("JWT_SECRET_KEY", ""), ("SECRET_KEY", "one secret for all of the nodes there are")];
    let place = Arc::new(Place::new(On::Postgres));
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        starting.spawn(Server::start_in(place.clone(), SETTINGS));
    }
    let nodes = starting.join_all().await;
    let mut keys = Vec::new();
    for node in &nodes {
        keys.push(node.get("/.well-known/jwks.json").await.text().await.unwrap());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    let token = nodes[0].register("anna").await.refresh;
    Tokens::from(nodes[3].refresh(&token).await).await;
}

/// Of nodes with different secrets, or none, the second does not start: the first one's sessions are not its own.
#[tokio::test]
async fn a_node_without_the_secret_of_the_others_is_told_so() {
    let place = Arc::new(Place::new(On::Postgres));
    let first = Server::start_in(place.clone(), &[("JWT_SECRET_KEY", "")]).await;
    first.register("anna").await;
    let elsewhere = tempfile::TempDir::new().unwrap();
    let settings = place.settings();
    for (secret, advice) in
        [("", "give the same SECRET_KEY"), ("another secret for this node alone", "give all nodes the same")]
    {
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
        let settings: Vec<_> = settings.chain([("JWT_SECRET_KEY", ""), ("SECRET_KEY", secret)]).collect();
        let output = command(elsewhere.path(), &settings).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(advice), "{error}");
    }
    first.register("boris").await;
}

/// One node is killed and started again, again and again, under load. A client whose request fails asks the
/// other node once, and is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refresh_fails_that_a_single_retry_on_the_other_node_does_not_heal() {
    const CLIENTS: u32 = 8;
    let place = Place::new(On::Postgres);
    let settings = place.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (steady, mut other) =
        (Process::start(place.path(), &settings), Process::start(place.path(), &settings));
    let port = other.address.port().to_string();
    let again: Vec<_> = settings.iter().copied().chain([("PORT", port.as_str())]).collect();

    let http = http_client();
    let (stopping, refreshes, retries) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let urls = [other.url("/api/v1/auth/refresh"), steady.url("/api/v1/auth/refresh")];
        let body = registration(&format!("user{client}"));
        let registered = http.post(steady.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
        let mut token = Tokens::from(registered).await.refresh;
        let (stopping, refreshes, retries) = (stopping.clone(), refreshes.clone(), retries.clone());
        clients.spawn(async move {
            let http = http_client();
            for turn in (client as usize).. {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let body = json!({ "refresh_token": token });
                let ask = async |url: &str| http.post(url).json(&body).send().await;
                let answer = match ask(&urls[turn % 2]).await {
                    Ok(answer) if answer.status() == 200 => answer,
                    _ => {
                        retries.fetch_add(1, Ordering::Relaxed);
                        ask(&urls[(turn + 1) % 2]).await.unwrap()
                    }
                };
                token = Tokens::from(answer).await.refresh;
                refreshes.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..8 {
        let enough = refreshes.load(Ordering::Relaxed) + 100;
        let deadline = Instant::now() + Duration::from_secs(30);
        while refreshes.load(Ordering::Relaxed) < enough && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        other.kill();
        other = Process::start(place.path(), &again);
    }
    stopping.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let (refreshes, retries) = (refreshes.load(Ordering::Relaxed), retries.load(Ordering::Relaxed));
    println!("{refreshes} refreshes, of which {retries} were retried on the other node");
    assert!(refreshes > 800 && retries > 0, "{refreshes} refreshes, {retries} retries");
    other.kill();
    steady.kill();
}
