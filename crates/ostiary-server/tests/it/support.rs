//! A server for each test: in this process, with a clock that the test moves, or as the binary.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use ostiary_core::clock::ManualClock;
use ostiary_harness::cell::Cell;
use ostiary_server::{api, app::App, cli, config::Settings, jobs, listener, startup};
use reqwest::{Response, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

mod access;
pub(crate) mod canary;
mod figures;
pub(crate) mod http2;
mod stores;

pub(crate) use access::claims;
pub(crate) use stores::{On, Place};

pub(crate) const JWT_SECRET: &str = "the secret that all of the tests share";

/// What [`registration`] registers with. Hashes and the contract's cases are of it.
pub(crate) const PASSWORD: &str = "correct horse";

/// Settings as a user would give them: by the names of environment variables.
pub(crate) fn settings(directory: &Path, more: &[(&str, &str)]) -> Settings {
    let data_dir = directory.join("data");
    let mut environment: HashMap<String, OsString> = [
        ("DATA_DIR", data_dir.to_str().unwrap()),
        ("ENV_FILE", "/dev/null"),
        ("JWT_SECRET_KEY", JWT_SECRET),
        ("REGISTRATION_GROUPS", "customer,courier"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    plant_secrets(more);
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
    cli::settings(&["ostiary".into()], &environment).unwrap()
}

/// Lets no test show a secret that it is set up with.
fn plant_secrets(settings: &[(&str, &str)]) {
    let secrets = settings.iter().filter(|(name, _)| ["SECRET_KEY", "JWT_SECRET_KEY"].contains(name));
    secrets.for_each(|(_, secret)| canary::plant("secret of the server", secret));
}

/// A server in this process, with a database of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: reqwest::Client,
    pub(crate) place: Arc<Place>,
    /// What is behind the address.
    pub(crate) app: App,
    stop: CancellationToken,
    serving: JoinHandle<bool>,
    /// Lets the test fail at the end if a secret was logged.
    _watch: canary::Watch,
}

impl Server {
    pub(crate) async fn start(on: On) -> Self {
        Self::start_with(on, &[]).await
    }

    pub(crate) async fn start_with(on: On, more: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(Place::new(on)), more).await
    }

    /// A server, perhaps one of several, on the data of `place`.
    pub(crate) async fn start_in(place: Arc<Place>, more: &[(&str, &str)]) -> Self {
        let watch = canary::Watch::begin();
        let named = place.settings();
        let mut all: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend_from_slice(more);
        let settings = settings(place.path(), &all);
        let clock = Arc::new(ManualClock::starting_at("2026-11-22T12:00:00Z".parse().unwrap()));
        // It is large, and would be a part of the future of each test.
        let started = Box::pin(startup::start_with_clock(&settings, clock.clone())).await.unwrap();
        let app = App::new(started.ostiary, started.limiter_metrics, &settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let limits = settings.connection_limits();
        jobs::start(&app, &stop);
        let router = api::router(app.clone());
        let connections = app.connection_metrics.clone();
        let serving = tokio::spawn(listener::serve(listener, router, limits, connections, stop.clone()));
        Self { address, clock, http: http_client(), place, app, stop, serving, _watch: watch }
    }

    /// Stops as at a signal; says whether all requests finished, and gives the data back.
    pub(crate) async fn stop(self) -> (bool, Arc<Place>) {
        self.app.start_draining();
        self.stop.cancel();
        drop((self.http, self.app));
        (self.serving.await.unwrap(), self.place)
    }

    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.http.post(self.url(path)).json(body).send().await.unwrap()
    }

    /// Posts bytes as they are, as JSON.
    pub(crate) async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// Registers `username` with [`PASSWORD`].
    pub(crate) async fn register(&self, username: &str) -> Tokens {
        let answer = self.post("/api/v1/auth/register", &registration(username)).await;
        Tokens::from(answer).await
    }

    pub(crate) async fn login(&self, login: &str, password: &str) -> Response {
        canary::plant("password", password);
        self.post("/api/v1/auth/login", &json!({ "login": login, "password": password })).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Response {
        canary::plant("refresh token", token);
        self.post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
    }

    /// Looks into the database beside the server.
    pub(crate) fn query<T: Cell>(&self, sql: &str) -> T {
        self.place.query(sql)
    }

    /// Changes the database beside the server.
    pub(crate) fn execute(&self, sql: &str) {
        self.place.execute(sql);
    }
}

/// A registration that no other has the contacts of.
pub(crate) fn registration(username: &str) -> Value {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    json!({
        "second_login": username,
        "phone": format!("+7999{:07}", NEXT.fetch_add(1, Ordering::Relaxed)),
        "email": format!("{username}@example.com"),
        "profile": {"first_name": username},
        "password": PASSWORD,
        "group_names": ["customer"],
    })
}

pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    pub(crate) async fn from(answer: Response) -> Self {
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        let token = |name: &'static str| {
            let text = body[name].as_str().unwrap().to_owned();
            canary::plant(name, &text);
            text
        };
        Self { access: token("access_token"), refresh: token("refresh_token") }
    }
}

/// An answer that is to be refused: its status and body.
pub(crate) async fn refusal(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The binary as a process of its own.
pub(crate) struct Process {
    child: Running,
    pub(crate) address: SocketAddr,
    /// What it logged when it was ready.
    pub(crate) ready: Value,
    /// Reads what it logs once it is ready, and gives all of it at the end.
    log: thread::JoinHandle<String>,
}

/// Ends with the test, also with one that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The binary with settings for a test, ready to be started.
pub(crate) fn command(directory: &Path, more: &[(&str, &str)]) -> Command {
    plant_secrets(more);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostiary"));
    command
        .env_clear()
        .current_dir(directory)
        .env("HOST", "127.0.0.1")
        .env("PORT", "0")
        .env("JWT_SECRET_KEY", JWT_SECRET)
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts the binary and waits until it is ready.
    pub(crate) fn start(directory: &Path, more: &[(&str, &str)]) -> Self {
        Self::from_command(command(directory, more))
    }

    /// Starts the binary where no more than `count` files may be open.
    pub(crate) fn start_with_open_files(directory: &Path, count: u32, more: &[(&str, &str)]) -> Self {
        let plain = command(directory, more);
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", &format!("ulimit -n {count}; exec \"$0\"")]).arg(plain.get_program());
        limited.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::from_command(limited)
    }

    fn from_command(mut command: Command) -> Self {
        let mut child = Running(command.spawn().unwrap());
        let mut log = BufReader::new(child.0.stderr.take().unwrap());
        // Before it is ready it may say what it does to its database.
        let ready = loop {
            let mut line = String::new();
            log.read_line(&mut line).unwrap();
            canary::see(&line);
            let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line}"));
            assert_ne!(entry["level"], "ERROR", "not ready: {line}");
            if entry["service"].is_string() {
                break entry;
            }
        };
        let service = ready["service"].as_str().unwrap();
        let address = service.strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap();
        let log = thread::spawn(move || {
            let lines = log.lines().map(|line| line.unwrap() + "\n");
            lines.inspect(|line| canary::see(line)).collect()
        });
        Self { child, address, ready, log }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn kill(self) {
        self.end_by(Signal::KILL);
    }

    /// Ends it, and gives its exit code, if it has one, and what it has logged since it was ready.
    pub(crate) fn end_by(mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child.0);
        rustix::process::kill_process(pid, signal).unwrap();
        let status = self.child.0.wait().unwrap();
        let log = self.log.join().unwrap();
        canary::assert_none_seen();
        (status.code(), log)
    }
}
