//! Settings: one struct, of which each field is a flag and an environment variable with a help text.
//!
//! [`load`] fills it from flags, the environment and an `.env` file, in this order of precedence, and
//! reports everything that is wrong at once.

#![expect(clippy::doc_markdown, reason = "the fields' documentation is the help text on a terminal")]

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use jiff::SignedDuration;
use ostiary_core::{
    contact::Region,
    hasher::HasherSettings,
    jwt::TokenParties,
    keys::{KeyRules, SharedSecret, SigningAlgorithm, SigningMethod},
    password::PasswordScheme,
    policy::{PasswordPolicy, Policy},
};
use tracing_subscriber::filter::Targets;

use connections::ConnectionArgs;
use database::DatabaseArgs;
use limits::LimitArgs;
use redis::RedisArgs;
use values::{parse_audience, parse_group, parse_listen, parse_public_url, parse_seconds, unless_zero};

use crate::telemetry::LogFormat;

pub mod connections;
pub mod database;
pub mod env_file;
mod help;
pub mod limits;
pub mod load;
pub mod redis;
pub mod server_secret;
mod values;

/// A value that is shown nowhere.
#[derive(Clone)]
pub struct SecretText(String);

impl SecretText {
    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// How access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JwtAlgorithm {
    /// HMAC-SHA-256 with `JWT_SECRET_KEY`.
    #[value(name = "HS256", alias = "hs256")]
    Hs256,
    /// HMAC-SHA-384 with `JWT_SECRET_KEY`.
    #[value(name = "HS384", alias = "hs384")]
    Hs384,
    /// HMAC-SHA-512 with `JWT_SECRET_KEY`.
    #[value(name = "HS512", alias = "hs512")]
    Hs512,
    /// Ed25519 with a key that the store keeps.
    #[value(name = "EdDSA", alias = "eddsa")]
    EdDsa,
    /// ECDSA on P-256 with a key that the store keeps.
    #[value(name = "ES256", alias = "es256")]
    Es256,
    /// RSA of 2048 bits with a key that the store keeps.
    #[value(name = "RS256", alias = "rs256")]
    Rs256,
}

impl From<JwtAlgorithm> for SigningAlgorithm {
    fn from(algorithm: JwtAlgorithm) -> Self {
        match algorithm {
            JwtAlgorithm::Hs256 => Self::Hs256,
            JwtAlgorithm::Hs384 => Self::Hs384,
            JwtAlgorithm::Hs512 => Self::Hs512,
            JwtAlgorithm::EdDsa => Self::EdDsa,
            JwtAlgorithm::Es256 => Self::Es256,
            JwtAlgorithm::Rs256 => Self::Rs256,
        }
    }
}

/// How new passwords are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PasswordSchemeName {
    /// Argon2id, 19 MiB, t = 2, p = 1.
    Argon2id,
    /// bcrypt of cost 12, which the replaced service verifies.
    Bcrypt,
}

