//! Loading the settings: flags, then the environment, then an `.env` file; every bad value is reported.

use std::{collections::HashMap, ffi::OsString, path::Path};

use clap::{Arg, ArgMatches, Command, FromArgMatches, error::ErrorKind, parser::ValueSource};

use super::env_file;

/// The environment variables of the process.
pub type Environment = HashMap<String, OsString>;

/// The settings cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// Help or the version was asked for, or the command line itself is wrong.
    CommandLine(clap::Error),
    /// Values are bad: what is wrong with each.
    Values(Vec<String>),
}

/// A command line, with the settings from everywhere else.
#[derive(Debug)]
pub struct Loaded {
    /// The matches of the whole; a bad value is left out, as if it had not been given.
    pub matches: ArgMatches,
    /// What is wrong with each bad value.
    pub problems: Vec<String>,
}

/// Reads `arguments` by `command`, each of whose arguments may also come from `environment` or from a
/// file that `ENV_FILE` names there.
///
/// # Errors
/// If the command line itself is wrong, or asks for help.
pub fn load(
    command: &Command,
    arguments: &[OsString],
    environment: &Environment,
) -> Result<Loaded, LoadError> {
    let given = as_text(command)
        .try_get_matches_from(arguments)
        .map_err(|error| in_full(error, command, arguments))?;
    let (subcommand, innermost) =
        given.subcommand().map_or((None, &given), |(name, matches)| (Some(name), matches));
    let flag = |id: &str| given_on_command_line(innermost, id).or_else(|| given_on_command_line(&given, id));

    let mut problems = Vec::new();
    let file = flag("env_file").or_else(|| set(environment, "ENV_FILE"));
    let file = read_env_file(file.as_ref()).unwrap_or_else(|problem| {
        problems.push(problem);
        Environment::new()
    });

    let plain = without_environment(command);
    let mut accepted = vec![OsString::from("ostiary")];
    for arg in command.get_arguments() {
        let Some((value, source)) = value_of(arg, &flag, environment, &file) else { continue };
        match check(&plain, arg, value) {
            Ok(flag) => accepted.push(flag),
            Err(problem) => problems.push(format!("{source}: {problem}")),
        }
    }
    accepted.extend(subcommand.map(OsString::from));
    let matches = plain.try_get_matches_from(accepted).map_err(LoadError::CommandLine)?;
    Ok(Loaded { matches, problems })
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

/// The value of an argument, and the name that it was given by.
fn value_of(
    arg: &Arg,
    flag: &impl Fn(&str) -> Option<OsString>,
    environment: &Environment,
    file: &Environment,
) -> Option<(OsString, String)> {
    let name = arg.get_env()?.to_str()?;
    match flag(arg.get_id().as_str()) {
        Some(value) => Some((value, format!("--{}", arg.get_long()?))),
        None => Some((set(environment, name).or_else(|| set(file, name))?, name.to_owned())),
    }
}

/// The flag that gives `value` to `arg`, if it is a good one.
fn check(plain: &Command, arg: &Arg, value: OsString) -> Result<OsString, String> {
    let value = value.into_string().map_err(|_| "not Unicode".to_owned())?;
    let flag = OsString::from(format!("--{}={value}", arg.get_long().unwrap_or_default()));
    match plain.clone().try_get_matches_from([OsString::from("ostiary"), flag.clone()]) {
        Ok(_) => Ok(flag),
        Err(error) => Err(first_line(&error)),
    }
}

/// `NAME=`, as in a compose file, means that it is not set.
fn set(values: &Environment, name: &str) -> Option<OsString> {
    values.get(name).filter(|value| !value.is_empty()).cloned()
}

fn given_on_command_line(matches: &ArgMatches, id: &str) -> Option<OsString> {
    if matches.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    // A list may be given piece by piece.
    let pieces: Vec<OsString> = matches.get_many::<OsString>(id)?.cloned().collect();
    Some(pieces.join(&OsString::from(","))).filter(|value| !value.is_empty())
}

/// The command with every value taken as it is: it says which flags were given.
fn as_text(command: &Command) -> Command {
    without_environment(command).mut_args(|arg| {
        if arg.get_action().takes_values() {
            arg.value_parser(clap::builder::OsStringValueParser::new())
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

fn read_env_file(named: Option<&OsString>) -> Result<Environment, String> {
    let path = named.map_or(Path::new(".env"), Path::new);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => String::new(),
        Err(error) => return Err(format!("ENV_FILE: {} cannot be read: {error}", path.display())),
    };
    let values = env_file::parse(&text);
    let values =
        values.map_err(|error| format!("ENV_FILE: {}, line {}: {error}", path.display(), error.line))?;
    Ok(values.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// What clap says, without its advice on usage.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}
