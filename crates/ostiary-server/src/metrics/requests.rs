//! Requests: how many, of what, how they ended, and how long they took.

use std::{mem, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Seconds. From a refresh on an idle server to a login that waited for its turn and gave up.
const DURATIONS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The route of requests for which there is none. Their paths are anything that a client may think of.
const UNMATCHED: &str = "unmatched";

/// Of each label there is a fixed number of values, whatever clients send.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: u16,
}

/// Figures of requests.
#[derive(Debug)]
pub struct RequestMetrics {
    durations: Family<Labels, Histogram>,
    in_flight: Gauge,
    abandoned: Counter,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let new = (|| Histogram::new(DURATIONS)) as fn() -> Histogram;
        Self {
            durations: Family::new_with_constructor(new),
            in_flight: Gauge::default(),
            abandoned: Counter::default(),
        }
    }
}

impl RequestMetrics {
    /// Counts a request from now on, until what is returned is told of its answer.
    pub fn begin(&self, request: &Request) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight {
            metrics: self,
            start: Instant::now(),
            method: name(request.method()),
            route: request.extensions().get().map_or(UNMATCHED, MatchedPath::as_str).to_owned(),
            is_answered: false,
        }
    }

    /// Adds the figures to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "ostiary_http_request_duration",
            "Time from the head of a request to the head of its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "ostiary_http_requests_in_flight",
            "Requests that are not answered yet",
            self.in_flight.clone(),
        );
        registry.register(
            "ostiary_http_requests_abandoned",
            "Requests whose client went away before the answer",
            self.abandoned.clone(),
        );
    }
}

/// The methods that HTTP defines for what is served; a client may make up others.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A request that is in flight. If it goes before it was answered, its client went away.
#[derive(Debug)]
pub struct InFlight<'a> {
    metrics: &'a RequestMetrics,
    start: Instant,
    method: &'static str,
    route: String,
    is_answered: bool,
}

impl InFlight<'_> {
    /// Counts the request as answered now, with this status.
    pub fn answered(mut self, status: StatusCode) {
        self.is_answered = true;
        let route = mem::take(&mut self.route);
        let labels = Labels { method: self.method, route, status: status.as_u16() };
        self.metrics.durations.get_or_create(&labels).observe(self.start.elapsed().as_secs_f64());
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        if !self.is_answered {
            self.metrics.abandoned.inc();
        }
    }
}
