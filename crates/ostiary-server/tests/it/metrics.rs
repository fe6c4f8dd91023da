//! What is shown to Prometheus: names, labels, and that they say what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use ostiary_harness::postgres::Cluster;
use ostiary_server::metrics;
use reqwest::{Method, StatusCode};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{On, Process, Server, command, http_client, registration};

const PAGE: &str = include_str!("../../../../docs/metrics.md");

/// Figures that were asked for: the value of each sample, by its name and labels as they were written.
struct Figures {
    text: String,
    samples: BTreeMap<String, String>,
}

impl Figures {
    async fn at(address: SocketAddr) -> Self {
        let answer = http_client().get(format!("http://{address}/metrics")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.text().await.unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { text, samples }
    }

    fn value(&self, sample: &str) -> f64 {
        self.sample(sample).parse().unwrap()
    }

    fn count(&self, sample: &str) -> u64 {
        self.sample(sample).parse().unwrap()
    }

    fn sample(&self, name: &str) -> &str {
        self.samples.get(name).unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }

    /// How many statements of a method there were.
    fn statements(&self, on: On, method: &str) -> u64 {
        let store = if on == On::Sqlite { "sqlite" } else { "postgres" };
        let labels = format!("store=\"{store}\",method=\"{method}\"");
        assert_eq!(self.count(&format!("ostiary_store_statement_errors_total{{{labels}}}")), 0);
        self.count(&format!("ostiary_store_statement_duration_seconds_count{{{labels}}}"))
    }

    /// How many requests there were.
    fn requests(&self, method: &str, route: &str, status: u16) -> u64 {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        self.count(&format!("ostiary_http_request_duration_seconds_count{{{labels}}}"))
    }

    /// What is served: name, type and labels, as the page has them.
    fn described(&self) -> BTreeSet<(String, String, String)> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        types
            .map(|(family, kind)| {
                let (suffix, sample) = match kind {
                    "counter" => ("_total", "_total"),
                    "info" => ("_info", "_info"),
                    "histogram" => ("", "_count"),
                    _ => ("", ""),
                };
                let sample = format!("{family}{sample}");
                let of_family = |name: &&String| name.split('{').next() == Some(sample.as_str());
                let first = self.samples.keys().find(of_family);
                let first = first.unwrap_or_else(|| panic!("no sample of {family}"));
                let labels = first.split_once('{').map_or("", |(_, labels)| labels);
                let names: Vec<&str> =
                    labels.split(',').filter_map(|label| label.split_once("=\"")).map(|(n, _)| n).collect();
                (format!("{family}{suffix}"), kind.to_owned(), names.join(", "))
            })
            .collect()
    }
}

/// The address of a server's figures.
async fn listen(server: &Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (app, stop) = (server.app.clone(), server.stopping());
    tokio::spawn(async move { metrics::serve(listener, app.figures(), stop).await });
    address
}

/// What the page describes: name, type and labels.
fn on_the_page() -> BTreeSet<(String, String, String)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<String> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        (cells[1].clone(), cells[2].clone(), cells[3].clone())
    })
    .collect()
}

#[rstest]
#[tokio::test]
async fn the_page_describes_what_is_served_and_nothing_else(#[values(On::Sqlite, On::Postgres)] on: On) {
    // A Redis that is not there has figures too.
    let server = Server::start_with(on, &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", "1")]).await;
    let address = listen(&server).await;
    server.register("anna").await;
    let served = Figures::at(address).await.described();
    let other = if on == On::Sqlite { "ostiary_postgres_" } else { "ostiary_sqlite_" };
    let described: BTreeSet<_> =
        on_the_page().into_iter().filter(|(name, ..)| !name.starts_with(other)).collect();
    assert!(described.len() > 12, "the page's tables have another form now: {described:?}");
    assert_eq!(served, described);
}

#[test]
fn the_alerts_on_the_page_are_of_figures_that_it_describes() {
    let alerts = PAGE.split_once("## Alerts").unwrap().1;
    let named: BTreeSet<&str> = alerts
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("ostiary_") || word.starts_with("process_"))
        .map(|word| word.trim_end_matches("_bucket").trim_end_matches("_count"))
        .collect();
    let described = on_the_page();
    assert!(named.len() >= 4, "{named:?}");
    for name in named {
        assert!(described.iter().any(|(known, ..)| known == name), "{name}");
    }
}

