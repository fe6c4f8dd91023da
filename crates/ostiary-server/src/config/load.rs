//! Loading the settings: flags, then the environment, then an `.env` file; every bad value is reported.

use std::{collections::HashMap, ffi::OsString, path::Path};

use clap::{Arg, ArgMatches, Command, FromArgMatches, error::ErrorKind, parser::ValueSource};

/// The environment variables of the process, as far as they are Unicode.
pub type Environment = HashMap<String, String>;

/// The settings cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// Help or the version was asked for, or the command line itself is wrong.
    CommandLine(clap::Error),
    /// Values are bad: what is wrong with each.
    Values(Vec<String>),
}

/// Reads `arguments` by `command`, each of whose arguments may also come from `environment` or from a
/// file that `ENV_FILE` names there. Returns the matches of the whole command line.
///
/// # Errors
/// All bad values at once.
pub fn load(
    command: &Command,
    arguments: &[OsString],
    environment: &Environment,
) -> Result<ArgMatches, LoadError> {
    let given = as_text(command)
        .try_get_matches_from(arguments)
        .map_err(|error| in_full(error, command, arguments))?;
    let (subcommand, innermost) =
        given.subcommand().map_or((None, &given), |(name, matches)| (Some(name), matches));
    let flag = |id: &str| given_on_command_line(innermost, id).or_else(|| given_on_command_line(&given, id));

    let mut problems = Vec::new();
    let env_file = flag("env_file").or_else(|| set(environment, "ENV_FILE"));
    let file = read_env_file(env_file.as_deref()).unwrap_or_else(|problem| {
        problems.push(problem);
        Environment::new()
    });

    let plain = without_environment(command);
    let mut accepted = Vec::new();
    for arg in command.get_arguments().filter(|arg| arg.get_env().is_some()) {
        let Some((value, source)) = value_of(arg, &flag, environment, &file) else { continue };
        let flag = format!("--{}={value}", arg.get_long().unwrap_or_default());
        match plain.clone().try_get_matches_from(["ostiary", &flag]) {
            Ok(_) => accepted.push(flag),
            Err(error) => problems.push(format!("{source}: {}", first_line(&error))),
        }
    }
    if !problems.is_empty() {
        return Err(LoadError::Values(problems));
    }
    let all = ["ostiary".to_owned()].into_iter().chain(accepted).chain(subcommand.map(str::to_owned));
    plain.try_get_matches_from(all).map_err(LoadError::CommandLine)
}

/// The settings in the matches that [`load`] gave.
///
/// # Errors
/// If `command` of [`load`] had other arguments.
pub fn settings<S: FromArgMatches>(matches: &ArgMatches) -> Result<S, LoadError> {
    S::from_arg_matches(matches).map_err(LoadError::CommandLine)
}

/// Help is that of the command as it is, with its variables and defaults.
fn in_full(error: clap::Error, command: &Command, arguments: &[OsString]) -> LoadError {
    let is_help =
        matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    let help = is_help.then(|| command.clone().try_get_matches_from(arguments).err()).flatten();
    LoadError::CommandLine(help.unwrap_or(error))
}

fn value_of(
    arg: &Arg,
    flag: &impl Fn(&str) -> Option<String>,
    environment: &Environment,
    file: &Environment,
) -> Option<(String, String)> {
    let name = arg.get_env()?.to_str()?;
    if let Some(value) = flag(arg.get_id().as_str()) {
        return Some((value, format!("--{}", arg.get_long()?)));
    }
    let value = set(environment, name).or_else(|| set(file, name))?;
    Some((value, name.to_owned()))
}

/// `NAME=`, as in a compose file, means that it is not set.
fn set(values: &Environment, name: &str) -> Option<String> {
    values.get(name).filter(|value| !value.is_empty()).cloned()
}

fn given_on_command_line(matches: &ArgMatches, id: &str) -> Option<String> {
    (matches.value_source(id) == Some(ValueSource::CommandLine))
        .then(|| matches.get_one::<String>(id).cloned())?
}

/// The command with every value taken as it is: it says which flags were given.
fn as_text(command: &Command) -> Command {
    without_environment(command).mut_args(|arg| {
        if arg.get_action().takes_values() {
            arg.value_parser(clap::builder::StringValueParser::new())
                .value_delimiter(None)
                .default_value(None)
        } else {
            arg
        }
    })
}

/// Otherwise clap would read the environment itself, and stop at the first bad value.
fn without_environment(command: &Command) -> Command {
    command.clone().mut_args(|arg| arg.env(None::<&str>))
}

fn read_env_file(named: Option<&str>) -> Result<Environment, String> {
    let path = Path::new(named.unwrap_or(".env"));
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() && named.is_none() => return Ok(Environment::new()),
        Err(error) => return Err(format!("ENV_FILE: {} cannot be read: {error}", path.display())),
    };
    // The parser's own message repeats the line, and with it perhaps a secret.
    lines
        .collect::<Result<_, _>>()
        .map_err(|_| format!("ENV_FILE: {} has a line that is not NAME=VALUE", path.display()))
}

/// What clap says, without its advice on usage.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}
