//! What every handler shares.

use std::{
    ops::Deref,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ostiary_core::{Ostiary, store::Store};
use prometheus_client::registry::Registry;

use crate::{
    body_budget::{BodyBudget, BodyLimits},
    client_address::TrustedProxies,
    config::Settings,
    limiter::LimiterMetrics,
    listener::ConnectionMetrics,
    metrics::{self, RequestMetrics},
};

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
    /// Whether it has been said that a proxy is missing there.
    pub forgotten_proxy: Once,
    /// What is counted of requests.
    pub metrics: RequestMetrics,
    /// What is counted of connections.
    pub connection_metrics: ConnectionMetrics,
    /// What the limiter tells about itself.
    pub limiter_metrics: LimiterMetrics,
    /// Whether the server is about to stop, and wants no new work.
    pub draining: AtomicBool,
}

impl App {
    /// An app that serves `ostiary` as `settings` say.
    #[must_use]
    pub fn new(ostiary: Ostiary, limiter_metrics: LimiterMetrics, settings: &Settings) -> Self {
        let body_limits = settings.body_limits();
        Self(Arc::new(Parts {
            ostiary,
            body_limits,
            body_budget: BodyBudget::for_bodies_of(body_limits.bytes),
            request_timeout: settings.connections.request_timeout,
            trusted_proxies: settings.trusted_proxies(),
            forgotten_proxy: Once::new(),
            metrics: RequestMetrics::default(),
            connection_metrics: ConnectionMetrics::default(),
            limiter_metrics,
            draining: AtomicBool::new(false),
        }))
    }

    /// All figures of the server, for [`metrics::serve`].
    #[must_use]
    pub fn figures(&self) -> Registry {
        let ostiary = &self.ostiary;
        let mut registry = metrics::registry(ostiary.clock.now());
        self.metrics.register(&mut registry);
        self.connection_metrics.register(&mut registry);
        ostiary.hasher.metrics().register(&mut registry);
        ostiary.limit_metrics.register(&mut registry);
        self.limiter_metrics.register(&mut registry);
        let store: &dyn Store = &*ostiary.store;
        store.register_metrics(&mut registry);
        registry
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
