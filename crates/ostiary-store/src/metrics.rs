//! What both stores count: statements, by the verb that they are of.

use std::time::Instant;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Seconds. A point read takes tens of microseconds; nothing waits for a database longer than 3 s.
const DURATIONS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    store: &'static str,
    method: &'static str,
}

/// Statements of a store; cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct StatementMetrics {
    store: &'static str,
    durations: Family<Labels, Histogram>,
    errors: Family<Labels, Counter>,
}

impl StatementMetrics {
    /// Figures that are shown as those of `store`.
    pub(crate) fn new(store: &'static str) -> Self {
        let durations = Family::new_with_constructor((|| durations()) as fn() -> Histogram);
        Self { store, durations, errors: Family::default() }
    }

    /// Counts a statement of the store's method `method` that began at `start` and ends now.
    pub(crate) fn record(&self, method: &'static str, start: Instant, failed: bool) {
        let labels = Labels { store: self.store, method };
        self.durations.get_or_create(&labels).observe(start.elapsed().as_secs_f64());
        // Counted from zero, or the first error would be no increase.
        self.errors.get_or_create(&labels).inc_by(u64::from(failed));
    }

    /// Adds the figures to `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "ostiary_store_statement_duration",
            "Time of a statement, its wait for a connection or for a commit included",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "ostiary_store_statement_errors",
            "Statements that failed; what they were to do may have happened",
            self.errors.clone(),
        );
    }
}

/// A histogram of the time that the store takes for something.
pub(crate) fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}
