//! A database that servers come and go on, in a directory that goes with it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use ostiary_harness::postgres::Cluster;
use tempfile::TempDir;

/// The secret of every server that is measured (`SECRET_KEY`), so that tokens can be made without asking it.
pub const SECRET_KEY: &str = "the secret of a benchmark, which everybody knows";

/// An SQLite database, or a PostgreSQL of its own.
#[derive(Debug)]
pub struct Database {
    cluster: Option<Cluster>,
    directory: TempDir,
}

impl Database {
    /// One with nothing in it.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn new(postgres: bool) -> anyhow::Result<Self> {
        Ok(Self { cluster: postgres.then(|| Cluster::start(&[])), directory: TempDir::new()? })
    }

    /// The server that it is on, if it is not SQLite; the database is `postgres`.
    #[must_use]
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The file of an SQLite database.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("data/ostiary.db")
    }

    /// A command of `binary` on this database.
    ///
    /// # Errors
    /// If there is no such binary.
    pub fn command(&self, binary: &Path, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<Command> {
        // It runs in a directory of its own.
        let binary = binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?;
        let mut command = Command::new(binary);
        command.args(arguments).env_clear().current_dir(self.directory.path()).env("SECRET_KEY", SECRET_KEY);
        if let Some(cluster) = &self.cluster {
            command.env("DATABASE_URL", cluster.url("postgres"));
        }
        Ok(command)
    }

    /// Runs a command of `binary` to its end, and gives what it printed.
    ///
    /// # Errors
    /// If it fails, with all that it said.
    pub fn run(&self, binary: &Path, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<String> {
        let output = self.command(binary, arguments)?.stdin(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("a command failed: {printed}{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(printed)
    }
}
