//! A server that is measured: started on its store, with users who have sessions, and asked for one kind of work.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use http::Request;
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    api::{Api, Call, NAME, Session},
    process::Process,
};
use crate::{
    client::{Answer, Client, NO_ANSWER},
    load,
    samples::Samples,
    wire::Wire,
};

/// Clients who ask, each as soon as the last request is answered, each with a session of its own.
pub(super) const CONNECTIONS: usize = 16;
/// As many as there may be.
pub(super) const MOST_CONNECTIONS: usize = 64;
/// Users who log in; enough that none has as many sessions as one may have.
const USERS: usize = 128;
/// How long a start may take, or a request that is repeated.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often the memory is looked at while it works.
const LOOK: Duration = Duration::from_millis(500);

/// What start scripts need of the environment.
const KEPT: [&str; 3] = ["CARGO_TARGET_DIR", "HOME", "PATH"];

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// With a password.
    LogIn,
    /// Of a session.
    Refresh,
    /// Whose session it is.
    Me,
}

/// What a service is made of.
pub(super) struct Make<'a> {
    /// What it is called in errors.
    pub name: &'static str,
    /// The program, which takes `migrate` and `serve`.
    pub program: &'a Path,
    /// How it is asked.
    pub api: &'static Api,
    /// Its settings, by the names of environment variables.
    pub settings: Vec<(&'static str, String)>,
    /// Where it keeps what it keeps in files, and what it says.
    pub directory: &'a Path,
}

/// A service that serves.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    process: Process,
    client: Client,
    api: &'static Api,
    /// One of each client.
    sessions: Vec<Mutex<Session>>,
}

