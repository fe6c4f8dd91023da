//! `ostiary-bench`: what `bench/flood.sh` and `bench/saturation.sh` run. Prints figures, and asserts nothing.

#![expect(clippy::print_stdout, reason = "figures that were measured")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod flood;
mod saturation;

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
    /// As many logins as the server takes, beside as many hashes as the cores compute
    Saturation(Subject),
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

// One thread: the generator shares the server's cores, and should have little of them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match CommandLine::parse().bench {
        Bench::Flood { subject, bcrypt } => flood::run(&subject, bcrypt).await,
        Bench::Saturation(subject) => saturation::run(&subject).await,
    }
}
