//! The binary killed at random moments: what was answered is there, and the database is sound.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Process, Tokens, canary, http_client, registration};

const KILLS: u64 = 20;
const CLIENTS: usize = 8;

/// A rotation whose answer the kill cut off is repeated after the restart, however slow that is.
const SETTINGS: &[(&str, &str)] = &[("HASH_DEADLINE", "30"), ("REFRESH_GRACE_SECONDS", "60")];

/// What clients have been answered.
#[derive(Default)]
struct Ledger {
    /// Usernames of accounts whose registration was answered.
    registered: Vec<String>,
    /// Of each client, the newest refresh token that it was given.
    tokens: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_keeps_every_registration_and_rotation_that_was_answered() {
    let directory = TempDir::new().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut seed: u64 = 0x6f73_7469_6172_7921;
    for kill in 0..KILLS {
        let process = Process::start(directory.path(), SETTINGS);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis(40 + (seed >> 33) % 360);
        check(&process, &ledger, directory.path(), kill).await;
        let clients = start_clients(&process, &ledger, kill);
        // Every other time not before something was answered, however slow the machine is.
        let answered = || ledger.lock().unwrap().registered.len();
        let (before, deadline) = (answered(), Instant::now() + Duration::from_secs(30));
        while kill % 2 == 1 && answered() == before && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(moment).await;
        process.kill();
        clients.join_all().await;
    }
    let process = Process::start(directory.path(), SETTINGS);
    check(&process, &ledger, directory.path(), KILLS).await;
    let ledger = ledger.lock().unwrap();
    assert!(
        ledger.registered.len() as u64 >= KILLS / 2,
        "the load did something: {}",
        ledger.registered.len()
    );
    process.kill();
}

/// Clients that register and refresh until the server is gone.
fn start_clients(process: &Process, ledger: &Arc<Mutex<Ledger>>, kill: u64) -> tokio::task::JoinSet<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (register, refresh) = (process.url("/api/v1/auth/register"), process.url("/api/v1/auth/refresh"));
        let ledger = ledger.clone();
        clients.spawn(async move {
            let http = http_client();
            let name = format!("user-{kill}-{client}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
            let Some(mut token) = pair(http.post(&register).json(&registration(&name))).await else { return };
            let place = {
                let mut ledger = ledger.lock().unwrap();
                ledger.registered.push(name);
                ledger.tokens.push(token.clone());
                ledger.tokens.len() - 1
            };
            while let Some(next) = pair(http.post(&refresh).json(&json!({ "refresh_token": token }))).await {
                token = next;
                ledger.lock().unwrap().tokens[place].clone_from(&token);
            }
        });
    }
    clients
}

/// The refresh token of an answer; `None` once the server is gone.
async fn pair(request: reqwest::RequestBuilder) -> Option<String> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    let body: Value = answer.json().await.ok()?;
    assert_eq!(status, StatusCode::OK, "{body}");
    let token = body["refresh_token"].as_str().unwrap();
    canary::plant("refresh token", token);
    Some(token.to_owned())
}

/// After a restart: the file is sound, every account that was answered is there, and every newest
/// token is good. (A rotation whose answer was lost is repeated within the grace period.)
async fn check(process: &Process, ledger: &Mutex<Ledger>, directory: &std::path::Path, kill: u64) {
    let database = rusqlite::Connection::open(directory.join("data/ostiary.db")).unwrap();
    let sound: String = database.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "after {kill} kills");
    let (registered, tokens) = {
        let ledger = ledger.lock().unwrap();
        (ledger.registered.clone(), ledger.tokens.clone())
    };
    for name in &registered {
        let there =
            database.prepare("select 1 from contacts where value = ?1").unwrap().exists([name]).unwrap();
        assert!(there, "{name} was answered and is lost after {kill} kills");
    }
    for (table, other) in [("contacts", "users"), ("memberships", "users"), ("sessions", "users")] {
        let orphans: i64 = database
            .query_row(
                &format!("select count(*) from {table} where user_id not in (select id from {other})"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(orphans, 0, "{table} after {kill} kills");
    }
    let half: i64 = database
        .query_row("select count(*) from users where id not in (select user_id from sessions)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(half, 0, "half an account after {kill} kills");

    let http = http_client();
    for (place, token) in tokens.iter().enumerate() {
        let body = json!({ "refresh_token": token });
        let answer = http.post(process.url("/api/v1/auth/refresh")).json(&body).send().await.unwrap();
        let next = Tokens::from(answer).await.refresh;
        ledger.lock().unwrap().tokens[place] = next;
    }
}

/// The server is killed after a rotation is on the disk and before its client has read the answer: the
/// retry gets the successor, and nothing is rotated twice.
#[tokio::test]
async fn after_a_crash_between_commit_and_answer_the_retry_gets_the_successor() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), SETTINGS);
    let http = http_client();
    let registered = http.post(process.url("/api/v1/auth/register")).json(&registration("anna")).send();
    let token = Tokens::from(registered.await.unwrap()).await.refresh;
    let body = json!({ "refresh_token": token }).to_string();
    let mut unread = std::net::TcpStream::connect(process.address).unwrap();
    let length = body.len();
    let head = "POST /api/v1/auth/refresh HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    std::io::Write::write_all(
        &mut unread,
        format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes(),
    )
    .unwrap();
    let database = rusqlite::Connection::open(directory.path().join("data/ostiary.db")).unwrap();
    let generation =
        || -> u32 { database.query_row("select generation from sessions", [], |row| row.get(0)).unwrap() };
    while generation() == 0 {}
    process.kill();

    let process = Process::start(directory.path(), SETTINGS);
    let refresh = async |token: &str| {
        let body = json!({ "refresh_token": token });
        let answer = http.post(process.url("/api/v1/auth/refresh")).json(&body).send().await.unwrap();
        Tokens::from(answer).await.refresh
    };
    let successor = refresh(&token).await;
    assert_eq!((successor == refresh(&token).await, generation()), (true, 1));
    refresh(&successor).await;
    assert_eq!(generation(), 2);
    process.kill();
}
