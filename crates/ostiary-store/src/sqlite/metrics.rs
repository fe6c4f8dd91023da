//! What the embedded store counts.

use std::time::Instant;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::metrics::{StatementMetrics, durations};

/// Steps in a commit; the last is all that one may have (`writer::GROUP`).
const GROUPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Figures of the writer and of all statements; cloning it is cheap.
#[derive(Debug, Clone)]
pub(super) struct SqliteMetrics {
    pub(super) statements: StatementMetrics,
    /// Steps that wait for the writer.
    pub(super) queued: Gauge,
    group_sizes: Histogram,
    commits: Histogram,
    failures: Counter,
}

impl SqliteMetrics {
    pub(super) fn new() -> Self {
        Self {
            statements: StatementMetrics::new("sqlite"),
            queued: Gauge::default(),
            group_sizes: Histogram::new(GROUPS),
            commits: durations(),
            failures: Counter::default(),
        }
    }

    /// Counts a transaction of `steps` steps that began at `start` and ends now.
    pub(super) fn committed(&self, steps: usize, start: Instant, failed: bool) {
        self.group_sizes.observe(f64::from(u32::try_from(steps).unwrap_or(u32::MAX)));
        self.commits.observe(start.elapsed().as_secs_f64());
        self.failures.inc_by(u64::from(failed));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.statements.register(registry);
        registry.register(
            "ostiary_sqlite_queued_steps",
            "Steps that wait for the thread that writes",
            self.queued.clone(),
        );
        registry.register(
            "ostiary_sqlite_commit_steps",
            "Steps that one commit took together",
            self.group_sizes.clone(),
        );
        registry.register_with_unit(
            "ostiary_sqlite_commit_duration",
            "Time of a transaction, its steps and its wait for the disk",
            Unit::Seconds,
            self.commits.clone(),
        );
        registry.register(
            "ostiary_sqlite_commit_failures",
            "Transactions of which nothing was kept",
            self.failures.clone(),
        );
    }
}
