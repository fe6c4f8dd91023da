//! Tokens: those that refresh are made and read, those that give access are signed and verified by each algorithm.
//!
//! `cargo bench --package ostiary-bench --bench tokens`

use std::{hint::black_box, time::Duration};

use anyhow::Context;
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    clock::{Clock, SystemClock},
    id::{SessionId, UserId},
    jwt::{AccessTokenClaims, TokenParties},
    keys::{KeyRules, Keys, SharedSecret, SigningAlgorithm, SigningMethod},
    refresh_token::{Generation, RefreshToken, RefreshTokenKeys, SessionSecret},
    secret::ServerSecret,
};
use ostiary_store::sqlite::SqliteStore;
use serde_json::json;
use tempfile::TempDir;

const SERVER_SECRET: &str = "the secret of a server that is measured";
const OTHER_SECRET: &str = "the secret of somebody else's server";
/// As long as HS512 needs it.
const SHARED_SECRET: &str = "a secret that the server which is measured shares with all verifiers";

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    let secret = ServerSecret::parse(SERVER_SECRET)?;
    let now = SystemClock.now();
    refresh_tokens(&mut criterion, &secret, now)?;
    let mut group = criterion.benchmark_group("access token");
    for algorithm in SigningAlgorithm::ALL {
        access_tokens(&mut group, algorithm, &secret, now)?;
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

fn refresh_tokens(criterion: &mut Criterion, secret: &ServerSecret, now: Timestamp) -> anyhow::Result<()> {
    let keys = RefreshTokenKeys::derive(secret);
    let token = RefreshToken {
        session_id: SessionId::new(now),
        generation: Generation::FIRST,
        secret: SessionSecret::generate(),
    };
    let text = keys.write(&token);
    let forged = RefreshTokenKeys::derive(&ServerSecret::parse(OTHER_SECRET)?).write(&token);
    let mut group = criterion.benchmark_group("refresh token");
    group.bench_function("made", |bencher| bencher.iter(|| keys.write(black_box(&token))));
    group.bench_function("read", |bencher| bencher.iter(|| keys.read(black_box(&text))));
    group.bench_function("read, forged", |bencher| bencher.iter(|| keys.read(black_box(&forged))));
    group.finish();
    Ok(())
}

fn access_tokens(
    group: &mut BenchmarkGroup<'_, WallTime>,
    algorithm: SigningAlgorithm,
    secret: &ServerSecret,
    now: Timestamp,
) -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let store = SqliteStore::open(&directory.path().join("ostiary.db"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let method = if algorithm.is_shared() {
        SigningMethod::Shared(algorithm, SharedSecret::parse(SHARED_SECRET, algorithm, false)?)
    } else {
        SigningMethod::KeyPair { algorithm, before: None }
    };
    let rules = KeyRules {
        token_lifetime: SignedDuration::from_mins(30),
        jwks_max_age: SignedDuration::from_mins(5),
        rotate_after: None,
    };
    let keys = runtime.block_on(Keys::open(&method, secret, &store, rules, false, now))?;
    let key = runtime.block_on(keys.signer(&store, now))?;
    let parties = TokenParties::default();
    let claims: AccessTokenClaims = serde_json::from_value(json!({
        "sub": UserId::new(now).to_string(), "sid": SessionId::new(now).to_string(),
        "jti": SessionId::new(now).to_string(), "iat": now.as_second(), "exp": now.as_second() + 1800,
        "auth_time": now.as_second(), "amr": ["pwd"],
    }))?;
    let token = claims.sign(&key);
    AccessTokenClaims::verify(&token, &keys, &parties, now).context("it was just signed")?;
    group.bench_function(format!("{algorithm}, signed"), |bencher| {
        bencher.iter(|| black_box(&claims).sign(&key));
    });
    group.bench_function(format!("{algorithm}, verified"), |bencher| {
        bencher.iter(|| AccessTokenClaims::verify(black_box(&token), &keys, &parties, now));
    });
    Ok(())
}
