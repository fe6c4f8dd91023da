//! How long connections may take, how many there may be, and how much of a request is taken.

use std::time::Duration;

use clap::Args;

use super::{Settings, parse_seconds};
use crate::{
    body_budget::BodyLimits,
    client_address::{TrustedProxies, TrustedProxy},
    listener::ConnectionLimits,
};

/// How long connections may take, and how many there may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// How long the head of a request may take, in seconds
    #[arg(long, env = "HEADER_TIMEOUT", default_value = "10", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub header_timeout: Duration,
    /// How long the body of a request may take, in seconds
    #[arg(long, env = "BODY_TIMEOUT", default_value = "20", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub body_timeout: Duration,
    /// How long a whole request may take, in seconds
    #[arg(long, env = "REQUEST_TIMEOUT", default_value = "30", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub request_timeout: Duration,
    /// How long a connection may stay without a request, in seconds
    #[arg(long, env = "IDLE_TIMEOUT", default_value = "60", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub idle_timeout: Duration,
    /// How long requests in flight may take to finish at the end, in seconds
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "20", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub drain_timeout: Duration,
    /// Greatest size of a request body, in bytes
    #[arg(long, env = "BODY_LIMIT", default_value_t = 65_536, value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(1_024..=16_777_216))]
    pub body_limit: u32,
    /// Connections served at once; for more, those that have waited the longest for their clients are closed
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 4_096, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Reverse proxies whose X-Forwarded-For or Forwarded counts: their addresses or networks (10.0.0.0/8), with
    /// commas between
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS")]
    pub trusted_proxies: Vec<TrustedProxy>,
}

impl Settings {
    /// How much of a request body is taken.
    #[must_use]
    pub const fn body_limits(&self) -> BodyLimits {
        BodyLimits { bytes: self.connections.body_limit as usize, timeout: self.connections.body_timeout }
    }

    /// Whose word counts about the addresses of clients.
    #[must_use]
    pub fn trusted_proxies(&self) -> TrustedProxies {
        self.connections.trusted_proxies.iter().copied().collect()
    }

    /// How long connections may take.
    #[must_use]
    pub const fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            header_timeout: self.connections.header_timeout,
            idle_timeout: self.connections.idle_timeout,
            max_connections: self.connections.max_connections as usize,
            drain_timeout: self.connections.drain_timeout,
        }
    }
}
