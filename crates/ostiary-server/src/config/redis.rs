//! Where Redis is.

use std::time::Duration;

use clap::Args;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::{SecretText, values::parse_seconds};

/// Where Redis is: an address, or the names that the replaced service has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Redis (counts failed logins for all nodes; without it each counts its own)")]
pub struct RedisArgs {
    /// Address of Redis, in place of the names below: redis://USER:PASSWORD@HOST:PORT/DB, or rediss:// for TLS
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<SecretText>,
    /// Host of Redis
    #[arg(long, env = "REDIS_HOST", value_name = "HOST")]
    pub redis_host: Option<String>,
    /// Port of Redis
    #[arg(long, env = "REDIS_PORT", default_value_t = 6379, value_name = "PORT")]
    pub redis_port: u16,
    /// Number of the Redis database
    #[arg(long, env = "REDIS_DB", default_value_t = 0, value_name = "NUMBER")]
    pub redis_db: u16,
    /// How long Redis may take for a step, in seconds; then it is done in this node's memory
    #[arg(long, env = "REDIS_TIMEOUT", default_value = "0.05", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub redis_timeout: Duration,
    /// Password of Redis
    #[arg(long, env = "REDIS_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub redis_password: Option<SecretText>,
}

/// A Redis that is named.
#[derive(Clone)]
pub struct RedisSettings {
    /// What connects to it.
    pub client: Client,
    /// Where it is, without its password.
    pub description: String,
}

impl RedisArgs {
    /// The Redis that is named, if one is.
    ///
    /// # Errors
    /// If it is named in a way that cannot be used; the text says what to do.
    pub fn settings(&self) -> Result<Option<RedisSettings>, String> {
        let info = match (&self.redis_url, &self.redis_host) {
            (Some(_), Some(_)) => {
                return Err("REDIS_URL and REDIS_HOST are both set: leave one of them out".to_owned());
            }
            (None, None) => return Ok(None),
            // What is wrong with an address may be its password.
            (Some(url), None) => url.expose().into_connection_info().map_err(|_| {
                "REDIS_URL is no address such as redis://localhost:6379/0 or rediss://:PASSWORD@HOST:6380/0"
                    .to_owned()
            })?,
            (None, Some(host)) => self.by_name(host)?,
        };
        let description = format!("{}, database {}", info.addr(), info.redis_settings().db());
        let client = Client::open(info).map_err(|error| format!("Redis cannot be used: {error}"))?;
        Ok(Some(RedisSettings { client, description }))
    }

    fn by_name(&self, host: &str) -> Result<ConnectionInfo, String> {
        let address = ConnectionAddr::Tcp(host.to_owned(), self.redis_port);
        let info =
            address.into_connection_info().map_err(|error| format!("REDIS_HOST cannot be used: {error}"))?;
        let mut redis = info.redis_settings().clone().set_db(i64::from(self.redis_db));
        if let Some(password) = &self.redis_password {
            redis = redis.set_password(password.expose());
        }
        Ok(info.set_redis_settings(redis))
    }
}
