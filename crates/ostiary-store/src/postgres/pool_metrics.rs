//! What the pool of connections that write amounts to, looked up when it is asked for.

use std::fmt;

use deadpool_postgres::Pool;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

/// Figures of a pool.
pub(super) struct PoolMetrics(Pool);

impl PoolMetrics {
    pub(super) const fn new(pool: Pool) -> Self {
        Self(pool)
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolMetrics").field(&self.0.status()).finish()
    }
}

impl Collector for PoolMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pool = self.0.status();
        for (name, help, value) in [
            ("ostiary_postgres_pool_connections", "Connections of the pool that are open", pool.size),
            (
                "ostiary_postgres_pool_idle_connections",
                "Connections of the pool that are free",
                pool.available,
            ),
            ("ostiary_postgres_pool_max_connections", "Connections that the pool may open", pool.max_size),
            (
                "ostiary_postgres_pool_waiting",
                "Statements that wait for a connection of the pool",
                pool.waiting,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
