//! What Ostiary does, each work next to the most that the same machine can do of it, in turns.

#![expect(clippy::print_stderr, reason = "progress, beside the figures")]

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use ostiary_bench::{figure::Figure, machine, report::Report, turns::Turns};
use ostiary_core::clock::{Clock, SystemClock};

use self::stage::Stage;

mod flooded;
mod footprint;
mod passwords;
mod sessions;
mod stage;
mod tenfold;
mod verification;

/// How a run is made.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The binary of the server
    #[arg(long)]
    server: PathBuf,
    /// One that was built with the feature argon2-simd
    #[arg(long)]
    simd_server: Option<PathBuf>,
    /// Fewer and shorter turns, and nothing on ten times the data, for a first look
    #[arg(long)]
    quick: bool,
    /// These works alone
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Work>,
    /// The directory that the report is written into
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
    /// A file of Markdown that is put into the report below the figures
    #[arg(long)]
    append: Option<PathBuf>,
}

impl Options {
    fn asks_for(&self, work: Work) -> bool {
        if self.only.is_empty() { !(self.quick && work == Work::Tenfold) } else { self.only.contains(&work) }
    }
}

/// What is measured, in the order in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    /// Logins, Argon2id
    Login,
    /// The same by a server with the feature argon2-simd, if one is given
    Simd,
    /// Logins, bcrypt of cost 12
    Bcrypt,
    /// Registrations
    Register,
    /// Logins with all limits on requests, counted in Redis
    Limiter,
    /// Refreshes on PostgreSQL and on SQLite
    Refresh,
    /// Questions of users for their account, on both
    Me,
    /// Questions of services about access tokens, on both
    Introspect,
    /// Access tokens, verified by a service that has the key set
    Verification,
    /// From the start to the first 200, memory, and the size of the binary
    Footprint,
    /// Refreshes while others guess passwords
    Flood,
    /// Logins, refreshes and questions on ten times the data; not in a quick run, unless asked for
    Tenfold,
}

impl Work {
    async fn measure(self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        match self {
            Self::Login => passwords::login(bench).await,
            Self::Simd => passwords::login_simd(bench).await,
            Self::Bcrypt => passwords::login_bcrypt(bench).await,
            Self::Register => passwords::register(bench).await,
            Self::Limiter => passwords::login_limited(bench).await,
            Self::Refresh => sessions::refresh(bench).await,
            Self::Me => sessions::me(bench).await,
            Self::Introspect => sessions::introspect(bench).await,
            Self::Verification => verification::verification(bench).await,
            Self::Footprint => footprint::footprint(bench).await,
            Self::Flood => flooded::flooded(bench).await,
            Self::Tenfold => tenfold::tenfold(bench).await,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What all works have in common.
struct Bench {
    server: PathBuf,
    simd_server: Option<PathBuf>,
    is_quick: bool,
    turns: Turns,
    stage: Stage,
}

impl Bench {
    fn new(options: &Options) -> Self {
        let (count, each, warm_up) = if options.quick { (3, 1000, 500) } else { (5, 5000, 2000) };
        let [each, warm_up] = [each, warm_up].map(Duration::from_millis);
        Self {
            server: options.server.clone(),
            simd_server: options.simd_server.clone(),
            is_quick: options.quick,
            turns: Turns { count, each, warm_up },
            stage: Stage::default(),
        }
    }
}

/// Runs what is asked for, prints each figure once it is there, and writes the report. What fails does not keep
/// the others from being measured.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let begin = SystemClock.now();
    let appendix = options.append.as_ref().map(fs::read_to_string).transpose()?.unwrap_or_default();
    let bench = Bench::new(options);
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    for work in Work::value_variants() {
        if !options.asks_for(*work) {
            continue;
        }
        eprintln!("{}: measuring {}", elapsed(begin), work.name());
        match work.measure(&bench).await {
            Ok(measured) => {
                for figure in measured {
                    println!("{figure}");
                    figures.push(figure);
                }
            }
            Err(error) => {
                eprintln!("{} failed: {error:#}", work.name());
                failures.push(work.name());
            }
        }
    }
    let report = Report {
        name: format!("{}-{}", begin.strftime("%Y-%m-%d"), machine::commit())
            + if options.quick { "-quick" } else { "" },
        settings: settings(&bench, begin),
        machine: machine::describe(&options.server),
        figures,
        appendix,
    };
    let page = report.write(&options.results).context("the report cannot be written")?;
    eprintln!("{}: {}", elapsed(begin), page.display());
    anyhow::ensure!(failures.is_empty(), "failed: {}", failures.join(", "));
    Ok(())
}

fn settings(bench: &Bench, begin: jiff::Timestamp) -> Vec<(&'static str, String)> {
    let Turns { count, each, warm_up } = bench.turns;
    vec![
        ("begun", begin.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("took", elapsed(begin)),
        ("turns", format!("{count} of {each:?} each, after {warm_up:?} that do not count")),
        ("data", format!("{} users with two sessions each", stage::USERS)),
    ]
}

/// Minutes and seconds since then.
fn elapsed(begin: jiff::Timestamp) -> String {
    let seconds = SystemClock.now().as_second() - begin.as_second();
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}
