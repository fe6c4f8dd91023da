//! Ostiary and one peer, side by side: set up on stores of the same kind, and asked in turns.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use ostiary_harness::postgres::Cluster;
use tempfile::TempDir;

use super::{
    AHEAD, Peer, PeerFigure, ostiary,
    service::{CONNECTIONS, MOST_CONNECTIONS, Make, Service, Work, guarded, run},
};
use crate::{
    samples::{Sample, Samples},
    turns::Measured,
};

/// How often and how long each is measured.
pub(super) struct Plan {
    starts: usize,
    turns: usize,
    /// Before the turns, uncounted: connections open, caches fill, code is compiled.
    warm_up: Duration,
    /// A turn of logins, of which there are few in a second.
    logins: Duration,
    others: Duration,
}

/// What figures are taken from.
pub(super) const FULL: Plan = Plan {
    starts: 3,
    turns: 5,
    warm_up: Duration::from_secs(1),
    logins: Duration::from_secs(5),
    others: Duration::from_millis(2500),
};

/// For a first look.
pub(super) const QUICK: Plan = Plan {
    starts: 1,
    turns: 3,
    warm_up: Duration::from_millis(500),
    logins: Duration::from_secs(2),
    others: Duration::from_secs(1),
};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything that both do.
    All,
    /// Logins, of an Ostiary with the feature `argon2-simd`.
    SimdLogins,
}

/// Sets up Ostiary and a peer, and measures them.
///
/// # Errors
/// If one of them cannot be installed or started, or answers anything but 200, or 503 if it has no time.
pub(super) async fn compare(
    peer: &Peer,
    server: &Path,
    plan: &Plan,
    scope: Scope,
) -> anyhow::Result<Vec<PeerFigure>> {
    let script = peer.script();
    run(&mut guarded(&script, "install")).context("it cannot be installed")?;
    let directories = (TempDir::new()?, TempDir::new()?);
    let cluster = peer.on_postgres.then(|| Cluster::start(&[]));
    let database = |name: &str| {
        let cluster = cluster.as_ref()?;
        cluster.sql("postgres", &format!("create database {name}"));
        Some(("DATABASE_URL", cluster.url(name)))
    };
    let mut settings = vec![
        ("HOST", "127.0.0.1".to_owned()),
        ("ENV_FILE", "/dev/null".to_owned()),
        ("LOG_LEVEL", "warn".to_owned()),
        ("RATE_LIMITS", "off".to_owned()),
        ("PASSWORD_SCHEME", peer.scheme.to_owned()),
    ];
    if peer.signs_with_secret {
        settings.push(("JWT_SECRET_KEY", "a secret of the benchmark, 5b1f0c2e9d7a4836".to_owned()));
    }
    settings.extend(database("ostiary"));
    let ours = Make {
        name: "Ostiary",
        program: server,
        api: &ostiary::API,
        settings,
        directory: directories.0.path(),
    };
    let theirs = Make {
        name: peer.name,
        program: &script,
        api: peer.api,
        settings: database("peer").into_iter().collect(),
        directory: directories.1.path(),
    };
    measure(peer, [ours, theirs], plan, scope).await
}

