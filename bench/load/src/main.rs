//! `ostiary-bench`: what `bench/run.sh` and `bench/flood.sh` run. Prints figures, and asserts nothing.

#![expect(clippy::print_stdout, reason = "figures that were measured")]

use std::{fs, path::PathBuf};

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use ostiary_bench::{limit, peers};
use tokio::signal::unix::{SignalKind, signal};

mod flood;
mod run;

// That of the server, whose route from memory this is.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Figures of Ostiary under load")]
struct CommandLine {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// A flood of wrong logins beside users who refresh and log in
    Flood {
        #[command(flatten)]
        subject: Subject,
        /// Let passwords be hashed with bcrypt
        #[arg(long)]
        bcrypt: bool,
    },
    /// What Ostiary does, each work next to the most that the same machine can do of it
    Run(run::Options),
    /// What a user would pick instead, in turns with Ostiary on the same work, store and hash
    Peers {
        /// The binary of the server
        #[arg(long)]
        server: PathBuf,
        /// The same with the feature argon2-simd, for logins next to a peer that hashes by the crate of it
        #[arg(long, value_name = "SERVER")]
        simd_server: Option<PathBuf>,
        /// Fewer and shorter turns, for a first look
        #[arg(long)]
        quick: bool,
        /// This peer alone, by the name of its folder in bench/peers
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
        /// Write what was measured into this file, too
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Give one answer from memory to whoever asks: a limit, started by the other benches
    #[command(hide = true)]
    Route {
        /// A file with the answer as a server gave it, head and body
        #[arg(long)]
        answer: PathBuf,
    },
}

/// What is measured, and how.
#[derive(Debug, Args)]
struct Subject {
    /// The binary of the server
    #[arg(long)]
    server: PathBuf,
    /// On a PostgreSQL of its own instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// A third of the time, for a first look
    #[arg(long)]
    quick: bool,
}

impl Subject {
    /// A time of so many seconds.
    fn seconds(&self, seconds: u32) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(if self.quick { seconds.div_ceil(3) } else { seconds }))
    }

    fn store(&self) -> &'static str {
        if self.postgres { "PostgreSQL" } else { "SQLite" }
    }
}

fn main() -> anyhow::Result<()> {
    let bench = CommandLine::parse().bench;
    if let Bench::Route { answer } = bench {
        return limit::route::serve(&answer);
    }
    // One thread: the generator shares the server's cores, and should have little of them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(unless_interrupted(measure(bench)))
}

/// Gives up when it is told to, so that what was started is stopped and removed.
async fn unless_interrupted(measuring: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        measured = measuring => measured,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into).and_then(|()| bail!("interrupted")),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn measure(bench: Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Flood { subject, bcrypt } => flood::run(&subject, bcrypt).await,
        Bench::Run(options) => run::run(&options).await,
        Bench::Peers { server, simd_server, quick, only, json } => {
            let options = peers::Options { server, simd_server, quick, only };
            let reports = peers::run(&options).await?;
            for report in &reports {
                println!("{report}");
            }
            if let Some(file) = json {
                fs::write(file, serde_json::to_string_pretty(&reports)?)?;
            }
            Ok(())
        }
        Bench::Route { .. } => unreachable!("it has threads of its own"),
    }
}
