//! The binary, as a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::database::Database;

/// A server that is asked.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// When its process was started.
    pub started_at: Instant,
    // There for as long as the server runs.
    _database: Arc<Database>,
}

impl Server {
    /// Starts `binary` with `settings` by the names of environment variables, on an SQLite database or a
    /// PostgreSQL of its own, without limits on requests unless these say otherwise.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(binary: &Path, postgres: bool, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_on(&Arc::new(Database::new(postgres)?), binary, settings)
    }

    /// As [`Self::start`], on a database that may outlive it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_on(
        database: &Arc<Database>,
        binary: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = database.command(binary, &["serve"])?;
        command.envs([("HOST", "127.0.0.1"), ("PORT", "0"), ("LOG_FORMAT", "json"), ("LOG_LEVEL", "info")]);
        if knows(binary, "RATE_LIMITS")? {
            command.env("RATE_LIMITS", "off");
        }
        command.envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started_at = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{} does not start", binary.display()))?;
        let log = child.stderr.take().context("its log is piped")?;
        match ready(BufReader::new(log)) {
            Ok(address) => Ok(Self { child, address, started_at, _database: Arc::clone(database) }),
            Err(error) => {
                // It may have ended.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// A member of `/proc/PID/status` in MiB: `VmRSS`, or `VmHWM`, the most that it ever was.
    ///
    /// # Errors
    /// If there is no such member.
    #[expect(clippy::cast_precision_loss, reason = "a size is far below 2^52")]
    pub fn mebibytes(&self, member: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(member)?.strip_prefix(':'));
        let kibibytes: u64 =
            line.and_then(|line| line.split_whitespace().next()).context("no figure")?.parse()?;
        Ok(kibibytes as f64 / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Whether the binary has a setting of this name.
fn knows(binary: &Path, setting: &str) -> anyhow::Result<bool> {
    let help = Command::new(binary).args(["serve", "--help"]).env_clear().output()?;
    Ok(String::from_utf8_lossy(&help.stdout).contains(setting))
}

/// Reads the log until the server is ready, and from then on lets nothing stand in its way.
fn ready(mut log: BufReader<impl std::io::Read + Send + 'static>) -> anyhow::Result<SocketAddr> {
    let mut before = String::new();
    loop {
        let start = before.len();
        if log.read_line(&mut before)? == 0 {
            bail!("the server did not start:\n{before}");
        }
        let entry: Value = serde_json::from_str(&before[start..]).unwrap_or(Value::Null);
        if let Some(service) = entry["service"].as_str() {
            let address = service.strip_prefix("http://").and_then(|rest| rest.split('/').next());
            let address = address.context("an address")?.parse()?;
            thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            return Ok(address);
        }
    }
}
