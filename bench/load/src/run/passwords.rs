//! Logins and registrations, next to the hash that each of them has to compute.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use ostiary_bench::{
    client::Client,
    figure::{Figure, Goal},
    hashing, load,
    samples::Samples,
    turns::{Rate, blocking, rate},
    users::{self, Users},
    work,
};
use ostiary_harness::redis::Redis;

use super::{Bench, stage::Store};

const ARGON2ID: [(&str, &str); 1] = [("PASSWORD_SCHEME", "argon2id")];
const ARGON2ID_ALONE: &str = "the hash function alone on all cores";
/// Users who log in: so many that none opens more sessions than the server lets a user have, which would end one
/// with each login.
const LOGGING_IN: usize = 400;
/// The same for bcrypt, which is slower.
const LOGGING_IN_BY_BCRYPT: usize = 50;

pub(super) async fn login(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    argon2id(bench, &bench.server, "login, Argon2id", 0.95).await
}

/// The same by a server whose hashes another crate computes; the limit is that of the default crate.
pub(super) async fn login_simd(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    match &bench.simd_server {
        Some(server) => argon2id(bench, server, "login, Argon2id, argon2-simd", 2.0).await,
        None => Ok(Vec::new()),
    }
}

async fn argon2id(bench: &Bench, binary: &Path, name: &str, least: f64) -> anyhow::Result<Vec<Figure>> {
    let (_server, users) = bench.stage.server(binary, Store::Sqlite, &ARGON2ID, LOGGING_IN).await?;
    let [alone, sixteen, sixty_four] =
        bench.turns.take([argon2id_alone(), logins(&users, 16), logins(&users, 64)]).await?;
    let figure = |connections, ours| {
        let name = format!("{name}, {connections} connections");
        Figure::rate(&name, ours, ARGON2ID_ALONE, alone.clone(), Some(Goal::AtLeast(least)))
    };
    Ok(vec![figure(16, sixteen), figure(64, sixty_four)])
}

/// Ostiary computes up to four of them together in one thread, the crate one after another.
pub(super) async fn login_bcrypt(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let settings = [("PASSWORD_SCHEME", "bcrypt")];
    let (_server, users) =
        bench.stage.server(&bench.server, Store::Sqlite, &settings, LOGGING_IN_BY_BCRYPT).await?;
    let alone = blocking(|duration| Ok(hashing::bcrypt(duration)));
    let [alone, ours] = bench.turns.take([alone, logins(&users, 16)]).await?;
    let limit = "the crate bcrypt alone on all cores";
    Ok(vec![Figure::rate("login, bcrypt 12, 16 connections", ours, limit, alone, Some(Goal::AtLeast(3.3)))])
}

pub(super) async fn register(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    const CLIENTS: usize = 16;
    let (server, _users) = bench.stage.server(&bench.server, Store::Sqlite, &ARGON2ID, 0).await?;
    let client = Arc::new(Client::http1(server.address));
    let registrations = rate(|duration| {
        let client = Arc::clone(&client);
        // More than can be registered in the time, so that no turn meets the users of another.
        let first = bench.stage.numbers(1_000_000).start;
        async move {
            let samples = load::closed(CLIENTS, duration, move |number, count| {
                let (client, user) = (Arc::clone(&client), first + count * CLIENTS + number);
                async move { users::register(&client, user).await }
            });
            good_rate(&samples.await, duration)
        }
    });
    let [alone, ours] = bench.turns.take([argon2id_alone(), registrations]).await?;
    let name = format!("register, Argon2id, {CLIENTS} connections");
    Ok(vec![Figure::rate(&name, ours, ARGON2ID_ALONE, alone, None)])
}

/// What it costs that guesses are counted, in Redis, which several nodes would share.
pub(super) async fn login_limited(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let redis = Redis::start();
    let url = format!("redis://{}:{}", redis.host(), redis.port());
    let limited = [ARGON2ID[0], ("RATE_LIMITS", "on"), ("REDIS_URL", &url)];
    let (_server, users) = bench.stage.server(&bench.server, Store::Postgres, &ARGON2ID, LOGGING_IN).await?;
    let (_limited_server, limited_users) =
        bench.stage.server(&bench.server, Store::Postgres, &limited, LOGGING_IN).await?;
    let [alone, without, with] =
        bench.turns.take([argon2id_alone(), logins(&users, 16), logins(&limited_users, 16)]).await?;
    let name = |what| format!("login, Argon2id, PostgreSQL, 16 connections, {what}");
    Ok(vec![
        Figure::rate(&name("limits off"), without.clone(), ARGON2ID_ALONE, alone, Some(Goal::AtLeast(0.95))),
        Figure::rate(&name("limits in Redis"), with, "the same, limits off", without, None),
    ])
}

fn argon2id_alone<'a>() -> Rate<'a> {
    blocking(|duration| Ok(hashing::argon2id(duration)))
}

/// Good logins a second on so many connections, on each as soon as the last is answered.
pub(super) fn logins(users: &Users, connections: usize) -> Rate<'_> {
    rate(move |duration| work::log_in(users.server(), users.logins(), connections, duration))
}

/// Answers a second: those that came once all clients were at it, and before any of them stopped. All must be
/// good.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
fn good_rate(samples: &Samples, duration: Duration) -> anyhow::Result<f64> {
    let is_good = samples.share(|sample| sample.status == 200) >= 1.0;
    is_good.then_some(()).with_context(|| format!("not all were answered well: {}", samples.by_status()))?;
    let begin = duration / 9;
    let within = samples.only(|sample| (begin..duration).contains(&(sample.due + sample.took)));
    Ok(within.count() as f64 / duration.saturating_sub(begin).as_secs_f64())
}