/// Everything that an operator can set.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Address under which clients reach this server, with its scheme (https); the claim `iss` of tokens
    #[arg(long, env = "PUBLIC_URL", help_heading = "Service", value_name = "URL", value_parser = parse_public_url)]
    pub public_url: Option<String>,
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0", help_heading = "Service", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port to listen on
    #[arg(long, env = "PORT", default_value_t = 8001, help_heading = "Service")]
    pub port: u16,
    /// Address and port of figures for Prometheus, at /metrics; who can reach it can read them [default: none]
    #[arg(long, env = "METRICS_LISTEN", help_heading = "Service", value_name = "ADDRESS:PORT",
          value_parser = parse_listen)]
    pub metrics_listen: Option<SocketAddr>,
    /// Directory of the embedded database and of the secret that is made on the first start
    #[arg(
        long,
        env = "DATA_DIR",
        default_value = "./data",
        help_heading = "Service",
        value_name = "DIRECTORY"
    )]
    pub data_dir: PathBuf,
    /// File of further settings, a NAME=VALUE each line [default: .env, if there is one]
    #[arg(long, env = "ENV_FILE", help_heading = "Service", value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// How log lines look: for people on a terminal, JSON elsewhere
    #[arg(long, env = "LOG_FORMAT", default_value = "auto", help_heading = "Service", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug or trace, or such a level by module (ostiary_core=debug)
    #[arg(long, env = "LOG_LEVEL", default_value = "info", help_heading = "Service", value_name = "FILTER")]
    pub log_level: Targets,

    /// The server's secret, from which its keys are derived: at least 32 characters, the same on all nodes
    /// [default: the file below; else derived from JWT_SECRET_KEY; else made on the first start]
    #[arg(long, env = "SECRET_KEY", help_heading = "Secrets and tokens", value_name = "SECRET")]
    pub secret_key: Option<SecretText>,
    /// File of the server's secret, readable by its owner alone [default: secret.key in the data directory]
    #[arg(long, env = "SECRET_KEY_FILE", help_heading = "Secrets and tokens", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// Secret shared with the services that verify access tokens; at least 32 characters (HS384: 48, HS512: 64)
    #[arg(long, env = "JWT_SECRET_KEY", help_heading = "Secrets and tokens", value_name = "SECRET")]
    pub jwt_secret_key: Option<SecretText>,
    /// Algorithm of access tokens [default: HS256 with JWT_SECRET_KEY, EdDSA without]
    #[arg(long, env = "JWT_ALGORITHM", help_heading = "Secrets and tokens", value_name = "ALGORITHM")]
    pub jwt_algorithm: Option<JwtAlgorithm>,
    /// Accept a JWT_SECRET_KEY that is shorter than that, which can be found by trying
    #[arg(long, env = "ALLOW_SHORT_JWT_SECRET", default_value = "false", default_missing_value = "true",
          num_args = 0..=1, require_equals = true, value_parser = BoolishValueParser::new(),
          help_heading = "Secrets and tokens", value_name = "BOOL")]
    pub allow_short_jwt_secret: bool,
    /// How long a signing key is used before the next one takes its place, in days; 0 for as long as nobody rotates it
    #[arg(long, env = "KEY_ROTATION_DAYS", default_value_t = 90, help_heading = "Secrets and tokens",
          value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=3_650))]
    pub key_rotation_days: u32,
    /// How long verifiers may keep the key set, in seconds; a new key is published so long before it signs
    #[arg(long, env = "JWKS_MAX_AGE", default_value_t = 300, help_heading = "Secrets and tokens",
          value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub jwks_max_age: u32,
    /// Whom access tokens are for: the claim `aud`. Verifiers that are not told of it refuse such tokens
    #[arg(long, env = "JWT_AUDIENCE", help_heading = "Secrets and tokens", value_name = "AUDIENCE",
          value_parser = parse_audience)]
    pub jwt_audience: Option<String>,
    /// Put the names of the user's groups into access tokens
    #[arg(long, env = "ACCESS_TOKEN_GROUPS", default_value = "false", default_missing_value = "true",
          num_args = 0..=1, require_equals = true, value_parser = BoolishValueParser::new(),
          help_heading = "Secrets and tokens", value_name = "BOOL")]
    pub access_token_groups: bool,
    /// Life of an access token, in minutes
    #[arg(long, env = "ACCESS_TOKEN_EXPIRE_MINUTES", default_value_t = 30, help_heading = "Secrets and tokens",
          value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=525_600))]
    pub access_token_expire_minutes: u32,
    /// Life of a session, however often it is refreshed, in days
    #[arg(long, env = "REFRESH_TOKEN_EXPIRE_DAYS", default_value_t = 30, help_heading = "Secrets and tokens",
          value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub refresh_token_expire_days: u32,
    /// Life of a session that is not refreshed, in minutes; 0 for as long as any
    #[arg(long, env = "SESSION_IDLE_MINUTES", default_value_t = 0, help_heading = "Secrets and tokens",
          value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(0..=5_256_000))]
    pub session_idle_minutes: u32,
    /// Sessions that a user may have at a time; a new one ends the one that was refreshed the longest ago. 0 for any
    /// number
    #[arg(long, env = "MAX_SESSIONS_PER_USER", default_value_t = 100, help_heading = "Secrets and tokens",
          value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_sessions_per_user: u32,
    /// For how long what the database said of a session serves other requests that only read, in milliseconds; 0 asks
    /// it each time. What another node ends counts here that much later
    #[arg(long, env = "SESSION_CACHE_MILLISECONDS", default_value_t = 500, help_heading = "Secrets and tokens",
          value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub session_cache_milliseconds: u32,
    /// How long a spent refresh token still gets the same successor, in seconds
    #[arg(long, env = "REFRESH_GRACE_SECONDS", default_value_t = 10, help_heading = "Secrets and tokens",
          value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=60))]
    pub refresh_grace_seconds: u32,

    /// Groups that anyone may register into, with commas between; made at the start
    #[arg(long, env = "REGISTRATION_GROUPS", default_value = "customer", value_delimiter = ',',
          help_heading = "Accounts", value_name = "NAMES", value_parser = parse_group)]
    pub registration_groups: Vec<String>,
    /// Country whose phone numbers may be written without a country code; two letters of ISO 3166-1
    #[arg(
        long,
        env = "DEFAULT_REGION",
        default_value = "RU",
        help_heading = "Accounts",
        value_name = "REGION"
    )]
    pub default_region: Region,
    /// How new passwords are hashed; bcrypt where the replaced service still runs beside
    /// [default: argon2id; bcrypt on an adopted directory]
    #[arg(long, env = "PASSWORD_SCHEME", help_heading = "Accounts", value_name = "SCHEME")]
    pub password_scheme: Option<PasswordSchemeName>,
    /// Least length of a new password, in characters; not below 8
    #[arg(long, env = "PASSWORD_MIN_LENGTH", default_value_t = 8, help_heading = "Accounts", value_name = "LENGTH",
          value_parser = clap::value_parser!(u16).range(8..=256))]
    pub password_min_length: u16,
    /// Least strength of a new password, by zxcvbn: 0 (off) to 4 (10^10 guesses)
    #[arg(long, env = "PASSWORD_MIN_SCORE", default_value_t = 1, help_heading = "Accounts", value_name = "SCORE",
          value_parser = clap::value_parser!(u8).range(0..=4))]
    pub password_min_score: u8,
    /// Passwords hashed at once [default: one a core]
    #[arg(long, env = "HASH_THREADS", help_heading = "Accounts", value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub hash_threads: Option<u16>,
    /// How long a login may wait for its turn before it is refused with 503, in seconds
    #[arg(long, env = "HASH_DEADLINE", default_value = "2", help_heading = "Accounts", value_name = "SECONDS",
          value_parser = parse_seconds)]
    pub hash_deadline: Duration,

    /// How long connections may take, and how many there may be.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// How many wrong passwords are allowed.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Where PostgreSQL is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where Redis is.
    #[command(flatten)]
    pub redis: RedisArgs,
}

