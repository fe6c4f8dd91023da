//! What every handler shares.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ostiary_core::Ostiary;

use crate::{body_budget::BodyBudget, client_address::TrustedProxies, metrics::RequestMetrics};

/// How much of a body is taken, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The greatest size in bytes.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub timeout: Duration,
}

/// The server's state; cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The rules.
    pub ostiary: Ostiary,
    /// How much of a body is taken.
    pub body_limits: BodyLimits,
    /// How much memory bodies hold that are under way.
    pub body_budget: BodyBudget,
    /// How long a whole request may take.
    pub request_timeout: Duration,
    /// Whose word counts about the addresses of clients.
    pub trusted_proxies: TrustedProxies,
    /// What is counted of requests.
    pub metrics: RequestMetrics,
    /// Whether the server is about to stop, and wants no new work.
    pub draining: AtomicBool,
}

impl App {
    /// An app that serves `ostiary`.
    #[must_use]
    pub fn new(
        ostiary: Ostiary,
        body_limits: BodyLimits,
        request_timeout: Duration,
        trusted_proxies: TrustedProxies,
    ) -> Self {
        let body_budget = BodyBudget::for_bodies_of(body_limits.bytes);
        let draining = AtomicBool::new(false);
        Self(Arc::new(Parts {
            ostiary,
            body_limits,
            body_budget,
            request_timeout,
            trusted_proxies,
            draining,
            metrics: RequestMetrics::default(),
        }))
    }

    /// Whether the server is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Lets `/readyz` fail from now on.
    pub fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
