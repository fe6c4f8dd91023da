//! PostgreSQL away: at the start, for a while, again and again, or silent.

use std::{
    io::{BufRead, BufReader},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ostiary_harness::{pgbouncer::PgBouncer, postgres::Cluster};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Process, Tokens, command, http_client, registration};

/// What names the database of `cluster`.
fn settings(cluster: &Cluster) -> Vec<(&'static str, String)> {
    vec![
        ("DATABASE_URL", cluster.url("postgres")),
        ("POSTGRES_POOL_MIN", "1".to_owned()),
        ("POSTGRES_POOL_MAX", "8".to_owned()),
        ("HASH_DEADLINE", "30".to_owned()),
        ("REFRESH_GRACE_SECONDS", "60".to_owned()),
    ]
}

fn start(directory: &TempDir, cluster: &Cluster) -> Process {
    let settings = settings(cluster);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Process::start(directory.path(), &settings)
}

async fn post(process: &Process, path: &str, body: &Value) -> reqwest::Response {
    http_client().post(process.url(path)).json(body).send().await.unwrap()
}

async fn refresh(process: &Process, token: &str) -> reqwest::Response {
    post(process, "/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
}

async fn status(process: &Process, path: &str) -> u16 {
    http_client().get(process.url(path)).send().await.unwrap().status().as_u16()
}

#[test]
fn a_database_that_does_not_come_is_waited_for_and_named() {
    let directory = TempDir::new().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let begin = Instant::now();
    let settings = [("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_PORT", nobody.as_str()), ("DB_WAIT", "1.2")];
    let output = command(directory.path(), &settings).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(begin.elapsed() >= Duration::from_millis(1200), "{:?}", begin.elapsed());
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["message"], "waiting for PostgreSQL");
    assert!(lines[0]["cause"].as_str().unwrap().contains("refused"), "{log}");
    let last = lines[lines.len() - 1]["message"].as_str().unwrap();
    assert!(last.contains(&nobody) && last.contains("DB_WAIT"), "{last}");
}

/// One that accepts connections and says nothing is not there either.
#[test]
fn a_database_that_says_nothing_is_given_up() {
    let directory = TempDir::new().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let settings = [("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_PORT", port.as_str()), ("DB_WAIT", "0.1")];
    let output = command(directory.path(), &settings).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && log.contains("no answer"), "{log}");
}

#[test]
fn what_waiting_cannot_mend_is_said_at_once() {
    let cluster = Cluster::start(&[]);
    cluster.sql("postgres", "create role anna login password 'right'");
    cluster.prepend_hba("host all anna 127.0.0.1/32 scram-sha-256");
    let url = |user: &str, database: &str| cluster.url(database).replace("postgres@", &format!("{user}@"));
    for (url, parts) in [
        (url("anna:wrong", "postgres"), ["password authentication failed", "POSTGRES_PASSWORD"]),
        (url("postgres", "nowhere"), ["does not exist", "make the database"]),
        (url("postgres", "postgres") + "?sslmode=require", ["TLS", "POSTGRES_SSLMODE"]),
    ] {
        let directory = TempDir::new().unwrap();
        let begin = Instant::now();
        let output = command(directory.path(), &[("DATABASE_URL", url.as_str())]).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}: {log}", begin.elapsed());
        assert!(parts.iter().all(|part| log.contains(part)), "{log}");
        assert!(!log.contains("wrong"), "{log}");
    }
}

