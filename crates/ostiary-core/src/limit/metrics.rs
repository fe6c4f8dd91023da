//! What the limits did, for Prometheus.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Counts what became of guesses before they were compared.
#[derive(Debug, Default)]
pub struct LimitMetrics {
    /// Guesses that were compared.
    pub(crate) admitted: Counter,
    /// Guesses that were refused, with 429 or 503.
    pub(crate) refused: Counter,
    /// Passwords that were shut for devices that are not known.
    pub(crate) locked: Counter,
}

impl LimitMetrics {
    /// Lets `registry` show them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ostiary_limits");
        let guesses = "Guesses at passwords that the limits let through";
        registry.register("guesses_admitted", guesses, self.admitted.clone());
        let refused =
            "Guesses at passwords that the limits refused (429, or 503 where others were under way)";
        registry.register("guesses_refused", refused, self.refused.clone());
        let locked = "Passwords that were shut for unknown devices after too many consecutive failures";
        registry.register("passwords_locked", locked, self.locked.clone());
    }
}
