//! The limiter of several nodes: what they count is in Redis, and each step is one script there.
//!
//! Redis holds nothing that matters. While it is away, slow, full or read-only, each node counts in its own memory, so
//! guesses get at most twice the budget on each; a breaker keeps logins from waiting for it one after another.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use ostiary_core::limit::{Admission, Budget, Limiter, PENDING_FOR, Rule, Settlement};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::memory::MemoryLimiter;

/// How long Redis is left alone after it failed; then one step tries it.
const REST: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts guesses in Redis.
pub struct RedisLimiter {
    connection: ConnectionManager,
    /// How long Redis has for a step.
    timeout: Duration,
    script: Script,
    breaker: Breaker,
    memory: MemoryLimiter,
    metrics: RedisMetrics,
}

/// What the limiter in Redis tells about itself.
#[derive(Debug, Clone, Default)]
pub struct RedisMetrics {
    failures: Counter,
    is_away: Gauge,
}

impl RedisMetrics {
    /// Lets `registry` show them.
    pub fn register(&self, registry: &mut Registry) {
        let failures = "Steps that Redis failed to do in time, and memory did";
        registry.register("redis_failures", failures, self.failures.clone());
        let is_away = "Whether Redis is left alone because it failed (1), and limits are counted in memory";
        registry.register("redis_away", is_away, self.is_away.clone());
    }
}

/// Redis did not do a step.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Failed(#[from] RedisError),
    #[error("an answer that the script does not give")]
    Strange,
}

impl RedisLimiter {
    /// A limiter that counts in the Redis of `client`, which has `timeout` for a step, and in `memory` while that is away. Connects when it is first
    /// used, and again whenever the connection is lost.
    ///
    /// # Errors
    /// If the client's settings cannot be used.
    pub fn new(client: Client, timeout: Duration, memory: MemoryLimiter) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_number_of_retries(0);
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            timeout,
            script: Script::new(include_str!("limit.lua")),
            breaker: Breaker::default(),
            memory,
            metrics: RedisMetrics::default(),
        })
    }

    pub(super) const fn metrics(&self) -> &RedisMetrics {
        &self.metrics
    }

    /// Does a step in Redis; `None` if it is to be done in memory.
    async fn run(&self, action: &str, budgets: &[Budget], now: Timestamp) -> Option<Vec<i64>> {
        if !self.breaker.lets_through() {
            return None;
        }
        let mut invocation = self.script.prepare_invoke();
        invocation.arg(action).arg(now.as_millisecond()).arg(milliseconds(PENDING_FOR));
        for budget in budgets {
            invocation.key([b"ostiary:limit:", budget.key.as_bytes().as_slice()].concat());
            let forgiven_at = budget.forgiven_at.map_or(0, Timestamp::as_millisecond);
            match budget.rule {
                Rule::Consecutive { free, max_delay, kept } => invocation
                    .arg("consecutive")
                    .arg(free)
                    .arg(milliseconds(max_delay))
                    .arg(milliseconds(kept))
                    .arg(forgiven_at),
                Rule::Rate { burst, interval } => {
                    invocation.arg("rate").arg(burst).arg(milliseconds(interval)).arg(0).arg(0)
                }
            };
        }
        let mut connection = self.connection.clone();
        let answer = tokio::time::timeout(self.timeout, invocation.invoke_async(&mut connection)).await;
        match answer.map_err(|_| Fault::Late).and_then(|answer| answer.map_err(Fault::from)) {
            Ok(answer) => {
                self.succeeded();
                Some(answer)
            }
            Err(fault) => {
                self.failed(&fault);
                None
            }
        }
    }

    fn succeeded(&self) {
        if self.breaker.close() {
            self.metrics.is_away.set(0);
            tracing::info!("Redis is back: failed logins are counted in it again");
        }
    }

    fn failed(&self, fault: &Fault) {
        self.metrics.failures.inc();
        self.metrics.is_away.set(1);
        if self.breaker.open() {
            tracing::warn!(error = %fault, "Redis failed: failed logins are counted in this node's memory until it is back");
        }
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn admit(&self, budgets: &[Budget], now: Timestamp) -> Admission {
        match self.run("admit", budgets, now).await.as_deref() {
            Some(&[-1]) => Admission::Pending,
            Some(&[-2, wait]) => Admission::Refused(super::milliseconds(wait)),
            Some(&[failures]) if failures >= 0 => {
                Admission::Admitted { failures: u32::try_from(failures).unwrap_or(u32::MAX) }
            }
            Some(_) => {
                self.failed(&Fault::Strange);
                self.memory.admit(budgets, now).await
            }
            None => self.memory.admit(budgets, now).await,
        }
    }

    async fn settle(&self, budgets: &[Budget], settlement: Settlement, now: Timestamp) {
        let action = match settlement {
            Settlement::Failed => "failed",
            Settlement::Succeeded => "succeeded",
            Settlement::Withdrawn => "withdrawn",
            Settlement::Reset => "reset",
        };
        // A guess may have been admitted in memory while Redis was away.
        self.memory.settle(budgets, settlement, now).await;
        self.run(action, budgets, now).await;
    }
}

fn milliseconds(span: jiff::SignedDuration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Keeps steps from Redis while it is away.
#[derive(Debug, Default)]
struct Breaker(Mutex<Option<Instant>>);

impl Breaker {
    /// Whether a step may try. Of those that come while Redis is away one may, each [`REST`].
    fn lets_through(&self) -> bool {
        let mut rests_until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *rests_until {
            None => true,
            Some(time) if time > Instant::now() => false,
            Some(_) => {
                *rests_until = Some(Instant::now() + REST);
                true
            }
        }
    }

    /// Redis failed; says whether it was there before.
    fn open(&self) -> bool {
        let mut rests_until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rests_until.replace(Instant::now() + REST).is_none()
    }

    /// Redis answered; says whether it was away before.
    fn close(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}