async fn measure(
    peer: &Peer,
    makes: [Make<'_>; 2],
    plan: &Plan,
    scope: Scope,
) -> anyhow::Result<Vec<PeerFigure>> {
    let [ours, theirs] = &makes;
    for make in &makes {
        make.migrate().with_context(|| format!("{} cannot make its database", make.name))?;
    }
    let mut starts = Both::default();
    for _ in 1..plan.starts {
        for (make, starts) in makes.iter().zip(&mut starts) {
            starts.0.push(milliseconds(make.serve().await?.1));
        }
    }
    let (our_service, our_start) = ours.serve().await?;
    let (their_service, their_start) = theirs.serve().await?;
    starts[0].0.push(milliseconds(our_start));
    starts[1].0.push(milliseconds(their_start));
    let services = [
        our_service.fill().await.context("Ostiary")?,
        their_service.fill().await.with_context(|| peer.name)?,
    ];

    let mut figures = Vec::new();
    let mut memory = [0.0_f64; 2];
    let works = match scope {
        Scope::All => &[
            (Work::LogIn, "login", CONNECTIONS, AHEAD),
            (Work::Refresh, "refresh", CONNECTIONS, peer.refresh_goal),
            (Work::Refresh, "refresh", MOST_CONNECTIONS, peer.refresh_goal),
            (Work::Me, "me", CONNECTIONS, AHEAD),
        ][..],
        Scope::SimdLogins => &[(Work::LogIn, "login with argon2-simd", CONNECTIONS, AHEAD)],
    };
    for &(work, name, connections, goal) in works {
        if work == Work::Refresh && peer.api.refresh.is_none() {
            continue;
        }
        let Turns { rates, middles, slowest, most, refused } =
            in_turns(&services, work, connections, plan).await?;
        let name = format!("{name}, {connections} connections");
        figures.push(figure(&name, "/s", rates, Some(goal)));
        figures.push(figure(&format!("{name}, p50"), "ms", middles, None));
        figures.push(figure(&format!("{name}, p99"), "ms", slowest, None));
        if refused.iter().any(|share| share.most() > 0.0) {
            figures.push(figure(&format!("{name}, refused as busy"), "%", refused, None));
        }
        for (memory, most) in memory.iter_mut().zip(most) {
            *memory = memory.max(most.most());
        }
        for service in &services {
            service.check().await.with_context(|| format!("after {work:?}"))?;
        }
    }
    if scope == Scope::All {
        figures.push(figure("memory under load", "MiB", memory.map(|most| Measured(vec![most])), None));
        figures.push(figure("start to first 200", "ms", starts, None));
    }
    Ok(figures)
}

/// What Ostiary gave in each of its turns, and what the peer gave.
type Both = [Measured; 2];

/// The status of an answer of a service that has no time for the request.
const BUSY: u16 = 503;

/// Of one work: requests a second, their p50 and p99 in milliseconds, the most memory in MiB, and how many of a
/// hundred requests were refused for want of time.
#[derive(Default)]
struct Turns {
    rates: Both,
    middles: Both,
    slowest: Both,
    most: Both,
    refused: Both,
}

async fn in_turns(
    services: &[Arc<Service>; 2],
    work: Work,
    connections: usize,
    plan: &Plan,
) -> anyhow::Result<Turns> {
    let duration = if work == Work::LogIn { plan.logins } else { plan.others };
    for service in services {
        service.work(work, connections, plan.warm_up).await?;
    }
    let mut turns = Turns::default();
    for _ in 0..plan.turns {
        for (side, service) in services.iter().enumerate() {
            let (samples, most) = service.work(work, connections, duration).await?;
            ensure!(
                samples.0.iter().all(|sample| [200, BUSY].contains(&sample.status)),
                "{} answered {work:?} with {}",
                service.name(),
                samples.by_status()
            );
            let good = samples.only(is_good);
            turns.rates[side].0.push(rate(&samples));
            turns.refused[side].0.push(100.0 - samples.share(is_good) * 100.0);
            turns.middles[side].0.push(milliseconds(good.percentile(0.5)));
            turns.slowest[side].0.push(milliseconds(good.percentile(0.99)));
            turns.most[side].0.push(most);
        }
    }
    Ok(turns)
}

/// Good answers a second, until the last request that was begun in time was answered: on two cores, 16 logins by
/// bcrypt end together after more than a second, and an end between them would count all or none.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
fn rate(samples: &Samples) -> f64 {
    let end = samples.0.iter().map(|sample| sample.due + sample.took).max().unwrap_or_default();
    samples.only(is_good).count() as f64 / end.as_secs_f64()
}

fn is_good(sample: &Sample) -> bool {
    sample.status == 200
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn figure(name: &str, unit: &'static str, [ours, theirs]: Both, goal: Option<f64>) -> PeerFigure {
    PeerFigure { name: name.to_owned(), unit, ours, theirs, goal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_good_answers_until_the_last_one() {
        let sample = |due, took, status| Sample {
            due: Duration::from_millis(due),
            took: Duration::from_millis(took),
            status,
        };
        let samples = Samples(vec![sample(0, 900, 200), sample(900, 1100, 200), sample(10, 1, BUSY)]);
        assert!((rate(&samples) - 1.0).abs() < 1e-9);
    }
}
