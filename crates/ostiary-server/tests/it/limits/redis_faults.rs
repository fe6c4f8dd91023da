//! Redis goes wrong in every way that it can: logins go on, and guesses are limited all the same.

use std::time::{Duration, Instant};

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Killed,
    /// Stopped: connections stay open, and nothing is answered.
    Stopped,
    Flushed,
    /// A replica, as after a failover.
    ReadOnly,
    OutOfMemory,
    /// Never there.
    Absent,
}

fn inject(fault: Fault, redis: &Redis) {
    match fault {
        Fault::Killed | Fault::Absent => redis.kill(),
        Fault::Stopped => redis.pause(),
        Fault::Flushed => redis.flush(),
        Fault::ReadOnly => assert_eq!(redis.ask("REPLICAOF 127.0.0.1 1"), "+OK"),
        Fault::OutOfMemory => assert_eq!(redis.ask("CONFIG SET maxmemory 1"), "+OK"),
    }
}

fn repair(fault: Fault, redis: &Redis) {
    match fault {
        Fault::Killed | Fault::Flushed | Fault::Absent => {}
        Fault::Stopped => redis.resume(),
        Fault::ReadOnly => assert_eq!(redis.ask("REPLICAOF NO ONE"), "+OK"),
        Fault::OutOfMemory => assert_eq!(redis.ask("CONFIG SET maxmemory 0"), "+OK"),
    }
}

/// How long the slowest and the median of some answers took.
fn slowest(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], *times.last().unwrap())
}

#[rstest]
#[tokio::test]
async fn logins_go_on_and_guesses_get_at_most_twice_the_budget(
    #[values(
        Fault::Killed,
        Fault::Stopped,
        Fault::Flushed,
        Fault::ReadOnly,
        Fault::OutOfMemory,
        Fault::Absent
    )]
    fault: Fault,
) {
    let limited = Limited::start_with(On::Sqlite, Counted::InRedis, &[("REDIS_TIMEOUT", "0.05")]).await;
    let (server, redis) = (&limited.server, limited.redis.as_ref().unwrap());
    register(server, "anna").await;
    register(server, "boris").await;
    let mut tries = 0;
    let mut guess = async || {
        let began = Instant::now();
        match server.fail("anna").await.0 {
            401 => tries += 1,
            status => assert_eq!(status, 429),
        }
        began.elapsed()
    };
    let good = async || {
        let began = Instant::now();
        assert_eq!(server.login("boris", PASSWORD).await.status(), 200);
        began.elapsed()
    };
    if fault != Fault::Absent {
        for _ in 0..8 {
            guess().await;
        }
    }
    let mut before = Vec::new();
    if fault != Fault::Absent {
        for _ in 0..8 {
            before.push(good().await);
        }
    }
    inject(fault, redis);
    let mut during = Vec::new();
    for _ in 0..16 {
        guess().await;
        during.push(good().await);
    }
    repair(fault, redis);
    for _ in 0..16 {
        guess().await;
        good().await;
    }
    let (median, slowest_during) = slowest(during);
    let before = if before.is_empty() { median } else { slowest(before).0 };
    println!(
        "Redis {fault:?}: {tries} tries of a budget of 5; a login took {before:?} before, and then {median:?} \
         (median) to {slowest_during:?}"
    );
    assert!((5..=10).contains(&tries), "{tries}");
    // Two steps that are given up after 50 ms each would be 100 ms more; the rest is for a busy machine.
    assert!(slowest_during < before + Duration::from_secs(1), "{slowest_during:?}");
}

#[tokio::test]
async fn redis_that_is_back_counts_again() {
    let limited = Limited::start_with(On::Sqlite, Counted::InRedis, &[("REDIS_TIMEOUT", "0.2")]).await;
    let redis = limited.redis.as_ref().unwrap();
    let other = limited.another_node().await;
    redis.pause();
    assert_eq!(limited.server.fail("nobody").await, (401, None));
    redis.resume();
    // The breaker tries again after two seconds.
    let began = Instant::now();
    let shared = loop {
        for _ in 0..5 {
            limited.server.fail("somebody").await;
        }
        if other.fail("somebody").await.0 == 429 {
            break true;
        }
        if began.elapsed() > Duration::from_secs(20) {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        limited.server.clock.advance(seconds(100_000));
        other.clock.advance(seconds(100_000));
    };
    assert!(shared, "the nodes do not share their counts again");
}
