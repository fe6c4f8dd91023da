//! Signing keys that come and go while clients refresh and services verify.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    keys::KEY_PAIRS,
    support::{On, Place, Process, Tokens, command, http_client, registration},
};

/// A service that verifies tokens by the key set alone, keeps it for as long as it may, and does not ask earlier
/// because it does not know a key.
struct Verifier {
    url: String,
    max_age: Duration,
    fetched: Mutex<(Instant, Arc<JwkSet>)>,
    http: reqwest::Client,
}

impl Verifier {
    async fn start(url: String, max_age: Duration) -> Self {
        let http = http_client();
        let keys = Arc::new(http.get(&url).send().await.unwrap().json().await.unwrap());
        Self { url, max_age, fetched: Mutex::new((Instant::now(), keys)), http }
    }

    async fn keys(&self) -> Arc<JwkSet> {
        let (at, keys) = self.fetched.lock().unwrap().clone();
        if at.elapsed() < self.max_age {
            return keys;
        }
        // As of when it was asked for, which is the cautious reading of `max-age`.
        let asked = Instant::now();
        let Ok(answer) = self.http.get(&self.url).send().await else { return keys };
        let Ok(fetched) = answer.json::<JwkSet>().await else { return keys };
        let fetched = Arc::new(fetched);
        *self.fetched.lock().unwrap() = (asked, fetched.clone());
        fetched
    }

    async fn verify(&self, token: &str, shared: Option<&str>) -> Result<(), String> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = 0;
        let key = if let (Algorithm::HS256, Some(secret)) = (header.alg, shared) {
            DecodingKey::from_secret(secret.as_bytes())
        } else {
            let keys = self.keys().await;
            let id = header.kid.ok_or("no key id")?;
            let key = keys.find(&id).ok_or(format!("the key {id} is not in the key set"))?;
            DecodingKey::from_jwk(key).map_err(|error| error.to_string())?
        };
        jsonwebtoken::decode::<Value>(token, &key, &validation).map(drop).map_err(|error| error.to_string())
    }
}

/// What clients and verifiers came to.
#[derive(Default)]
struct Tally {
    refreshes: AtomicU64,
    verified: AtomicU64,
    by_algorithm: Mutex<HashMap<String, u64>>,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    fn note(&self, token: &str, outcome: Result<(), String>) {
        self.verified.fetch_add(1, Ordering::Relaxed);
        let algorithm = format!("{:?}", jsonwebtoken::decode_header(token).unwrap().alg);
        *self.by_algorithm.lock().unwrap().entry(algorithm).or_default() += 1;
        if let Err(failure) = outcome {
            self.failures.lock().unwrap().push(failure);
        }
    }
}

