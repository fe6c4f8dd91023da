//! How many wrong passwords are allowed, and of whom.

use clap::{Args, builder::BoolishValueParser};
use jiff::SignedDuration;
use ostiary_core::limit::{LimitPolicy, Rule};

/// How many wrong passwords are allowed. The table in `docs/limits.md` has them all.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits on guessing passwords")]
pub struct LimitArgs {
    /// Limit guessing; `off` for tests, and behind something else that does
    #[arg(long, env = "RATE_LIMITS", default_value = "on", default_missing_value = "on", num_args = 0..=1,
          require_equals = true, value_parser = BoolishValueParser::new(),
          value_name = "BOOL")]
    pub rate_limits: bool,
    /// Wrong passwords in a row that cost nothing; each further one delays the next try, by 1 s at first and twice as
    /// long each time
    #[arg(long, env = "LOGIN_FREE_FAILURES", default_value_t = 5, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub login_free_failures: u32,
    /// The longest such delay, in seconds
    #[arg(long, env = "LOGIN_MAX_DELAY", default_value_t = 900, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub login_max_delay: u32,
    /// Wrong passwords in a row after which a password opens nothing on unknown devices, until its owner logs in on a
    /// known one, it is changed, or `ostiary user unlock` opens it
    #[arg(long, env = "LOGIN_LOCK_AFTER", default_value_t = 100, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(5..=100))]
    pub login_lock_after: u32,
    /// How long after the last one wrong passwords are forgotten, in hours
    #[arg(long, env = "LOGIN_FAILURES_KEPT", default_value_t = 24, value_name = "HOURS",
          value_parser = clap::value_parser!(u32).range(1..=8_760))]
    pub login_failures_kept: u32,
    /// Failed logins of an address at once, from unknown devices; an IPv6 network of 64 bits is one address
    #[arg(long, env = "ADDRESS_FAILURES", default_value_t = 100, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub address_failures: u32,
    /// Further failed logins of an address a minute
    #[arg(long, env = "ADDRESS_FAILURES_PER_MINUTE", default_value_t = 10, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub address_failures_per_minute: u32,
    /// Failed logins of all addresses together at once, from unknown devices
    #[arg(long, env = "TOTAL_FAILURES", default_value_t = 5_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub total_failures: u32,
    /// Further failed logins of all addresses together a minute
    #[arg(long, env = "TOTAL_FAILURES_PER_MINUTE", default_value_t = 1_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub total_failures_per_minute: u32,
    /// How long a device is known after the last login on it, in days
    #[arg(long, env = "KNOWN_DEVICE_DAYS", default_value_t = 400, value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub known_device_days: u32,
}

impl LimitArgs {
    /// What the operator allows.
    #[must_use]
    pub fn policy(&self) -> LimitPolicy {
        let rate = |burst, per_minute: u32| Rule::Rate {
            burst,
            interval: SignedDuration::from_millis(60_000 / i64::from(per_minute)),
        };
        LimitPolicy {
            consecutive: Rule::Consecutive {
                free: self.login_free_failures,
                max_delay: SignedDuration::from_secs(i64::from(self.login_max_delay)),
                // What is still delayed is not forgotten.
                kept: SignedDuration::from_hours(i64::from(self.login_failures_kept))
                    .max(SignedDuration::from_secs(i64::from(self.login_max_delay))),
            },
            address: rate(self.address_failures, self.address_failures_per_minute),
            total: rate(self.total_failures, self.total_failures_per_minute),
            lock_after: self.login_lock_after,
        }
    }

    /// How long a device is known after the last login on it.
    #[must_use]
    pub fn known_device_lifetime(&self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.known_device_days))
    }
}
