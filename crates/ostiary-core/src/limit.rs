//! Limits on guessing: what is counted, and the port to whoever counts.
//!
//! A guess is counted before it is compared, in all of its [`Budget`]s at once, so that guesses made at the same time
//! cannot get more tries than there are. What comes of it settles the count: a success is given back, a failure
//! stays. Guesses that are under way hold their places meanwhile; who finds the budget spent by them alone waits.

use std::{fmt, net::IpAddr, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{
    contact::CanonicalContact,
    id::{SessionId, UserId},
    known_device::KnownDevice,
    secret::{MacKey, Purpose, ServerSecret},
};

mod arithmetic;
mod metrics;

pub use arithmetic::{Judgement, PENDING_FOR, Spent};
pub use metrics::LimitMetrics;

/// Counts guesses. Several nodes that share what is counted share the budgets.
///
/// It has no errors: where the count cannot be reached another one stands in, so that a limit may become stricter or
/// more generous for a while, and is never absent.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Counts a guess in all of `budgets`, or in none.
    async fn admit(&self, budgets: &[Budget], now: Timestamp) -> Admission;

    /// Settles a guess that was admitted with the same `budgets`.
    async fn settle(&self, budgets: &[Budget], settlement: Settlement, now: Timestamp);
}

/// Whether a guess may be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, and counts as a failure until it is settled.
    Admitted {
        /// How many consecutive failures there are with it, in the first budget that counts those.
        failures: u32,
    },
    /// Guesses that are under way have all of the places. What comes of them will tell.
    Pending,
    /// Not before this time has passed.
    Refused(Duration),
}

/// What came of a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was wrong.
    Failed,
    /// It was right: consecutive failures end.
    Succeeded,
    /// It was not compared, or its success could not be used.
    Withdrawn,
    /// Nothing was counted; consecutive failures end by a success elsewhere.
    Reset,
}

/// How a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Failures without a success in between (NIST SP 800-63B-4 §3.2.2).
    Consecutive {
        /// How many are free. After these each one delays the next: by 1 s at first, twice as long each time.
        free: u32,
        /// The longest delay.
        max_delay: SignedDuration,
        /// How long after the last one they are forgotten.
        kept: SignedDuration,
    },
    /// Failures in a time, by the generic cell rate algorithm (ITU-T I.371).
    Rate {
        /// How many at once.
        burst: u32,
        /// How long until there is one more.
        interval: SignedDuration,
    },
}

/// What failures are counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Whose it is.
    pub key: BudgetKey,
    /// How it is spent.
    pub rule: Rule,
    /// Failures up to this time do not count.
    pub forgiven_at: Option<Timestamp>,
}

/// Names a budget: a keyed hash, from which nobody learns of whom or where from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BudgetKey([u8; 16]);

impl BudgetKey {
    /// The key as a limiter keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key that a limiter kept as `bytes`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BudgetKey(..)")
    }
}

/// How many guesses an operator allows.
#[derive(Debug, Clone, Copy)]
pub struct LimitPolicy {
    /// Of an account from devices that are not known, and of each known device.
    pub consecutive: Rule,
    /// Of an address, from devices that are not known.
    pub address: Rule,
    /// Of all that come from devices that are not known.
    pub total: Rule,
    /// After so many consecutive failures a password opens nothing on devices that are not known; at most 100 (NIST
    /// SP 800-63B-4 §3.2.2).
    pub lock_after: u32,
}

/// Whose guess it is, as the account goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GuessedAt<'a> {
    /// A user, by whichever of their names.
    User(UserId),
    /// A name that nobody has.
    Nobody(&'a CanonicalContact),
    /// What cannot be anybody's name.
    Nothing(&'a str),
}

/// Names budgets.
#[derive(Debug)]
pub struct BudgetKeys(MacKey);

impl BudgetKeys {
    /// The keys of the server whose secret this is.
    #[must_use]
    pub fn derive(secret: &ServerSecret) -> Self {
        Self(secret.mac_key(Purpose::BudgetKey))
    }

    fn key(&self, kind: &str, of: &[u8]) -> BudgetKey {
        // A kind has no NUL.
        let mac = self.0.mac(&[kind.as_bytes(), b"\0", of].concat());
        BudgetKey(mac[..16].try_into().expect("a MAC has 32 bytes"))
    }

    pub(crate) fn account(&self, account: GuessedAt<'_>) -> BudgetKey {
        match account {
            GuessedAt::User(id) => self.key("user", id.as_uuid().as_bytes()),
            GuessedAt::Nobody(contact) => self.key(contact.kind().as_str(), contact.value().as_bytes()),
            GuessedAt::Nothing(text) => self.key("nothing", text.as_bytes()),
        }
    }

    pub(crate) fn device(&self, device: &KnownDevice) -> BudgetKey {
        self.key("device", &[device.id.as_slice(), device.user_id.as_uuid().as_bytes()].concat())
    }

    pub(crate) fn session(&self, id: SessionId) -> BudgetKey {
        self.key("session", id.as_uuid().as_bytes())
    }

    /// Of an IPv6 network of 64 bits as of one address: who has one address has all of them (RFC 6177 §2).
    pub(crate) fn address(&self, address: IpAddr) -> BudgetKey {
        match address.to_canonical() {
            IpAddr::V4(address) => self.key("ipv4", &address.octets()),
            IpAddr::V6(address) => self.key("ipv6", &address.octets()[..8]),
        }
    }

    pub(crate) fn total(&self) -> BudgetKey {
        self.key("total", b"")
    }
}

/// Counts nothing: for tests and for servers behind something that limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

#[async_trait]
impl Limiter for Unlimited {
    async fn admit(&self, _: &[Budget], _: Timestamp) -> Admission {
        Admission::Admitted { failures: 0 }
    }

    async fn settle(&self, _: &[Budget], _: Settlement, _: Timestamp) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> BudgetKeys {
        BudgetKeys::derive(&ServerSecret::parse("a secret of at least thirty-two bytes").unwrap())
    }

    #[test]
    fn an_ipv6_network_of_64_bits_has_one_budget_and_an_ipv4_address_one_however_it_is_written() {
        let key = |text: &str| keys().address(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("203.0.113.7"), key("::ffff:203.0.113.7"));
        assert_ne!(key("203.0.113.7"), key("203.0.113.8"));
    }

    #[test]
    fn budgets_of_different_kinds_are_different() {
        let id = UserId::new(Timestamp::UNIX_EPOCH);
        let text = String::from_utf8_lossy(id.as_uuid().as_bytes()).into_owned();
        assert_ne!(keys().account(GuessedAt::User(id)), keys().account(GuessedAt::Nothing(&text)));
        assert_ne!(keys().account(GuessedAt::Nothing("")), keys().total());
        assert_eq!(format!("{:?}", keys().total()), "BudgetKey(..)");
    }
}
