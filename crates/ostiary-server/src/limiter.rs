//! Where guesses at passwords are counted: in this process, or in Redis for all nodes.

use std::{sync::Arc, time::Duration};

use ostiary_core::limit::{Limiter, Unlimited};
use prometheus_client::registry::Registry;

use crate::config::{Settings, redis::RedisSettings};
use memory::{MemoryLimiter, MemoryMetrics};
use redis::{RedisLimiter, RedisMetrics};

pub mod memory;
pub mod redis;

/// The limiter that the settings name.
pub struct Chosen {
    /// The limiter itself.
    pub limiter: Arc<dyn Limiter>,
    /// What it tells about itself.
    pub metrics: LimiterMetrics,
}

/// What a limiter tells about itself.
#[derive(Default)]
pub struct LimiterMetrics {
    memory: Option<MemoryMetrics>,
    redis: Option<RedisMetrics>,
}

impl LimiterMetrics {
    /// Lets `registry` show them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ostiary_limiter");
        if let Some(memory) = &self.memory {
            memory.register(registry);
        }
        if let Some(redis) = &self.redis {
            redis.register(registry);
        }
    }
}

/// The limiter that `settings` name. Redis need not be there yet.
///
/// # Errors
/// If what names Redis cannot be used.
pub fn choose(settings: &Settings) -> Result<Chosen, String> {
    if !settings.limits.rate_limits {
        return Ok(Chosen { limiter: Arc::new(Unlimited), metrics: LimiterMetrics::default() });
    }
    let memory = MemoryLimiter::default();
    let mut metrics = LimiterMetrics { memory: Some(memory.metrics().clone()), redis: None };
    let Some(RedisSettings { client, .. }) = settings.redis.settings()? else {
        return Ok(Chosen { limiter: Arc::new(memory), metrics });
    };
    let redis = RedisLimiter::new(client, settings.redis.redis_timeout, memory)
        .map_err(|error| format!("Redis cannot be used: {error}"))?;
    metrics.redis = Some(redis.metrics().clone());
    Ok(Chosen { limiter: Arc::new(redis), metrics })
}

fn milliseconds(wait: i64) -> Duration {
    Duration::from_millis(u64::try_from(wait).unwrap_or(0))
}