impl Make<'_> {
    /// Makes its database.
    ///
    /// # Errors
    /// If it cannot; with what it said.
    pub(super) fn migrate(&self) -> anyhow::Result<()> {
        run(self.command("migrate").env("PORT", "0"))
    }

    /// Starts it on its database; gives it, and how long it took until it answered.
    ///
    /// # Errors
    /// If it does not start; with what it said.
    pub(super) async fn serve(&self) -> anyhow::Result<(Service, Duration)> {
        let address = free_address()?;
        let log = self.directory.join("log");
        let file = std::fs::File::create(&log)?;
        let mut command = self.command("serve");
        command.env("PORT", address.port().to_string()).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        let client = Client::http1(address);
        let begun = Instant::now();
        let mut process = Process::start(&mut command)?;
        while client.ask(Request::get(self.api.ready), bytes::Bytes::new()).await.status != 200 {
            if process.has_ended()? || begun.elapsed() > PATIENCE {
                bail!("{} does not start: {}", self.name, std::fs::read_to_string(&log)?.trim());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = begun.elapsed();
        Ok((Service { name: self.name, process, client, api: self.api, sessions: Vec::new() }, took))
    }

    fn command(&self, action: &str) -> Command {
        let mut command = guarded(self.program, action);
        // Nothing that is set for other programs of this name.
        command.env_clear();
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("DATA", self.directory).env("DATA_DIR", self.directory);
        command
    }
}

impl Service {
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Registers users, and gives a session to each client.
    ///
    /// # Errors
    /// If it is refused.
    pub(super) async fn fill(mut self) -> anyhow::Result<Arc<Self>> {
        let api = self.api;
        let client = Arc::new(self.client);
        let mut registering = JoinSet::new();
        for first in 0..CONNECTIONS {
            let client = Arc::clone(&client);
            registering.spawn(async move {
                for user in (first..USERS).step_by(CONNECTIONS) {
                    answer_to(&client, || (api.register)(user)).await.context("a registration")?;
                }
                let mut sessions = Vec::new();
                for user in (first..MOST_CONNECTIONS).step_by(CONNECTIONS) {
                    let answer = answer_to(&client, || (api.log_in)(user)).await.context("a login")?;
                    sessions.push((api.session)(&answer).context("a login gives a session")?);
                }
                anyhow::Ok(sessions)
            });
        }
        while let Some(registered) = registering.join_next().await {
            self.sessions.extend(registered.context("a client does not panic")??.into_iter().map(Mutex::new));
        }
        self.client = Arc::into_inner(client).context("all have registered")?;
        self.check().await?;
        Ok(Arc::new(self))
    }

    /// Sees that all sessions are good: one of the peers answers 200 if there is none.
    ///
    /// # Errors
    /// If one is not.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        for session in &self.sessions {
            let answer = (self.api.me)(&*session.lock().await).send(&self.client).await;
            let is_known = answer.status == 200 && answer.body.to_string().contains(NAME);
            ensure!(is_known, "{} does not know a session: {} {}", self.name, answer.status, answer.body);
        }
        Ok(())
    }

    /// Does one work for a duration, for so many clients; gives how long each request took, and the most memory in MiB.
    ///
    /// # Errors
    /// If nothing is known of its memory.
    pub(super) async fn work(
        self: &Arc<Self>,
        work: Work,
        connections: usize,
        duration: Duration,
    ) -> anyhow::Result<(Samples, f64)> {
        let service = Arc::clone(self);
        // New ones each time: while others have their turn, some services close what is idle.
        let mut wires = Vec::new();
        for _ in 0..connections {
            wires.push(Mutex::new(Wire::open(self.client.address()).await?));
        }
        let wires = Arc::new(wires);
        let working = load::closed(connections, duration, move |client, number| {
            let (service, wires) = (Arc::clone(&service), Arc::clone(&wires));
            async move {
                let wire = &mut *wires[client].lock().await;
                match work {
                    Work::LogIn => service.log_in(number * connections + client).await,
                    Work::Refresh => service.refresh(client, wire).await,
                    Work::Me => service.me(client, wire).await,
                }
            }
        });
        tokio::pin!(working);
        let mut most = self.process.mebibytes()?;
        let samples = loop {
            tokio::select! {
                samples = &mut working => break samples,
                () = tokio::time::sleep(LOOK) => most = most.max(self.process.mebibytes()?),
            }
        };
        Ok((samples, most.max(self.process.mebibytes()?)))
    }

    async fn log_in(&self, number: usize) -> u16 {
        (self.api.log_in)(number % USERS).send(&self.client).await.status
    }

    /// Who rotates gives the next session; who does not may give the same again, or none.
    async fn refresh(&self, client: usize, wire: &mut Wire) -> u16 {
        let mut session = self.sessions[client].lock().await;
        let refresh = self.api.refresh.expect("only what a service has is measured");
        let status = wire.exchange(&refresh(&session).into_bytes()).await.unwrap_or(NO_ANSWER);
        if let Some(next) = wire.read_answer().ok().and_then(|answer| (self.api.session)(&answer)) {
            *session = next;
        }
        status
    }

    async fn me(&self, client: usize, wire: &mut Wire) -> u16 {
        let call = (self.api.me)(&*self.sessions[client].lock().await);
        wire.exchange(&call.into_bytes()).await.unwrap_or(NO_ANSWER)
    }
}

/// The answer to a request that is repeated as long as the service has no time for it.
///
/// # Errors
/// If it is refused.
async fn answer_to(client: &Client, call: impl Fn() -> Call) -> anyhow::Result<Answer> {
    let begun = Instant::now();
    loop {
        let answer = call().send(client).await;
        match answer.status {
            200..300 => return Ok(answer),
            503 if begun.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            status => bail!("it was answered with {status}: {}", answer.body),
        }
    }
}

/// A program that is told to end when this process has ended, in whatever way: nobody else would end it.
pub(super) fn guarded(program: &Path, action: &str) -> Command {
    // From util-linux.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program).arg(action);
    command
}

/// Runs a command to its end, which must be a good one.
///
/// # Errors
/// If it is not; with what it said.
pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    ensure!(output.status.success(), "{}: {}{}", output.status, out.trim(), err.trim());
    Ok(())
}

/// An address of this machine that nobody listens on.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
