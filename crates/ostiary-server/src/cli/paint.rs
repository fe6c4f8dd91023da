//! What commands print for people: colour on a terminal, plain text elsewhere.

#![expect(clippy::print_stderr, reason = "printing is what a command is for")]

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use jiff::Timestamp;

/// ANSI styles, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    pub(super) fn for_stdout(no_color: bool) -> Self {
        Self(io::stdout().is_terminal() && !no_color)
    }

    pub(super) fn for_stderr(no_color: bool) -> Self {
        Self(io::stderr().is_terminal() && !no_color)
    }

    fn style(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.style("1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.style("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.style("31", text)
    }
}

/// A name and what it is, on the standard error.
pub(super) fn fact(paint: Paint, name: &str, value: &str) {
    // The padding is inside the style, or its invisible characters would count.
    eprintln!("  {} {value}", paint.bold(&format!("{name:<8}")));
}

/// A line on the standard output; nobody may be reading it any more.
pub(super) fn line(text: &str) {
    let _closed = try_line(text);
}

/// A line on the standard output, for whoever wants to know whether it is read.
pub(super) fn try_line(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// How a command ends that has said all it has to say, unless it failed.
pub(super) fn exit_code(done: anyhow::Result<()>, no_color: bool) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure(no_color, &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A time without fractions of a second.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// Why a command ends here.
pub(super) fn failure(no_color: bool, text: &str) {
    eprintln!("{} {text}", Paint::for_stderr(no_color).bad("ostiary:"));
}

pub(super) fn settings_refused(problems: &[String]) {
    let count = problems.len();
    eprintln!("ostiary: {count} setting{} cannot be used:", if count == 1 { "" } else { "s" });
    for problem in problems {
        eprintln!("  - {problem}");
    }
    eprintln!("`ostiary serve --help` describes every setting.");
}
