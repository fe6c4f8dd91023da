//! How a budget is spent: what is kept of it, and what follows from that. Every adapter does this arithmetic, in one
//! atomic step; times are in whole milliseconds.

use jiff::{SignedDuration, Timestamp};

use super::{Budget, Rule, Settlement};

/// How long a guess may be under way. What settled it may have been lost with its node or its client; it counts as a
/// failure then.
pub const PENDING_FOR: SignedDuration = SignedDuration::from_secs(5);

/// The first delay; each further failure doubles it.
const FIRST_DELAY: i64 = 1_000;

/// What has been spent of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Consecutive failures, those under way among them; or, of a rate, the theoretical arrival time of the next cell
    /// in milliseconds since 1970.
    pub level: i64,
    /// How many of the guesses are under way.
    pub pending: i64,
    /// When a guess was last admitted or failed, in milliseconds since 1970.
    pub at: i64,
}

/// Whether a budget has room for a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It has, and this is spent then.
    Room(Spent),
    /// It may have, once the guesses under way are settled.
    Pending,
    /// Not before so many milliseconds have passed.
    Refused(i64),
}

fn milliseconds(span: SignedDuration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Budget {
    /// Whether there is room for a guess at `now`.
    #[must_use]
    pub fn judge(&self, spent: Option<Spent>, now: Timestamp) -> Judgement {
        let now = now.as_millisecond();
        let spent = self.standing(spent.unwrap_or_default(), now);
        let (wait, level) = match self.rule {
            Rule::Consecutive { free, max_delay, .. } => {
                let delay = delay_after(spent.level, i64::from(free), milliseconds(max_delay));
                // Where the clock stepped back, nobody waits longer for it.
                (spent.at.min(now) + delay - now, spent.level + 1)
            }
            Rule::Rate { burst, interval } => {
                let interval = milliseconds(interval);
                let level = spent.level.max(now) + interval;
                (level - i64::from(burst) * interval - now, level)
            }
        };
        if wait <= 0 {
            Judgement::Room(Spent { level, pending: spent.pending + 1, at: spent.at.max(now) })
        } else if spent.pending > 0 {
            Judgement::Pending
        } else {
            Judgement::Refused(wait)
        }
    }

    /// What is spent once a guess is settled; `None` if that is nothing.
    #[must_use]
    pub fn settle(&self, spent: Option<Spent>, settlement: Settlement, now: Timestamp) -> Option<Spent> {
        let now = now.as_millisecond();
        let Spent { level, pending, at } = self.standing(spent?, now);
        let others = (pending - 1).max(0);
        let settled = match (self.rule, settlement) {
            // The delay begins when the guess has failed.
            (Rule::Consecutive { .. }, Settlement::Failed) => {
                Spent { level, pending: others, at: at.max(now) }
            }
            (Rule::Consecutive { .. }, Settlement::Succeeded) => Spent { level: others, pending: others, at },
            (Rule::Consecutive { .. }, Settlement::Withdrawn) => {
                Spent { level: level - 1, pending: others, at }
            }
            (Rule::Consecutive { .. }, Settlement::Reset) => Spent { level: pending, pending, at },
            (Rule::Rate { .. }, Settlement::Failed) => Spent { level, pending: others, at },
            (Rule::Rate { interval, .. }, Settlement::Succeeded | Settlement::Withdrawn) => {
                Spent { level: level - milliseconds(interval), pending: others, at }
            }
            (Rule::Rate { .. }, Settlement::Reset) => Spent { level, pending, at },
        };
        (!self.is_nothing(settled, now)).then_some(settled)
    }

    /// How many consecutive failures there are, with those under way.
    #[must_use]
    pub fn failures(&self, spent: Spent) -> u32 {
        match self.rule {
            Rule::Consecutive { .. } => u32::try_from(spent.level).unwrap_or(u32::MAX),
            Rule::Rate { .. } => 0,
        }
    }

    /// For how many milliseconds after `now` it has to be known.
    #[must_use]
    pub fn kept_for(&self, spent: Spent, now: Timestamp) -> i64 {
        let until = match self.rule {
            Rule::Consecutive { kept, .. } => spent.at.saturating_add(milliseconds(kept)),
            Rule::Rate { .. } => spent.level.max(spent.at + milliseconds(PENDING_FOR)),
        };
        until.saturating_sub(now.as_millisecond())
    }

    fn is_nothing(&self, spent: Spent, now: i64) -> bool {
        spent.pending == 0
            && match self.rule {
                Rule::Consecutive { .. } => spent.level <= 0,
                Rule::Rate { .. } => spent.level <= now,
            }
    }

    /// What of it counts at `now`.
    fn standing(&self, spent: Spent, now: i64) -> Spent {
        if let Rule::Consecutive { kept, .. } = self.rule {
            let is_forgiven = self.forgiven_at.is_some_and(|time| spent.at <= time.as_millisecond());
            if is_forgiven || now.saturating_sub(spent.at) > milliseconds(kept) {
                return Spent { at: now.min(spent.at), ..Spent::default() };
            }
        }
        let is_settled = now.saturating_sub(spent.at) > milliseconds(PENDING_FOR);
        Spent { pending: if is_settled { 0 } else { spent.pending }, ..spent }
    }
}

/// How long after the last of `failures` the next guess has to wait.
fn delay_after(failures: i64, free: i64, max_delay: i64) -> i64 {
    if failures < free {
        return 0;
    }
    let doublings = u32::try_from(failures - free).unwrap_or(u32::MAX);
    FIRST_DELAY.checked_shl(doublings.min(40)).unwrap_or(max_delay).min(max_delay)
}

#[cfg(test)]
mod tests;
