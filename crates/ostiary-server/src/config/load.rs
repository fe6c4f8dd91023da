//! Loading the settings: flags, then the environment, then an `.env` file; every bad value is reported.
//!
//! The command line is read twice. First with the settings as text, which tells the command, its own
//! arguments, and which settings are flags; then the settings alone, from everywhere, each by itself.

use std::{collections::HashMap, ffi::OsString, path::Path};

use clap::{
    Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, builder::OsStringValueParser,
    parser::ValueSource,
};

use super::{env_file, help};

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

/// A command line `C`, with the settings `S` from there and from everywhere else.
#[derive(Debug)]
pub struct Loaded<C, S> {
    /// The command and its own arguments.
    pub command_line: C,
    /// The settings; a bad value is left out, as if it had not been given.
    pub settings: S,
    /// What is wrong with each bad value.
    pub problems: Vec<String>,
}

/// Reads `arguments` as a command line `C`, each command of which takes all of the settings `S` as flags;
/// a setting may also come from `environment`, or from a file that `ENV_FILE` names there.
///
/// # Errors
/// If the command line itself is wrong, or asks for help.
pub fn load<C: CommandFactory + FromArgMatches, S: Args>(
    arguments: &[OsString],
    environment: &Environment,
) -> Result<Loaded<C, S>, LoadError> {
    let settings = S::augment_args(Command::new("settings").no_binary_name(true));
    let command_line = C::command().args(settings.get_arguments().map(as_text));
    let given = command_line
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| LoadError::CommandLine(help::in_full(error, command_line, &settings, arguments)))?;

    let mut problems = Vec::new();
    let file = flag(&given, "env_file").or_else(|| set(environment, "ENV_FILE"));
    let file = read_env_file(file.as_ref()).unwrap_or_else(|problem| {
        problems.push(problem);
        Environment::new()
    });

    // Otherwise clap would read the environment itself, and stop at the first bad value.
    let plain = settings.clone().mut_args(|arg| arg.env(None::<&str>));
    let mut accepted = Vec::new();
    for arg in settings.get_arguments() {
        let Some((value, source)) = value_of(arg, &given, environment, &file) else { continue };
        match check(&plain, arg, value) {
            Ok(flag) => accepted.push(flag),
            Err(problem) => problems.push(format!("{source}: {problem}")),
        }
    }
    let accepted = plain.try_get_matches_from(accepted).map_err(LoadError::CommandLine)?;
    Ok(Loaded {
        command_line: C::from_arg_matches(&given).map_err(LoadError::CommandLine)?,
        settings: S::from_arg_matches(&accepted).map_err(LoadError::CommandLine)?,
        problems,
    })
}

/// A setting as a flag of every command, whose value is taken as it is.
fn as_text(setting: &Arg) -> Arg {
    setting
        .clone()
        .global(true)
        .env(None::<&str>)
        .default_value(None)
        .value_delimiter(None)
        .value_parser(OsStringValueParser::new())
}

/// The value of an argument, and the name that it was given by.
fn value_of(
    arg: &Arg,
    given: &ArgMatches,
    environment: &Environment,
    file: &Environment,
) -> Option<(OsString, String)> {
    let name = arg.get_env()?.to_str()?;
    match flag(given, arg.get_id().as_str()) {
        Some(value) => Some((value, format!("--{}", arg.get_long()?))),
        None => Some((set(environment, name).or_else(|| set(file, name))?, name.to_owned())),
    }
}

/// The flag that gives `value` to `arg`, if it is a good one.
fn check(plain: &Command, arg: &Arg, value: OsString) -> Result<OsString, String> {
    let value = value.into_string().map_err(|_| "not Unicode".to_owned())?;
    let flag = OsString::from(format!("--{}={value}", arg.get_long().unwrap_or_default()));
    match plain.clone().try_get_matches_from([&flag]) {
        Ok(_) => Ok(flag),
        Err(error) => Err(first_line(&error)),
    }
}

/// `NAME=`, as in a compose file, means that it is not set.
fn set(values: &Environment, name: &str) -> Option<OsString> {
    values.get(name).filter(|value| !value.is_empty()).cloned()
}

/// What a setting is given as on the command line; an empty value is none.
fn flag(given: &ArgMatches, id: &str) -> Option<OsString> {
    if given.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    // A list may be given piece by piece.
    let pieces: Vec<OsString> = given.get_many::<OsString>(id)?.cloned().collect();
    Some(pieces.join(&OsString::from(","))).filter(|value| !value.is_empty())
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

#[cfg(test)]
mod tests;
