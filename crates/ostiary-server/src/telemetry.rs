//! Logs: lines for people on a terminal, JSON elsewhere; on the standard error, so that what a command
//! prints stays its own.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogFormat {
    /// Whether lines are for people.
    #[must_use]
    pub fn is_text(self) -> bool {
        match self {
            Self::Auto => io::stderr().is_terminal(),
            Self::Text => true,
            Self::Json => false,
        }
    }
}

/// Starts logging, for the life of the process. Colour on a terminal only, and not under `NO_COLOR`.
pub fn start(format: LogFormat, filter: Targets, no_color: bool) {
    // The pool says so of every connection that an outage has ended; the requests that it has failed say more.
    let filter = filter.with_target("deadpool.postgres", LevelFilter::ERROR);
    let colour = io::stderr().is_terminal() && !no_color;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if format.is_text() {
        lines.with_target(false).with_ansi(colour).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
