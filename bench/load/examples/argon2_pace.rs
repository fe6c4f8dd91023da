//! How much quicker Argon2id is by the crate of the feature `argon2-simd` than by the default one: passwords are
//! verified by either in turns, with the memory kept, by one thread and by one a core.
//!
//! `cargo run --release --package ostiary-bench --example argon2_pace [SECONDS OF A TURN]`

#![expect(clippy::print_stdout, reason = "figures that were measured")]

use std::{env, time::Duration};

use anyhow::Context;
use ostiary_bench::hashing::{argon2, argon2_rust, rate, threads};

const TURNS: usize = 9;

fn main() -> anyhow::Result<()> {
    let seconds = env::args().nth(1).map_or(Ok(2.0), |text| text.parse()).context("the seconds of a turn")?;
    let turn = Duration::try_from_secs_f64(seconds)?;
    println!("verifications a second, medians of {TURNS} turns of {turn:?} each (least to greatest)");
    println!("threads  argon2                  argon2-rust             ratio");
    for threads in [1, threads()] {
        let (mut default, mut simd) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            default.push(rate(threads, turn, argon2));
            simd.push(rate(threads, turn, argon2_rust));
        }
        default.sort_by(f64::total_cmp);
        simd.sort_by(f64::total_cmp);
        let ratio = simd[TURNS / 2] / default[TURNS / 2];
        println!("{threads:<7}  {:<22}  {:<22}  {ratio:.2}", shown(&default), shown(&simd));
    }
    Ok(())
}

/// The median of sorted figures, and how far they spread.
fn shown(sorted: &[f64]) -> String {
    format!("{:.1} ({:.1} to {:.1})", sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1])
}
