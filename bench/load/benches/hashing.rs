//! One verification of a password, in one thread: Argon2id of the parameters of new hashes by either crate, and
//! bcrypt of cost 12 by the crate and of four passwords together.
//!
//! `cargo bench --package ostiary-bench --bench hashing`

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, SamplingMode, Throughput};
use ostiary_bench::hashing;
use ostiary_core::password::{ParsedHash, Password, PasswordScheme, Workspace, bcrypt};

const PASSWORD: &str = "correct horse battery";

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10)
        .configure_from_args();
    argon2id(&mut criterion);
    bcrypt(&mut criterion);
    criterion.final_summary();
}

fn argon2id(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("argon2id");
    let mut verify = hashing::argon2();
    group.bench_function("argon2", |bencher| bencher.iter(&mut verify));
    let mut verify = hashing::argon2_rust();
    group.bench_function("argon2-rust", |bencher| bencher.iter(&mut verify));
    group.finish();
}

fn bcrypt(criterion: &mut Criterion) {
    let password = Password::new(PASSWORD);
    let stored = PasswordScheme::Bcrypt.hash(&password, &mut Workspace::default());
    let Ok(ParsedHash::Bcrypt(stored)) = stored.parse() else { unreachable!("it was just made by bcrypt") };
    let computations = stored.computations(&password);
    let mut group = criterion.benchmark_group("bcrypt");
    group.sampling_mode(SamplingMode::Flat);
    for (name, together) in [("by the crate", 1), ("four together", bcrypt::TOGETHER)] {
        let computations = vec![&computations[0]; together];
        group.throughput(Throughput::Elements(together as u64));
        group.bench_function(name, |bencher| bencher.iter(|| bcrypt::compute(black_box(&computations))));
    }
    group.finish();
}
