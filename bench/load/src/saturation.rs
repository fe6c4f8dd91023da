//! As many good logins as the server takes, in turns with as many hashes as the cores compute by themselves.

use std::{sync::Arc, time::Duration};

use ostiary_bench::{
    client::Client, hashing, load, samples::Sample, server::Server, table::Table, users::Users,
};

use crate::Subject;

/// Clients who log in, each as soon as the last login is answered.
const CONNECTIONS: usize = 16;
/// Enough that none has as many sessions as one may have.
const USERS: usize = 50;
/// Turns of each kind, and how many seconds each takes.
const TURNS: usize = 5;
const TURN: u32 = 9;

pub(crate) async fn run(subject: &Subject) -> anyhow::Result<()> {
    println!(
        "on {}, {CONNECTIONS} connections, {} threads; medians of {TURNS} turns of {:?}",
        subject.store(),
        hashing::threads(),
        subject.seconds(TURN)
    );
    let mut table = Table::default();
    compare(subject, "argon2id", "the hash function alone", hashing::argon2id, 0.95, &mut table).await?;
    compare(subject, "bcrypt", "the crate bcrypt alone", hashing::bcrypt, 3.3, &mut table).await?;
    print!("{table}");
    Ok(())
}

async fn compare(
    subject: &Subject,
    scheme: &str,
    alone_name: &str,
    alone: fn(Duration) -> f64,
    least: f64,
    table: &mut Table,
) -> anyhow::Result<()> {
    let server = Server::start(&subject.server, subject.postgres, &[("PASSWORD_SCHEME", scheme)])?;
    let users = Arc::new(Users::register(Client::http1(server.address), USERS).await?);
    log_in(&users, Duration::from_secs(1)).await;
    let (mut by_itself, mut logins) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        by_itself.push(alone(subject.seconds(TURN)));
        logins.push(log_in(&users, subject.seconds(TURN)).await);
    }
    let (by_itself, logins) = (median(by_itself), median(logins));
    table.figure(&format!("{scheme}: {alone_name}"), format!("{by_itself:.1} /s"));
    table.figure(&format!("{scheme}: logins"), format!("{logins:.1} /s"));
    let ratio = logins / by_itself;
    table.goal(
        &format!("{scheme}: logins to that"),
        format!("{ratio:.3}"),
        &format!(">= {least}"),
        ratio >= least,
    );
    Ok(())
}

/// Good logins a second: those that were answered once all clients were at it, and before any of them stopped.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
async fn log_in(users: &Arc<Users>, duration: Duration) -> f64 {
    let logging_in = Arc::clone(users);
    let samples = load::closed(CONNECTIONS, duration, move |client, number| {
        let users = Arc::clone(&logging_in);
        async move { users.log_in(number * CONNECTIONS + client).await }
    })
    .await;
    let begin = duration / 9;
    let counts =
        |sample: &Sample| sample.status == 200 && (begin..duration).contains(&(sample.due + sample.took));
    samples.only(counts).count() as f64 / duration.saturating_sub(begin).as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
