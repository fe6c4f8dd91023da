//! What is counted of connections.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// What is counted of the connections of a listener.
#[derive(Debug, Clone, Default)]
pub struct ConnectionMetrics {
    /// Those that are served.
    pub(super) open: Gauge,
    /// Those that were, and are.
    pub(super) accepted: Counter,
    /// Those that were closed to make room.
    pub(super) made_room: Counter,
}

impl ConnectionMetrics {
    /// Adds the figures to `registry`, under names that begin with `ostiary_connections_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ostiary_connections");
        registry.register("open", "Connections of clients that are served", self.open.clone());
        registry.register("accepted", "Connections that clients have opened", self.accepted.clone());
        registry.register(
            "made_room",
            "Connections that waited for their clients and were closed in favour of others",
            self.made_room.clone(),
        );
    }
}