#[rstest]
#[tokio::test]
async fn requests_and_their_statements_are_counted(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let address = listen(&server).await;
    let tokens = server.register("anna").await;
    for _ in 0..3 {
        assert_eq!(server.login("anna", "not her password").await.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(server.login("anna", crate::support::PASSWORD).await.status(), StatusCode::OK);
    assert_eq!(server.refresh(&tokens.refresh).await.status(), StatusCode::OK);

    let figures = Figures::at(address).await;
    assert_eq!(figures.requests("POST", "/api/v1/auth/register", 200), 1);
    assert_eq!(figures.requests("POST", "/api/v1/auth/login", 200), 1);
    assert_eq!(figures.requests("POST", "/api/v1/auth/login", 401), 3);
    assert_eq!(figures.requests("POST", "/api/v1/auth/refresh", 200), 1);
    for (method, count) in [("register", 1), ("find_credentials", 4), ("open_session", 1)] {
        assert_eq!(figures.statements(on, method), count, "{method}");
    }
    assert_eq!(figures.statements(on, "rotate_session"), 1);
    // A contact that is taken is no error of the store.
    let again = json!({"second_login": "anna", "phone": "+79990001122", "password": crate::support::PASSWORD,
                       "group_names": ["customer"]});
    assert!(server.post("/api/v1/auth/register", &again).await.status().is_client_error());
    assert_eq!(Figures::at(address).await.statements(on, "register"), 2);
}

#[tokio::test]
async fn connections_are_counted_those_that_made_room_too() {
    let server = Server::start_with(On::Sqlite, &[("MAX_CONNECTIONS", "10")]).await;
    let address = listen(&server).await;
    let connect = || TcpStream::connect(server.address).unwrap();
    let mut idle: Vec<_> = (0..10).map(|_| connect()).collect();
    let open = "ostiary_connections_open";
    while Figures::at(address).await.count(open) < 10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Figures::at(address).await.count("ostiary_connections_made_room_total"), 0);

    idle.push(connect());
    while Figures::at(address).await.count("ostiary_connections_accepted_total") < 11 {
        tokio::task::yield_now().await;
    }
    let figures = Figures::at(address).await;
    assert_eq!(figures.count("ostiary_connections_made_room_total"), 1);
    assert_eq!(figures.count(open), 10);
    idle.clear();
    while Figures::at(address).await.count(open) > 0 {
        tokio::task::yield_now().await;
    }
}

/// Or a client could fill the memory of the server, and of Prometheus.
#[tokio::test]
async fn what_clients_make_up_is_counted_together() {
    let server = Server::start(On::Sqlite).await;
    let address = listen(&server).await;
    for number in 0..20 {
        assert_eq!(server.get(&format!("/made/up/{number}")).await.status(), StatusCode::NOT_FOUND);
        let method = Method::from_bytes(format!("BREW{number}").as_bytes()).unwrap();
        let answer = server.http.request(method, server.url("/api/v1/auth/login")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        let session = format!("/api/v1/auth/sessions/{number}");
        let answer = server.http.delete(server.url(&session)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let figures = Figures::at(address).await;
    let counts = "ostiary_http_request_duration_seconds_count{";
    let series: Vec<_> = figures.samples.iter().filter(|(name, _)| name.starts_with(counts)).collect();
    assert_eq!(series.len(), 3, "{series:?}");
    assert!(series.iter().all(|(_, count)| *count == "20"), "{series:?}");
    assert_eq!(figures.requests("GET", "unmatched", 404), 20);
    assert_eq!(figures.requests("other", "/api/v1/auth/login", 405), 20);
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_and_leaves_nothing_in_flight() {
    let server = Server::start(On::Sqlite).await;
    let address = listen(&server).await;
    server.register("anna").await;
    let body = r#"{"login":"anna","password":"not her password"}"#;
    let request = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let begin = Instant::now();
    loop {
        // It may be answered before the server hears that the client is gone.
        let gone = (0..8).map(|_| {
            let mut connection = TcpStream::connect(server.address).unwrap();
            connection.write_all(request.as_bytes()).unwrap();
            connection
        });
        drop(gone.collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let figures = Figures::at(address).await;
        let in_flight = figures.count("ostiary_http_requests_in_flight");
        if figures.count("ostiary_http_requests_abandoned_total") > 0 && in_flight == 0 {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{in_flight}: {}", figures.text);
    }
}

#[tokio::test]
async fn nothing_but_the_figures_is_at_their_address_and_they_are_nowhere_else() {
    let server = Server::start(On::Sqlite).await;
    let address = listen(&server).await;
    let url = |path: &str| format!("http://{address}{path}");
    let answer = server.http.get(url("/metrics")).send().await.unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    for path in ["/", "/metrics/", "/metrics/x", "/livez", "/docs", "/api/v1/auth/me"] {
        assert_eq!(
            server.http.get(url(path)).send().await.unwrap().status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let posted = server.http.post(url("/metrics")).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(server.get("/metrics").await.status(), StatusCode::NOT_FOUND);
}

/// The binary with figures, and where they are.
fn start_process(directory: &TempDir, more: &[(&str, &str)]) -> (Process, SocketAddr) {
    let settings = [&[("METRICS_LISTEN", "127.0.0.1:0")], more].concat();
    let process = Process::start(directory.path(), &settings);
    let url = process.ready["metrics"].as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().parse().unwrap();
    (process, address)
}

#[tokio::test]
async fn the_figures_are_there_while_the_database_is_away_and_say_so() {
    let cluster = Cluster::start(&[]);
    let directory = TempDir::new().unwrap();
    let (process, address) = start_process(&directory, &[("DATABASE_URL", &cluster.url("postgres"))]);
    cluster.stop();
    let login = json!({"login": "anna", "password": "correct horse"});
    let answer = http_client().post(process.url("/api/v1/auth/login")).json(&login).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let figures = Figures::at(address).await;
    assert_eq!(figures.requests("POST", "/api/v1/auth/login", 503), 1);
    let failed = "ostiary_store_statement_errors_total{store=\"postgres\",method=\"find_credentials\"}";
    assert!(figures.count(failed) >= 1, "{}", figures.text);
    process.kill();
}

#[tokio::test]
async fn the_figures_of_the_process_are_those_of_the_process() {
    let directory = TempDir::new().unwrap();
    let (process, address) = start_process(&directory, &[]);
    let figures = Figures::at(address).await;
    let mebibytes = figures.value("process_resident_memory_bytes") / 1_048_576.0;
    assert!((1.0..1_000.0).contains(&mebibytes), "{mebibytes} MiB");
    assert!(figures.count("process_threads") >= 3);
    let files = figures.count("process_open_fds");
    // Those of SQLite, two listeners and a few connections.
    assert!((5..100).contains(&files), "{files}");
    assert!(figures.count("process_max_fds") >= files);
    let started = figures.value("process_start_time_seconds");
    let now = figures_now();
    assert!((now - 600.0..=now).contains(&started), "{started} at {now}");
    assert!(figures.value("process_cpu_seconds_total") > 0.0);
    let (code, log) = process.end_by(Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    assert!(TcpStream::connect(address).is_err(), "it ends with the server");
}

#[tokio::test]
async fn the_memory_of_a_hash_is_given_back_when_nobody_logs_in_any_more() {
    const SEVERAL: u32 = 12;
    let directory = TempDir::new().unwrap();
    let (process, address) = start_process(&directory, &[]);
    let body = registration("anna");
    let answer = http_client().post(process.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let resident = async || Figures::at(address).await.value("process_resident_memory_bytes") / 1_048_576.0;
    let with_it = resident().await;
    let mut without_it = with_it;
    for _ in 0..SEVERAL {
        tokio::time::sleep(Duration::from_secs(1)).await;
        without_it = resident().await;
        // A hash takes 19 MiB.
        if without_it < with_it - 15.0 {
            process.kill();
            return;
        }
    }
    panic!("{without_it} MiB after {SEVERAL} seconds, {with_it} MiB before");
}

fn figures_now() -> f64 {
    use ostiary_core::clock::{Clock, SystemClock};
    SystemClock.now().as_duration().as_secs_f64()
}

#[test]
fn an_address_that_cannot_be_used_is_said_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (settings, parts) in [
        (vec![("METRICS_LISTEN", taken.as_str())], ["is in use", "another port in METRICS_LISTEN"]),
        (vec![("METRICS_LISTEN", "192.0.2.1:9464")], ["no address of this machine", "METRICS_LISTEN"]),
        (vec![("METRICS_LISTEN", "9464")], ["METRICS_LISTEN", "127.0.0.1:9464"]),
        (vec![("METRICS_LISTEN", "0.0.0.0:18999"), ("PORT", "18999")], ["METRICS_LISTEN", "HOST and PORT"]),
    ] {
        let directory = TempDir::new().unwrap();
        let output = command(directory.path(), &settings).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{settings:?}: {log}");
        assert!(parts.iter().all(|part| log.contains(part)), "{settings:?}: {log}");
    }
}

#[test]
fn without_the_setting_there_are_none() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    assert_eq!(process.ready["metrics"], Value::Null);
    process.kill();
}
