//! A flood of wrong logins, and what users notice of it: before, during and after.

use std::{sync::Arc, time::Duration};

use ostiary_bench::{
    client::Client,
    load,
    samples::Samples,
    server::Server,
    table::Table,
    users::{self, Users},
};

use crate::Subject;

/// Users who are registered; each has two sessions.
pub(crate) const USERS: usize = 50;
/// Good requests a second.
const REFRESHES: f64 = 50.0;
const LOGINS: f64 = 5.0;
/// Wrong logins a second, several times what two cores can check, and the connections that they come on.
const GUESSES: f64 = 500.0;
const CONNECTIONS: usize = 64;
/// How long a good login may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a refused login may take.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);
/// Seconds of each part.
const BEFORE: u32 = 20;
const FLOOD: u32 = 30;
const CLOSED_FLOOD: u32 = 20;
const AFTER: u32 = 15;
/// After a flood everything is as before within this time; so long are the windows that are shown of it.
const WINDOW: Duration = Duration::from_secs(5);

/// What users did in one part of the run.
pub(crate) struct Good {
    pub(crate) refreshes: Samples,
    pub(crate) logins: Samples,
}

pub(crate) async fn run(subject: &Subject, bcrypt: bool) -> anyhow::Result<()> {
    let scheme = if bcrypt { "bcrypt" } else { "argon2id" };
    let server = Server::start(&subject.server, subject.postgres, &[("PASSWORD_SCHEME", scheme)])?;
    let users = Arc::new(Users::register(Client::http1(server.address), 0..USERS).await?);
    let at_rest = server.mebibytes("VmRSS")?;
    println!("{scheme} on {}, known devices: {}", subject.store(), users.have_known_devices());

    let before = good(&users, subject.seconds(BEFORE)).await;
    let (during, guesses) = flooded(&server, &users, subject.seconds(FLOOD)).await;
    let most = server.mebibytes("VmHWM")?;
    let after = good(&users, subject.seconds(AFTER).max(2 * WINDOW)).await;

    let single = Arc::new(Client::http1(server.address));
    let closed = load::closed(CONNECTIONS, subject.seconds(CLOSED_FLOOD), move |client, number| {
        let (http, number) = (Arc::clone(&single), number * CONNECTIONS + client);
        async move { users::guess(&http, USERS, number).await }
    });
    let (beside_closed, closed) = tokio::join!(good(&users, subject.seconds(CLOSED_FLOOD)), closed);

    let mut table = Table::default();
    show_good(&mut table, "before", &before);
    show_flood(&mut table, &guesses);
    show_beside(&mut table, "in the flood", &before, &during);
    show_after(&mut table, &before, &after);
    show_closed(&mut table, &closed);
    show_beside(&mut table, "in the closed loop", &before, &beside_closed);
    table.figure("resident memory at rest", mebibytes(at_rest));
    table.goal("resident memory at most, in the flood", mebibytes(most), "< 256 MiB", most < 256.0);
    table.figure("resident memory at the end", mebibytes(server.mebibytes("VmRSS")?));
    print!("{table}");
    Ok(())
}

/// What users do all the time, and wrong logins beside.
pub(crate) async fn flooded(server: &Server, users: &Arc<Users>, duration: Duration) -> (Good, Samples) {
    let multiplexed = Arc::new(Client::http2(server.address, CONNECTIONS));
    let guesses = load::paced(GUESSES, duration, move |number| {
        let client = Arc::clone(&multiplexed);
        async move { users::guess(&client, USERS, number).await }
    });
    tokio::join!(good(users, duration), guesses)
}

/// What users do all the time.
pub(crate) async fn good(users: &Arc<Users>, duration: Duration) -> Good {
    let (refreshing, logging_in) = (Arc::clone(users), Arc::clone(users));
    let refreshes = load::paced(REFRESHES, duration, move |_| {
        let users = Arc::clone(&refreshing);
        async move { users.refresh().await }
    });
    let logins = load::paced(LOGINS, duration, move |number| {
        let users = Arc::clone(&logging_in);
        async move { users.log_in(number).await }
    });
    let (refreshes, logins) = tokio::join!(refreshes, logins);
    Good { refreshes, logins }
}

