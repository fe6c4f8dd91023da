//! The limiter of a server that shares its counts with no other, and of one whose Redis is away.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::limit::{Admission, Budget, BudgetKey, Judgement, Limiter, Settlement, Spent};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// How many budgets are kept: some 25 MiB. An attacker may name any number of accounts.
const MAX_KEPT: usize = 250_000;

/// Counts guesses in this process.
#[derive(Debug)]
pub struct MemoryLimiter {
    kept: Mutex<HashMap<BudgetKey, Kept>>,
    max_kept: usize,
    metrics: MemoryMetrics,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    spent: Spent,
    /// In milliseconds since 1970.
    until: i64,
}

/// What the limiter in memory tells about itself.
#[derive(Debug, Clone, Default)]
pub struct MemoryMetrics {
    budgets: Gauge,
    forgotten: Counter,
}

impl MemoryMetrics {
    /// Lets `registry` show them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("memory_budgets", "Budgets of failures kept in memory", self.budgets.clone());
        let forgotten =
            "Budgets of failures that were forgotten before their time, because there were too many";
        registry.register("memory_forgotten", forgotten, self.forgotten.clone());
    }
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::keeping(MAX_KEPT)
    }
}

impl MemoryLimiter {
    /// A limiter that keeps at most `max_kept` budgets.
    #[must_use]
    pub fn keeping(max_kept: usize) -> Self {
        Self { kept: Mutex::default(), max_kept, metrics: MemoryMetrics::default() }
    }

    pub(super) const fn metrics(&self) -> &MemoryMetrics {
        &self.metrics
    }

    /// A poisoned lock is as good as new: nothing that holds it can panic half-way through a change.
    fn kept(&self) -> MutexGuard<'_, HashMap<BudgetKey, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(
        &self,
        kept: &mut HashMap<BudgetKey, Kept>,
        budget: &Budget,
        spent: Option<Spent>,
        now: Timestamp,
    ) {
        match spent {
            Some(spent) => {
                if kept.len() >= self.max_kept && !kept.contains_key(&budget.key) {
                    self.make_room(kept, now.as_millisecond());
                }
                let until = now.as_millisecond().saturating_add(budget.kept_for(spent, now));
                kept.insert(budget.key, Kept { spent, until });
            }
            None => drop(kept.remove(&budget.key)),
        }
        self.metrics.budgets.set(i64::try_from(kept.len()).unwrap_or(i64::MAX));
    }

    /// Drops what means nothing any more. If that is little, the half that is worth the least: who floods the limiter
    /// with names has failed once at each, and whoever has failed often stays.
    fn make_room(&self, kept: &mut HashMap<BudgetKey, Kept>, now: i64) {
        kept.retain(|_, kept| kept.until > now);
        if kept.len() <= self.max_kept / 4 * 3 {
            return;
        }
        let before = kept.len();
        let worth = |kept: &Kept| (kept.spent.level, kept.spent.at);
        let mut all: Vec<_> = kept.values().map(worth).collect();
        let (_, &mut median, _) = all.select_nth_unstable(before / 2);
        kept.retain(|_, kept| worth(kept) > median);
        self.metrics.forgotten.inc_by(u64::try_from(before - kept.len()).unwrap_or(0));
        tracing::warn!(
            budgets = before,
            "too many failed logins are kept in memory: the half with the fewest failures is forgotten"
        );
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn admit(&self, budgets: &[Budget], now: Timestamp) -> Admission {
        let mut kept = self.kept();
        let mut rooms = Vec::with_capacity(budgets.len());
        let (mut refused, mut is_pending) = (0, false);
        for budget in budgets {
            match budget.judge(kept.get(&budget.key).map(|kept| kept.spent), now) {
                Judgement::Room(spent) => rooms.push(spent),
                Judgement::Pending => is_pending = true,
                Judgement::Refused(wait) => refused = refused.max(wait),
            }
        }
        if refused > 0 {
            return Admission::Refused(super::milliseconds(refused));
        }
        if is_pending {
            return Admission::Pending;
        }
        let mut failures = 0;
        for (budget, spent) in budgets.iter().zip(rooms) {
            failures = failures.max(budget.failures(spent));
            self.keep(&mut kept, budget, Some(spent), now);
        }
        Admission::Admitted { failures }
    }

    async fn settle(&self, budgets: &[Budget], settlement: Settlement, now: Timestamp) {
        let mut kept = self.kept();
        for budget in budgets {
            let spent = kept.get(&budget.key).map(|kept| kept.spent);
            if spent.is_some() {
                let settled = budget.settle(spent, settlement, now);
                self.keep(&mut kept, budget, settled, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
