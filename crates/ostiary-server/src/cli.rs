//! The command line.

use std::{ffi::OsString, process::ExitCode};

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

/// Runs `work` to its end, on as many threads as there are cores.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| anyhow::anyhow!("the system gives no threads: {error}"))?;
    Ok(runtime.block_on(work))
}