fn show_good(table: &mut Table, when: &str, good: &Good) {
    let Good { refreshes, logins } = good;
    table.figure(&format!("{when}: refreshes by status"), refreshes.by_status());
    table.figure(&format!("{when}: refresh p50 / p99"), percentiles(refreshes));
    table.figure(&format!("{when}: good logins by status"), logins.by_status());
    table.figure(&format!("{when}: good login p50 / p99"), percentiles(logins));
}

fn show_beside(table: &mut Table, when: &str, before: &Good, during: &Good) {
    show_good(table, when, during);
    let ratio = p99_ratio(&before.refreshes, &during.refreshes);
    table.goal(&format!("{when}: refresh p99 to that before"), format!("{ratio:.2}"), "<= 3", ratio <= 3.0);
    let good = during.logins.share(|sample| sample.status == 200 && sample.took <= PATIENCE);
    table.goal(&format!("{when}: good logins within 3 s"), percent(good), ">= 90 %", good >= 0.9);
}

fn show_flood(table: &mut Table, guesses: &Samples) {
    let refused = refused(guesses);
    let quick = refused.share(|sample| sample.took <= REFUSED_WITHIN);
    table.figure("the flood: wrong logins by status", guesses.by_status());
    table.figure("the flood: refused, p50 / p99", percentiles(&refused));
    table.goal("the flood: refused within 100 ms", percent(quick), ">= 95 %", quick >= 0.95);
}

fn show_closed(table: &mut Table, guesses: &Samples) {
    table.figure("the closed loop: wrong logins by status", guesses.by_status());
    table.figure("the closed loop: wrong login p50 / p99", percentiles(guesses));
}

fn show_after(table: &mut Table, before: &Good, after: &Good) {
    for (window, from) in [("0 to 5 s", Duration::ZERO), ("5 to 10 s", WINDOW)] {
        let refreshes = after.refreshes.due_between(from, from + WINDOW);
        let logins = after.logins.due_between(from, from + WINDOW);
        table.figure(&format!("{window} after: refresh p50 / p99"), percentiles(&refreshes));
        table.figure(&format!("{window} after: good login p50 / p99"), percentiles(&logins));
    }
    let later = |samples: &Samples| samples.only(|sample| sample.due >= WINDOW);
    let (refreshes, logins) = (later(&after.refreshes), later(&after.logins));
    let ratio = p99_ratio(&before.refreshes, &refreshes).max(p99_ratio(&before.logins, &logins));
    let all_good = refreshes.share(is_good).min(logins.share(is_good));
    // Of few requests, the 99th percentile is that of the slowest one.
    let is_as_before = ratio <= 2.0 && all_good >= 1.0;
    table.goal(
        "from 5 s after: the worse p99 to that before",
        format!("{ratio:.2}"),
        "as before (<= 2)",
        is_as_before,
    );
    table.goal("from 5 s after: good requests", percent(all_good), "100 %", all_good >= 1.0);
}

/// What was in excess of what the server could check.
fn refused(guesses: &Samples) -> Samples {
    guesses.only(|sample| [429, 503].contains(&sample.status))
}

fn is_good(sample: &ostiary_bench::samples::Sample) -> bool {
    sample.status == 200
}

fn p99_ratio(before: &Samples, after: &Samples) -> f64 {
    after.percentile(0.99).as_secs_f64() / before.percentile(0.99).as_secs_f64()
}

fn percentiles(samples: &Samples) -> String {
    let milliseconds = |share| samples.percentile(share).as_secs_f64() * 1e3;
    format!("{:.2} / {:.2} ms", milliseconds(0.5), milliseconds(0.99))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn mebibytes(size: f64) -> String {
    format!("{size:.1} MiB")
}
