//! What the lane counts of itself.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::Standing;
use crate::password::bcrypt;

/// The lane's figures. Counting is a few atomic operations, whether or not anybody reads them.
#[derive(Debug, Clone)]
pub struct LaneMetrics {
    /// How many jobs wait.
    pub(super) depth: Family<Labels, Gauge>,
    /// From a job's arrival to its start, in seconds.
    pub(super) wait_seconds: Family<Labels, Histogram, fn() -> Histogram>,
    /// Jobs that were refused, at their arrival or because others kept going before them.
    pub(super) refused: Family<Labels, Counter>,
    /// Jobs whose client had gone before they started.
    pub(super) dropped: Family<Labels, Counter>,
    /// How many threads compute.
    pub(super) computing: Gauge,
    /// How often a stand-in took the work of a thread that got no time from the system.
    pub(super) stood_in: Counter,
    /// How often guesses began to flood the lane.
    pub(super) floods: Counter,
    /// bcrypt computations, by how many a thread did together.
    pub(super) bcrypt: Family<Labels, Counter>,
}

/// One label and its value.
type Labels = [(&'static str, &'static str); 1];

impl LaneMetrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            depth: Family::default(),
            wait_seconds: Family::new_with_constructor(wait_histogram),
            refused: Family::default(),
            dropped: Family::default(),
            computing: Gauge::default(),
            stood_in: Counter::default(),
            floods: Counter::default(),
            bcrypt: Family::default(),
        };
        // So that they are there, at zero, before anything happens.
        for standing in [Standing::Known, Standing::Unknown] {
            let labels = Self::standing(standing);
            drop(metrics.depth.get_or_create(&labels));
            drop(metrics.wait_seconds.get_or_create(&labels));
            drop(metrics.refused.get_or_create(&labels));
            drop(metrics.dropped.get_or_create(&labels));
        }
        for together in 1..=bcrypt::TOGETHER {
            drop(metrics.bcrypt.get_or_create(&Self::together(together)));
        }
        metrics
    }

    /// Lists the figures in `registry`, under names that begin with `ostiary_hash_lane_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ostiary_hash_lane");
        registry.register("depth", "Jobs that wait for a thread", self.depth.clone());
        registry.register(
            "wait_seconds",
            "Seconds from a job's arrival to its start",
            self.wait_seconds.clone(),
        );
        registry.register(
            "refused",
            "Jobs that were refused because they could not start in time",
            self.refused.clone(),
        );
        registry.register("dropped", "Jobs whose client had gone before they started", self.dropped.clone());
        registry.register("computing", "Threads that compute", self.computing.clone());
        registry.register(
            "stood_in",
            "Jobs taken from a thread that got no processor time",
            self.stood_in.clone(),
        );
        registry.register("floods", "How often guesses began to flood the lane", self.floods.clone());
        registry.register(
            "bcrypt_computations",
            "bcrypt computations, by how many a thread did together",
            self.bcrypt.clone(),
        );
    }

    pub(super) fn entered(&self, standing: Standing) {
        self.depth.get_or_create(&Self::standing(standing)).inc();
    }

    /// A job left the queue to be computed.
    pub(super) fn started(&self, standing: Standing, waited: Duration) {
        self.depth.get_or_create(&Self::standing(standing)).dec();
        self.wait_seconds.get_or_create(&Self::standing(standing)).observe(waited.as_secs_f64());
    }

    pub(super) fn refused_at_arrival(&self, standing: Standing) {
        self.refused.get_or_create(&Self::standing(standing)).inc();
    }

    pub(super) fn refused_late(&self, standing: Standing) {
        self.depth.get_or_create(&Self::standing(standing)).dec();
        self.refused.get_or_create(&Self::standing(standing)).inc();
    }

    pub(super) fn abandoned(&self, standing: Standing) {
        self.depth.get_or_create(&Self::standing(standing)).dec();
        self.dropped.get_or_create(&Self::standing(standing)).inc();
    }

    pub(super) fn computed_bcrypt(&self, together: usize) {
        self.bcrypt.get_or_create(&Self::together(together)).inc_by(together as u64);
    }

    pub(super) fn standing(standing: Standing) -> Labels {
        match standing {
            Standing::Known => [("standing", "known")],
            Standing::Unknown => [("standing", "unknown")],
        }
    }

    pub(super) fn together(computations: usize) -> Labels {
        [(
            "together",
            match computations {
                1 => "1",
                2 => "2",
                3 => "3",
                _ => "4",
            },
        )]
    }
}

fn wait_histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0])
}
