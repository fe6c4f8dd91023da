//! The command line.

use std::{env, ffi::OsString, num::NonZero, process::ExitCode, thread};

use clap::{Parser, Subcommand};

use crate::config::{
    Settings,
    load::{self, Environment, LoadError, Loaded},
};

mod audit;
mod doctor;
mod keys;
mod migrate;
mod openapi;
mod paint;
mod serve;
mod service;
mod user;

/// Ostiary, a self-hosted authentication server.
#[derive(Debug, Parser)]
#[command(name = "ostiary", version = crate::VERSION, max_term_width = 100, subcommand_precedence_over_arg = true)]
struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve (the default)
    Serve,
    /// Bring the schema of the database up to date, and nothing else
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Say what the settings and the store amount to, without secrets
    Doctor,
    /// List, rotate and retire the keys that sign access tokens
    #[command(subcommand)]
    Keys(keys::KeysAction),
    /// Make, list and withdraw the credentials by which services ask about tokens
    #[command(subcommand)]
    Service(service::ServiceAction),
    /// Look after users
    #[command(subcommand)]
    User(user::UserAction),
    /// Print the audit trail: what has happened to accounts, sessions, keys and credentials
    Audit(audit::AuditArgs),
}

/// The settings are wrong; the BSD and GNU convention for wrong usage.
const USAGE: u8 = 2;

/// Runs the command that `arguments` name.
#[must_use]
pub fn run(arguments: &[OsString], environment: &Environment) -> ExitCode {
    let (action, settings) = match parse(arguments, environment) {
        Ok(parsed) => parsed,
        Err(LoadError::CommandLine(error)) => {
            // Help goes to the standard output with 0, a wrong command line to the standard error with 2.
            let _closed = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
        Err(LoadError::Values(problems)) => {
            paint::settings_refused(&problems);
            return ExitCode::from(USAGE);
        }
    };
    let no_color = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    match action {
        Action::Serve => serve::run(&settings, no_color),
        Action::Migrate => migrate::run(&settings, no_color),
        Action::Openapi => openapi::run(),
        Action::Doctor => doctor::run(&settings, no_color),
        Action::Keys(action) => keys::run(action, &settings, no_color),
        Action::Service(action) => service::run(action, &settings, no_color),
        Action::User(action) => user::run(action, &settings, no_color),
        Action::Audit(arguments) => audit::run(&arguments, &settings, no_color),
    }
}

/// The settings that `arguments` and `environment` give.
///
/// # Errors
/// All that is wrong with them.
pub fn settings(arguments: &[OsString], environment: &Environment) -> Result<Settings, LoadError> {
    parse(arguments, environment).map(|(_, settings)| settings)
}

fn parse(arguments: &[OsString], environment: &Environment) -> Result<(Action, Settings), LoadError> {
    let Loaded { command_line, settings, mut problems } =
        load::load::<Cli, Settings>(arguments, environment)?;
    problems.extend(settings.problems());
    let action = command_line.action.unwrap_or(Action::Serve);
    if problems.is_empty() { Ok((action, settings)) } else { Err(LoadError::Values(problems)) }
}

/// Runs `work` to its end, on a thread fewer than there are cores: the store's thread or the database beside wants one
/// too, and each thread that wakes wakes another to look for more, which on two cores costs logins 3 to 5 %
/// (`bench/README.md`). `TOKIO_WORKER_THREADS` says otherwise.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        builder.worker_threads(cores.saturating_sub(1).max(1));
    }
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| anyhow::anyhow!("the system gives no threads: {error}"))?;
    Ok(runtime.block_on(work))
}
