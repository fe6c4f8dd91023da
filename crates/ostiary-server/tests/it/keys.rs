//! Signing keys: how they come and go while tokens are signed and verified.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{On, Place, Process, Server, Tokens, command, http_client, registration};

/// No shared secret: key pairs sign.
const KEY_PAIRS: &[(&str, &str)] =
    &[("JWT_SECRET_KEY", ""), ("SECRET_KEY", "one secret for all of the nodes there are")];

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