/// A client that refreshes, on one node after the other, and hands each token to the verifiers and to Ostiary; and
/// after a while once more.
async fn use_tokens(
    mut tokens: Tokens,
    nodes: Arc<Mutex<Vec<String>>>,
    verifiers: Arc<Vec<Verifier>>,
    shared: Option<&'static str>,
    tally: Arc<Tally>,
    stopping: Arc<AtomicBool>,
) {
    let http = http_client();
    let mut older: Option<(Instant, String)> = None;
    for turn in 0.. {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        for attempt in 0.. {
            let node = {
                let nodes = nodes.lock().unwrap();
                nodes[(turn + attempt) % nodes.len()].clone()
            };
            let body = json!({ "refresh_token": tokens.refresh });
            let answer = http.post(format!("{node}/api/v1/auth/refresh")).json(&body).send().await;
            match answer {
                Ok(answer) if answer.status() == 200 => {
                    tokens = Tokens::from(answer).await;
                    break;
                }
                // A node that is being started again; a client that was logged out would never get further.
                _ if attempt < 200 => tokio::time::sleep(Duration::from_millis(50)).await,
                failed => panic!("logged out: {failed:?}"),
            }
        }
        tally.refreshes.fetch_add(1, Ordering::Relaxed);
        let aged = older.take_if(|(at, _)| at.elapsed() > Duration::from_secs(20)).map(|(_, token)| token);
        older.get_or_insert_with(|| (Instant::now(), tokens.access.clone()));
        for token in aged.iter().chain([&tokens.access]) {
            for verifier in &*verifiers {
                tally.note(token, verifier.verify(token, shared).await);
            }
            let node = {
                let nodes = nodes.lock().unwrap();
                nodes[turn % nodes.len()].clone()
            };
            let me = http.get(format!("{node}/api/v1/auth/me")).bearer_auth(token).send().await;
            // A node that is being started again answers nobody.
            if let Ok(me) = me {
                let status = me.status().as_u16();
                let outcome = if status == 200 { Ok(()) } else { Err(format!("{status} from a node")) };
                tally.note(token, outcome);
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn register(node: &str, username: &str) -> Tokens {
    let body = registration(username);
    let answer = http_client().post(format!("{node}/api/v1/auth/register")).json(&body).send().await.unwrap();
    Tokens::from(answer).await
}

/// Keys are rotated every two seconds for a minute, by the command; verifiers keep the key set for five.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_fails_to_verify_while_keys_are_rotated_every_two_seconds(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let place = Place::new(on);
    let named = place.settings();
    let more = [
        ("JWKS_MAX_AGE", "5"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "1"),
        ("LOG_LEVEL", "warn,ostiary_server::cli=info"),
    ];
    let settings: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let settings = [&settings[..], KEY_PAIRS, &more].concat();
    // On an embedded database there is one node; several share a server.
    let count = if on == On::Sqlite { 1 } else { 2 };
    let nodes: Vec<Process> = (0..count).map(|_| Process::start(place.path(), &settings)).collect();
    let urls: Vec<String> = nodes.iter().map(|node| node.url("")).collect();
    let mut verifiers = Vec::new();
    for url in urls.iter().cycle().take(3) {
        verifiers.push(Verifier::start(format!("{url}/.well-known/jwks.json"), Duration::from_secs(5)).await);
        // Not all at the same time.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let (verifiers, tally, stopping) =
        (Arc::new(verifiers), Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let nodes_by_url = Arc::new(Mutex::new(urls.clone()));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..4 {
        let tokens = register(&urls[client % urls.len()], &format!("user{client}")).await;
        let (nodes, verifiers) = (nodes_by_url.clone(), verifiers.clone());
        clients.spawn(use_tokens(tokens, nodes, verifiers, None, tally.clone(), stopping.clone()));
    }
    let start = Instant::now();
    let mut rotations = 0;
    while start.elapsed() < Duration::from_mins(1) {
        let output = command(place.path(), &settings).args(["keys", "rotate"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        rotations += 1;
        let next = start + Duration::from_secs(2) * rotations;
        tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
    }
    stopping.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let failures = tally.failures.lock().unwrap().clone();
    let (refreshes, verified) =
        (tally.refreshes.load(Ordering::Relaxed), tally.verified.load(Ordering::Relaxed));
    println!(
        "{rotations} rotations, {refreshes} tokens issued, {verified} verified, {} failures",
        failures.len()
    );
    assert!(failures.is_empty(), "{:?}", &failures[..failures.len().min(5)]);
    assert!(rotations >= 25 && refreshes > 200, "{rotations} rotations, {refreshes} refreshes");
    let signed_by = "select count(*) from signing_keys";
    assert!(place.query::<i64>(signed_by) > i64::from(rotations), "each rotation made a key");
    nodes.into_iter().for_each(Process::kill);
}

/// From HS256 to `EdDSA`, one node after the other, under load; at last without the shared secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_from_hs256_to_eddsa_logs_nobody_out_and_fails_no_token() {
    const SECRET: &str = "the secret that the services of before share";
    let place = Place::new(On::Postgres);
    let named = place.settings();
    let base: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let base = [
        &base[..],
        &[
            ("SECRET_KEY", "one secret for all of the nodes there are"),
            ("JWKS_MAX_AGE", "1"),
            ("LOG_LEVEL", "warn,ostiary_server::cli=info"),
        ],
    ]
    .concat();
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let before = with(&[("JWT_SECRET_KEY", SECRET)]);
    let mut nodes = vec![Process::start(place.path(), &before), Process::start(place.path(), &before)];
    let urls = Arc::new(Mutex::new(nodes.iter().map(|node| node.url("")).collect::<Vec<_>>()));
    let first = urls.lock().unwrap()[1].clone();
    let verifier = Verifier::start(format!("{first}/.well-known/jwks.json"), Duration::from_secs(1)).await;
    let (verifiers, tally, stopping) =
        (Arc::new(vec![verifier]), Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..4 {
        let tokens = register(&first, &format!("user{client}")).await;
        let (nodes, verifiers) = (urls.clone(), verifiers.clone());
        clients.spawn(use_tokens(tokens, nodes, verifiers, Some(SECRET), tally.clone(), stopping.clone()));
    }
    let hs256_only = tokio::time::sleep(Duration::from_secs(2));
    hs256_only.await;
    // The first start without the secret finds what the earlier ones have kept of it.
    for (node, more) in [
        (0, [("JWT_SECRET_KEY", SECRET), ("JWT_ALGORITHM", "EdDSA")]),
        (1, [("JWT_SECRET_KEY", SECRET), ("JWT_ALGORITHM", "EdDSA")]),
        (0, [("JWT_SECRET_KEY", ""), ("JWT_ALGORITHM", "EdDSA")]),
    ] {
        let port = nodes[node].address.port().to_string();
        let settings = [&with(&more)[..], &[("PORT", port.as_str())]].concat();
        nodes.remove(node).end_by(Signal::TERM);
        nodes.insert(node, Process::start(place.path(), &settings));
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    stopping.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let failures = tally.failures.lock().unwrap().clone();
    let by_algorithm = tally.by_algorithm.lock().unwrap().clone();
    println!("verified by algorithm: {by_algorithm:?}, {} failures", failures.len());
    assert!(failures.is_empty(), "{:?}", &failures[..failures.len().min(5)]);
    assert!(by_algorithm["HS256"] > 100 && by_algorithm["EdDSA"] > 100, "{by_algorithm:?}");
    nodes.into_iter().for_each(Process::kill);
}