impl Settings {
    /// What is wrong with the settings taken together; each line says what to do.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(problem) = self.signing_method() {
            problems.push(problem);
        }
        if self.secret_key.is_some() && self.secret_key_file.is_some() {
            problems.push("SECRET_KEY and SECRET_KEY_FILE are both set: leave one of them out".to_owned());
        }
        if let Some(Err(error)) = self.secret_key.as_ref().map(|text| server_secret::parse(text.expose())) {
            problems.push(format!("SECRET_KEY cannot be used: {error}"));
        }
        if self.metrics_listen.is_some_and(|address| self.listens_on(address)) {
            problems.push(
                "METRICS_LISTEN is where HOST and PORT are: set another port in METRICS_LISTEN".to_owned(),
            );
        }
        problems.extend(self.database().err());
        problems.extend(self.redis.settings().err());
        problems
    }

    fn listens_on(&self, address: SocketAddr) -> bool {
        let is_same_host =
            address.ip() == self.host || address.ip().is_unspecified() || self.host.is_unspecified();
        is_same_host && address.port() == self.port && self.port != 0
    }

    /// How access tokens are to be signed.
    ///
    /// # Errors
    /// If the settings contradict each other; the text says what to do.
    pub fn signing_method(&self) -> Result<SigningMethod, String> {
        let default = if self.jwt_secret_key.is_some() { JwtAlgorithm::Hs256 } else { JwtAlgorithm::EdDsa };
        let algorithm = SigningAlgorithm::from(self.jwt_algorithm.unwrap_or(default));
        if !algorithm.is_shared() {
            // It signs nothing, but its earlier tokens verify, and the server's secret may be derived from it.
            let before = self.shared_secret(SigningAlgorithm::Hs256).transpose()?;
            return Ok(SigningMethod::KeyPair { algorithm, before });
        }
        match self.shared_secret(algorithm) {
            Some(secret) => Ok(SigningMethod::Shared(algorithm, secret?)),
            None => Err(format!(
                "JWT_ALGORITHM is {algorithm}, which needs JWT_SECRET_KEY: set it, or use EdDSA, ES256 or RS256"
            )),
        }
    }

    fn shared_secret(&self, algorithm: SigningAlgorithm) -> Option<Result<SharedSecret, String>> {
        let text = self.jwt_secret_key.as_ref()?;
        Some(SharedSecret::parse(text.expose(), algorithm, self.allow_short_jwt_secret).map_err(|error| {
            format!(
                "JWT_SECRET_KEY cannot be used: {error}. Make one with `openssl rand -hex 32`; if the \
                 verifiers cannot change theirs now, set ALLOW_SHORT_JWT_SECRET=true"
            )
        }))
    }

    /// What the operator decided about signing keys.
    #[must_use]
    pub fn key_rules(&self) -> KeyRules {
        KeyRules {
            token_lifetime: self.policy().access_token_lifetime,
            jwks_max_age: SignedDuration::from_secs(i64::from(self.jwks_max_age)),
            rotate_after: unless_zero(self.key_rotation_days)
                .map(|days| SignedDuration::from_hours(24 * i64::from(days))),
        }
    }

    /// What the operator decided for the rules.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            access_token_lifetime: SignedDuration::from_mins(i64::from(self.access_token_expire_minutes)),
            session_lifetime: SignedDuration::from_hours(24 * i64::from(self.refresh_token_expire_days)),
            session_idle: unless_zero(self.session_idle_minutes)
                .map(|minutes| SignedDuration::from_mins(i64::from(minutes))),
            max_sessions: unless_zero(self.max_sessions_per_user),
            token_parties: TokenParties {
                issuer: self.public_url.clone(),
                audience: self.jwt_audience.clone(),
            },
            session_cache: SignedDuration::from_millis(i64::from(self.session_cache_milliseconds)),
            token_groups: self.access_token_groups,
            refresh_grace: SignedDuration::from_secs(i64::from(self.refresh_grace_seconds)),
            registration_groups: self.registration_groups.clone(),
            password: PasswordPolicy {
                min_chars: usize::from(self.password_min_length).max(PasswordPolicy::FLOOR_CHARS),
                min_score: self.password_min_score,
            },
            limits: self.limits.policy(),
            known_device_lifetime: self.limits.known_device_lifetime(),
        }
    }

    /// How the hashing lane is built, for hashes of `default` unless the settings say which.
    #[must_use]
    pub fn hasher(&self, default: PasswordScheme) -> HasherSettings {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = self.hash_threads.map_or(cores, usize::from);
        HasherSettings {
            scheme: match self.password_scheme {
                Some(PasswordSchemeName::Argon2id) => PasswordScheme::Argon2id,
                Some(PasswordSchemeName::Bcrypt) => PasswordScheme::Bcrypt,
                None => default,
            },
            threads,
            threads_in_flood: threads.min(cores - 1).max(1),
            deadline: self.hash_deadline,
        }
    }
}
