//! What a password's hash costs by itself, on all cores: the most logins that there can be.

use std::{
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use ostiary_core::{
    password::{Password, PasswordScheme, Workspace},
    secret,
};

const PASSWORD: &str = "correct horse battery";

/// How many threads hash at once: one a core.
#[must_use]
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Argon2id verifications a second, with the memory of each thread kept between them.
#[must_use]
pub fn argon2id(duration: Duration) -> f64 {
    rate(threads(), duration, argon2)
}

/// Verifies a password again and again, as the server does, in memory that is kept.
pub fn argon2() -> impl FnMut() + Send {
    let scheme = PasswordScheme::Argon2id;
    let (password, mut workspace) = (Password::new(PASSWORD), Workspace::default());
    let stored = scheme.hash(&password, &mut workspace);
    move || assert_eq!(scheme.verify(&password, &stored, &mut workspace), Ok(true))
}

/// [`argon2`], by the crate `argon2-rust` in place of the default one: what the feature `argon2-simd` can give.
pub fn argon2_rust() -> impl FnMut() + Send {
    // The default parameters are those of our new hashes.
    let params = argon2_rust::Params::DEFAULT;
    let algorithm = argon2_rust::Algorithm::Argon2id;
    let mut hasher = argon2_rust::Argon2::new(algorithm, argon2_rust::Version::V0x13, params).hasher();
    let salt: [u8; 16] = secret::random();
    let tag = hasher.hash(PASSWORD.as_bytes(), &salt).expect("there is memory for one hash");
    move || assert_eq!(hasher.verify(PASSWORD.as_bytes(), &salt, &tag), Ok(()))
}

/// bcrypt verifications a second, of cost 12, by the crate `bcrypt`.
#[must_use]
pub fn bcrypt(duration: Duration) -> f64 {
    let password = Password::new(PASSWORD);
    let stored = PasswordScheme::Bcrypt.hash(&password, &mut Workspace::default());
    let new = || {
        let stored = stored.as_str().to_owned();
        move || assert!(::bcrypt::verify(PASSWORD, &stored).is_ok_and(|is_right| is_right))
    };
    rate(threads(), duration, new)
}

/// How often a second the work is done that `new` makes for each of so many threads. What each did last counts by
/// the share of it that was within the time.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub fn rate<Work: FnMut() + Send>(threads: usize, duration: Duration, new: impl Fn() -> Work) -> f64 {
    thread::scope(|scope| {
        let working: Vec<_> = (0..threads)
            .map(|_| {
                let mut work = new();
                scope.spawn(move || {
                    work();
                    let begin = Instant::now();
                    let mut count = 0_u64;
                    while begin.elapsed() < duration {
                        work();
                        count += 1;
                    }
                    count as f64 / begin.elapsed().as_secs_f64()
                })
            })
            .collect();
        working.into_iter().map(|thread| thread.join().expect("a hash that was just made verifies")).sum()
    })
}
