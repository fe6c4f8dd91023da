//! `ostiary audit`

use std::{collections::HashSet, io, process::ExitCode, time::Duration};

use clap::{Args, builder::PossibleValuesParser};
use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    audit::AuditAction,
    clock::earlier,
    id::{EventId, UserId},
    store::{AuditQuery, RecordedEvent, Store},
};
use serde_json::json;

use super::paint::{self, Paint};
use crate::{config::Settings, startup, telemetry};

/// How often new events are looked for.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// An event can become visible this much after its time: no statement takes longer.
const LATEST_COMMIT: SignedDuration = SignedDuration::from_secs(10);

/// Which events to print.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Go on printing events as they happen
    #[arg(long, short)]
    follow: bool,
    /// At most so many events: the newest
    #[arg(long, short = 'n', default_value_t = 100, value_name = "COUNT")]
    limit: u32,
    /// Events about this user alone
    #[arg(long, value_name = "ID", value_parser = parse_user)]
    user: Option<UserId>,
    /// Events of this action alone; can be given several times
    #[arg(long, value_name = "NAME",
          value_parser = PossibleValuesParser::new(AuditAction::ALL.map(AuditAction::as_str)))]
    action: Vec<String>,
    /// Events since then: a time such as 2026-11-22T12:00:00Z, or how long ago, such as 90s, 15m, 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Since>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy)]
enum Since {
    Time(Timestamp),
    Ago(SignedDuration),
}

fn parse_user(text: &str) -> Result<UserId, String> {
    UserId::parse(text).ok_or_else(|| "not the id of a user, such as the `sub` of a token".to_owned())
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(time) = text.parse() {
        return Ok(Since::Time(time));
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let ago = match days {
        Some(days) => Ok(SignedDuration::from_hours(24 * i64::from(days))),
        None => text.parse::<SignedDuration>(),
    };
    ago.map(|ago| Since::Ago(ago.abs()))
        .map_err(|_| "not a time such as 2026-11-22T12:00:00Z, or 2h".to_owned())
}

pub(super) fn run(arguments: &AuditArgs, settings: &Settings, no_color: bool) -> ExitCode {
    telemetry::start(settings.log_format, settings.log_level.clone(), no_color);
    let done = super::block_on(print(arguments, settings, no_color));
    paint::exit_code(done.flatten(), no_color)
}

async fn print(arguments: &AuditArgs, settings: &Settings, no_color: bool) -> anyhow::Result<()> {
    let (store, clock) = startup::open_existing(settings).await?;
    let since = arguments.since.map(|since| match since {
        Since::Time(time) => time,
        Since::Ago(ago) => earlier(clock.now(), ago),
    });
    let query = AuditQuery {
        since,
        user_id: arguments.user,
        actions: arguments.action.clone(),
        limit: arguments.limit,
    };
    let printer = Printer { paint: Paint::for_stdout(no_color), as_json: arguments.json };
    let start = clock.now();
    let before =
        if arguments.follow { store.audit_events(&all_since(start, &query)).await? } else { Vec::new() };
    let shown = printer.print_all(&store.audit_events(&query).await?);
    // Whoever reads may have had enough.
    let Ok(shown) = shown else { return Ok(()) };
    if arguments.follow {
        // What was there before, and was not asked for, is not new.
        let shown = before.into_iter().map(|event| event.id).chain(shown).collect();
        follow(&*store, query, shown, start, &printer).await;
    } else if shown.is_empty() {
        paint::note("There are no such events.");
    }
    Ok(())
}

/// All that `query` is about and that may have become visible since `time`.
fn all_since(time: Timestamp, query: &AuditQuery) -> AuditQuery {
    AuditQuery { since: Some(earlier(time, LATEST_COMMIT)), limit: u32::MAX, ..query.clone() }
}

/// Prints what is new, again and again, until nobody reads any more.
async fn follow(
    store: &dyn Store,
    query: AuditQuery,
    mut shown: HashSet<EventId>,
    mut newest: Timestamp,
    printer: &Printer,
) {
    let mut was_failing = false;
    loop {
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let events: Vec<RecordedEvent> = match store.audit_events(&all_since(newest, &query)).await {
            Ok(events) => events,
            Err(error) => {
                if !was_failing {
                    let cause = error.with_causes();
                    paint::note(&format!("the store does not answer ({cause}); trying again"));
                }
                was_failing = true;
                continue;
            }
        };
        was_failing = false;
        let (known, new): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| shown.contains(&event.id));
        newest = new.iter().map(|event| event.at).max().map_or(newest, |at| newest.max(at));
        let Ok(just_shown) = printer.print_all(&new) else { return };
        shown = known.into_iter().map(|event| event.id).chain(just_shown).collect();
    }
}

struct Printer {
    paint: Paint,
    as_json: bool,
}

impl Printer {
    /// Prints events and says which.
    fn print_all(&self, events: &[RecordedEvent]) -> io::Result<HashSet<EventId>> {
        let print = |event: &RecordedEvent| {
            let line = if self.as_json { as_json(event) } else { self.as_text(event) };
            paint::try_line(&line).map(|()| event.id)
        };
        events.iter().map(print).collect()
    }

    fn as_text(&self, event: &RecordedEvent) -> String {
        let action = format!("{:<26}", event.action);
        let is_alarming = ["user_login_failed", "refresh_token_reused", "password_refused"];
        let action = if is_alarming.contains(&event.action.as_str()) {
            self.paint.bad(&action)
        } else {
            self.paint.bold(&action)
        };
        let fields = [
            Some(("by", event.actor.clone())),
            event.user_id.map(|id| ("user", id.to_string())),
            event.session_id.map(|id| ("session", id.to_string())),
            event.subject.clone().map(|subject| ("subject", subject)),
            event.address.map(|address| ("from", address.to_string())),
            // Quoted and escaped: a client can call itself anything.
            event.user_agent.as_ref().map(|name| ("agent", format!("{name:?}"))),
        ];
        let fields: Vec<_> =
            fields.into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        // To the millisecond, and all of the same width.
        let at = event.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        format!("{at}  {action} {}", fields.join(" "))
    }
}

fn as_json(event: &RecordedEvent) -> String {
    json!({
        "at": event.at.to_string(),
        "action": event.action,
        "actor": event.actor,
        "user_id": event.user_id.map(|id| id.to_string()),
        "session_id": event.session_id.map(|id| id.to_string()),
        "subject": event.subject,
        "address": event.address,
        "user_agent": event.user_agent,
        "id": event.id.to_string(),
    })
    .to_string()
}
