//! Help: one command's is the manual of the settings; every other shows its own arguments, and points there.

use std::ffi::OsString;

use clap::{Command, error::ErrorKind};

/// The command that the settings are for; the others use some of them.
const MANUAL: &str = "serve";

const POINTER: &str = "The settings of the server are flags here too (--env-file, --data-dir, --database-url ...):\n\
                       `ostiary serve --help` describes them.";

/// The help that `arguments` ask for, in the place of `error`; any other error as it is.
pub(super) fn in_full(
    error: clap::Error,
    command_line: Command,
    settings: &Command,
    arguments: &[OsString],
) -> clap::Error {
    let is_help =
        matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    if !is_help {
        return error;
    }
    let described = settings.get_arguments().map(|setting| setting.clone().hide_env_values(true));
    let hidden = command_line.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    let command_line = pointing_to_the_manual(hidden)
        .mut_subcommand(MANUAL, |manual| manual.after_help(None::<&str>).args(described));
    command_line.try_get_matches_from(arguments).err().unwrap_or(error)
}

fn pointing_to_the_manual(command: Command) -> Command {
    command.after_help(POINTER).mut_subcommands(pointing_to_the_manual)
}
