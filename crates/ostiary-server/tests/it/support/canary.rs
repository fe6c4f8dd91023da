//! Canaries: the secrets that tests plant, which are to be found in no log, answer or database.
//!
//! Whatever this process logs, at every level, is searched as it is written, and so is every line of the
//! binaries that it starts. Tests of one process search for each other's canaries too: that does no harm.

use std::{
    collections::VecDeque,
    io, str,
    sync::{LazyLock, Mutex, Once},
    thread,
};

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{self, format::FmtSpan},
    prelude::*,
};

use super::{JWT_SECRET, PASSWORD};

/// So many of the first canaries are searched for, and so many of the latest: a test under load has thousands.
const KEPT: usize = 32;
/// So many lines are searched again for what is planted after them: a test learns a token from an answer, when
/// lines about it are written already.
const LINES: usize = 128;
/// So many characters at the end of a secret stand for it, so that a piece of a token is found too: 128 bits in
/// base64.
const PIECE: usize = 22;
/// What is shorter than this may stand anywhere by accident, and is no canary.
const LEAST: usize = 12;

static ALL: LazyLock<Mutex<Canaries>> = LazyLock::new(|| {
    let mut canaries = Canaries::default();
    canaries.plant("password", PASSWORD);
    canaries.plant("JWT_SECRET_KEY", JWT_SECRET);
    Mutex::new(canaries)
});

/// From now on nothing may show this secret.
pub(crate) fn plant(name: &'static str, secret: &str) {
    ALL.lock().unwrap().plant(name, secret);
}

/// Searches a line that a program has logged.
pub(crate) fn see(line: &str) {
    ALL.lock().unwrap().see(line);
}

/// Panics if a line that was logged until now has a canary.
#[track_caller]
pub(crate) fn assert_none_seen() {
    let found = ALL.lock().unwrap().found.clone();
    assert_eq!(found, None, "a secret is in the log");
}

/// The log of this process is searched; at the end of this, whatever was found fails the test.
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn begin() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| searched_by(&ALL).init());
        Self
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_none_seen();
        }
    }
}

/// A log in which whatever is written is searched: events, and spans with all of their fields when they end.
fn searched_by(canaries: &'static Mutex<Canaries>) -> impl Subscriber + Send + Sync {
    // The client is the test's own, and says more than the server.
    let filter =
        Targets::new().with_default(Level::TRACE).with_target("hyper_util::client", LevelFilter::OFF);
    let lines = fmt::layer().with_span_events(FmtSpan::CLOSE).with_ansi(false).without_time();
    tracing_subscriber::registry().with(lines.with_writer(move || Search(canaries)).with_filter(filter))
}

/// Is given a line at each call.
struct Search(&'static Mutex<Canaries>);

impl io::Write for Search {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().see(str::from_utf8(line).unwrap());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Canary {
    name: &'static str,
    secret: String,
    /// Where its last [`PIECE`] characters begin.
    piece: usize,
}

impl Canary {
    fn piece(&self) -> &str {
        &self.secret[self.piece..]
    }
}

/// Canaries, and the lines in which they are searched for.
#[derive(Default)]
pub(crate) struct Canaries {
    /// The first and the latest.
    planted: Vec<Canary>,
    /// The latest.
    lines: VecDeque<String>,
    /// The first line with a canary, which stands there as its name.
    found: Option<String>,
}

impl Canaries {
    pub(crate) fn plant(&mut self, name: &'static str, secret: &str) {
        let is_known = self.planted.iter().any(|canary| canary.secret == secret);
        if is_known || secret.chars().count() < LEAST {
            return;
        }
        if self.planted.len() == 2 * KEPT {
            self.planted.remove(KEPT);
        }
        let piece = secret.char_indices().nth_back(PIECE - 1).map_or(0, |(at, _)| at);
        let canary = Canary { name, secret: secret.to_owned(), piece };
        let shown = self.lines.iter().find(|line| line.contains(canary.piece())).cloned();
        self.planted.push(canary);
        self.found = self.found.take().or_else(|| shown.and_then(|line| self.search(&line)));
    }

    fn see(&mut self, line: &str) {
        self.found = self.found.take().or_else(|| self.search(line));
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// Panics if there is a canary in `text`, which is `place`.
    #[track_caller]
    pub(crate) fn assert_none_in(&self, place: &str, text: &str) {
        assert_eq!(self.search(text), None, "a secret is in {place}");
    }

    /// The first line of `text` that has a canary, each of which stands there as its name.
    fn search(&self, text: &str) -> Option<String> {
        let found: Vec<&Canary> =
            self.planted.iter().filter(|canary| text.contains(canary.piece())).collect();
        let line = text.lines().find(|line| found.iter().any(|canary| line.contains(canary.piece())))?;
        Some(found.iter().fold(line.to_owned(), |line, canary| {
            let name = format!("<canary {}>", canary.name);
            line.replace(&canary.secret, &name).replace(canary.piece(), &name)
        }))
    }
}

const TOKEN: &str = "ort_AQGbL1hqd3yRgqv0aZkAAAAAc2VjcmV0c2VjcmV0c2VjcmV0bWFjbWFjbWFjbWFj";

#[test]
fn a_line_with_a_canary_or_the_end_of_one_is_found_and_does_not_show_it() {
    for shown in [TOKEN, &TOKEN[TOKEN.len() - PIECE..]] {
        let mut canaries = Canaries::default();
        canaries.plant("token", TOKEN);
        canaries.plant("password", "correct horse");
        canaries.see("INFO a request was answered id=1");
        assert_eq!(canaries.found, None);
        canaries.see(&format!("INFO it was token={shown} password=\"correct horse\" id=2"));
        let line = "INFO it was token=<canary token> password=\"<canary password>\" id=2";
        assert_eq!(canaries.found.as_deref(), Some(line));
    }
}

#[test]
fn a_canary_that_is_planted_after_the_line_is_found_too() {
    let mut canaries = Canaries::default();
    canaries.see(&format!("INFO a token was made: {TOKEN}"));
    canaries.see("INFO a request was answered id=1");
    assert_eq!(canaries.found, None);
    canaries.plant("token", TOKEN);
    assert_eq!(canaries.found.as_deref(), Some("INFO a token was made: <canary token>"));
}

#[test]
fn of_many_canaries_the_first_and_the_latest_are_searched_for() {
    let mut canaries = Canaries::default();
    let secret = |number: usize| format!("the secret with the number {number:04}");
    (0..1000).for_each(|number| canaries.plant("secret", &secret(number)));
    for (number, is_found) in [(0, true), (31, true), (32, false), (967, false), (968, true), (999, true)] {
        assert_eq!(canaries.search(&secret(number)).is_some(), is_found, "{number}");
    }
    canaries.plant("short", "password");
    assert_eq!(canaries.search("a password"), None, "it is a word like others");
}

#[test]
fn events_and_the_fields_of_spans_are_searched() {
    let events: [fn(&str); 3] = [
        |secret| tracing::trace!("it was {secret}"),
        |secret| tracing::error!(target: "elsewhere", token = secret, "it was this"),
        |secret| drop(tracing::trace_span!("a span without an event", token = ?secret)),
    ];
    for event in events {
        let canaries: &'static Mutex<Canaries> = Box::leak(Box::default());
        canaries.lock().unwrap().plant("token", TOKEN);
        tracing::subscriber::with_default(searched_by(canaries), || event(TOKEN));
        let found = canaries.lock().unwrap().found.clone();
        assert!(found.is_some_and(|line| line.contains("<canary token>")));
    }
}