#[tokio::test]
async fn a_database_that_comes_late_is_served_from() {
    let cluster = Cluster::start(&[]);
    cluster.stop();
    let directory = TempDir::new().unwrap();
    let settings = settings(&cluster);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut child = command(directory.path(), &settings).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for PostgreSQL"), "{line}");
    cluster.start_again();
    while !line.contains("\"ready\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Away while serving: 503 with a time to retry, and everything by itself again once it is back.
#[tokio::test]
async fn while_the_database_is_away_requests_are_refused_in_time_and_then_served_again() {
    let cluster = Cluster::start(&[]);
    let directory = TempDir::new().unwrap();
    let process = start(&directory, &cluster);
    let registered = post(&process, "/api/v1/auth/register", &registration("anna")).await;
    let token = Tokens::from(registered).await.refresh;
    cluster.stop_immediate();
    let login = json!({"login": "anna", "password": "correct horse"});
    let requests = [
        ("/api/v1/auth/refresh", json!({ "refresh_token": token })),
        ("/api/v1/auth/login", login.clone()),
        ("/api/v1/auth/register", registration("boris")),
    ];
    for (path, body) in &requests {
        let begin = Instant::now();
        let answer = post(&process, path, body).await;
        assert_eq!(answer.status(), 503, "{path}");
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{path}: {:?}", begin.elapsed());
    }
    assert_eq!((status(&process, "/readyz").await, status(&process, "/livez").await), (503, 200));
    cluster.start_again();
    assert_eq!(status(&process, "/readyz").await, 200);
    Tokens::from(refresh(&process, &token).await).await;
    Tokens::from(post(&process, "/api/v1/auth/login", &login).await).await;
    process.kill();
}

/// A server that stands still is worse than one that is away: nothing says so but the time.
#[tokio::test]
async fn a_database_that_stands_still_is_given_up_within_three_seconds() {
    let cluster = Cluster::start(&[]);
    let directory = TempDir::new().unwrap();
    let process = start(&directory, &cluster);
    let registered = post(&process, "/api/v1/auth/register", &registration("anna")).await;
    let token = Tokens::from(registered).await.refresh;
    let pids =
        cluster.sql("postgres", "select pid from pg_stat_activity where backend_type = 'client backend'");
    let signal = |name: &str| {
        let arguments = [name].into_iter().chain(pids.lines());
        // One of them was the process that was asked.
        drop(std::process::Command::new("kill").args(arguments).stderr(std::process::Stdio::null()).status());
    };
    signal("-STOP");
    for (path, body) in [
        ("/api/v1/auth/refresh", json!({ "refresh_token": token })),
        ("/api/v1/auth/login", json!({"login": "anna", "password": "correct horse"})),
    ] {
        let begin = Instant::now();
        assert_eq!(post(&process, path, &body).await.status(), 503, "{path}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{path}: {:?}", begin.elapsed());
    }
    assert_eq!(status(&process, "/livez").await, 200);
    signal("-CONT");
    Tokens::from(refresh(&process, &token).await).await;
    process.kill();
}

/// What clients have been answered.
#[derive(Default)]
struct Ledger {
    registered: Vec<String>,
    /// Of each client, the newest refresh token that it was given.
    tokens: Vec<String>,
}

/// Restarted at once five times under load: nothing that was answered is lost, and refreshes work again within
/// ten seconds without a restart of Ostiary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_database_crashes_under_load_nothing_that_was_answered_is_lost() {
    let cluster = Cluster::start(&[]);
    let directory = TempDir::new().unwrap();
    let process = start(&directory, &cluster);
    let (ledger, stopping) = (Arc::new(Mutex::new(Ledger::default())), Arc::new(AtomicBool::new(false)));
    let answered = Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..8 {
        let urls = (process.url("/api/v1/auth/register"), process.url("/api/v1/auth/refresh"));
        clients.spawn(load(client, urls, ledger.clone(), stopping.clone(), answered.clone()));
    }
    for crash in 0..5 {
        let enough = answered.load(Ordering::Relaxed) + 200;
        wait_until(|| answered.load(Ordering::Relaxed) >= enough, "the load goes on").await;
        cluster.restart_immediate();
        let begin = Instant::now();
        let before = answered.load(Ordering::Relaxed);
        wait_until(|| answered.load(Ordering::Relaxed) > before, "it is served again").await;
        println!("crash {crash}: answered again after {:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
    stopping.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let ledger = std::mem::take(&mut *ledger.lock().unwrap());
    for name in &ledger.registered {
        let there =
            cluster.sql("postgres", &format!("select 1 from accounts.contacts where value = '{name}'"));
        assert_eq!(there, "1", "{name} was answered and is lost");
    }
    let halves = "select (select count(*) from accounts.users where id not in (select user_id from auth.sessions))
                      + (select count(*) from accounts.contacts where user_id not in (select id from accounts.users))
                      + (select count(*) from auth.sessions where user_id not in (select id from accounts.users))
                      + (select count(*) from accounts.users
                         where id not in (select user_id from auth.audit_events where user_id is not null))";
    assert_eq!(cluster.sql("postgres", halves), "0", "half an account");
    assert!(ledger.registered.len() >= 8 && answered.load(Ordering::Relaxed) > 1000);
    for token in &ledger.tokens {
        Tokens::from(refresh(&process, token).await).await;
    }
    process.kill();
}

/// Registers, and refreshes until it is told to stop; what fails is tried again with the same token.
async fn load(
    client: u32,
    (register, refresh): (String, String),
    ledger: Arc<Mutex<Ledger>>,
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) {
    let http = http_client();
    let mut token: Option<(usize, String)> = None;
    for number in 0.. {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        // A new account now and then, so that registrations are cut off too.
        let name = format!("user-{client}-{number}");
        let (request, is_new) = match &token {
            Some((_, token)) if number % 40 != 0 => {
                (http.post(&refresh).json(&json!({ "refresh_token": token })), false)
            }
            _ => (http.post(&register).json(&registration(&name)), true),
        };
        let answer = request.send().await.unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            continue;
        }
        let next = Tokens::from(answer).await.refresh;
        answered.fetch_add(1, Ordering::Relaxed);
        let mut ledger = ledger.lock().unwrap();
        if is_new {
            ledger.registered.push(name);
            ledger.tokens.push(next.clone());
            token = Some((ledger.tokens.len() - 1, next));
        } else if let Some((place, token)) = &mut token {
            ledger.tokens[*place].clone_from(&next);
            *token = next;
        }
    }
}

async fn wait_until(holds: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::task::yield_now().await;
    }
}

/// A pooler that is there says nothing of the server behind it.
#[test]
fn a_database_behind_a_pooler_is_waited_for_too() {
    let cluster = Cluster::start(&[]);
    let pooler = PgBouncer::before("127.0.0.1", cluster.port());
    cluster.stop();
    let directory = TempDir::new().unwrap();
    let url = pooler.url("postgres");
    let output =
        command(directory.path(), &[("DATABASE_URL", url.as_str()), ("DB_WAIT", "1")]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && log.contains("cannot be reached"), "{log}");
}

/// Whoever waits for a database can be stopped.
#[test]
fn a_signal_ends_the_waiting() {
    let directory = TempDir::new().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let settings = [("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_PORT", nobody.as_str()), ("DB_WAIT", "300")];
    let mut child = command(directory.path(), &settings).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for PostgreSQL"), "{line}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
