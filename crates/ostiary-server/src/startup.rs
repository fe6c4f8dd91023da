//! From settings to a server that can serve.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use ostiary_core::{
    Ostiary,
    clock::{Clock, SystemClock},
    contact::ContactRules,
    hasher::Hasher,
    id::{NodeId, UserId},
    keys::{Keys, KeysError},
    known_device::DeviceTokenKeys,
    limit::{BudgetKeys, LimitMetrics},
    password::PasswordScheme,
    recent::RecentSessions,
    refresh_token::RefreshTokenKeys,
    secret::{SecretFingerprint, ServerSecret},
    service::ServiceCredentialKeys,
    store::{Store, StoreError},
};
use ostiary_store::{
    postgres::{self, PostgresStore},
    sqlite::{self, SqliteStore},
};

use crate::{
    config::{
        Settings,
        database::DatabaseSettings,
        server_secret::{self, SecretError, SecretSource},
    },
    limiter::{self, Chosen, LimiterMetrics},
};

/// The server cannot start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server's secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The embedded database.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The PostgreSQL database.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database again, once it was open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database was used with a secret that is not there any more.
    #[error(
        "the database {0} was used with a secret that is not set now: give the same SECRET_KEY, JWT_SECRET_KEY or \
         secret.key as before; or set a new SECRET_KEY, which ends all sessions"
    )]
    SecretMissing(String),
    /// Other nodes use the database with another secret.
    #[error(
        "the database {0} is used with another secret: give all nodes the same SECRET_KEY, or JWT_SECRET_KEY. To \
         change it for good, which ends all sessions, stop all nodes and delete the rows of auth.known_secret and \
         auth.signing_keys"
    )]
    SecretDiffers(String),
    /// The directory of accounts cannot say which groups a user is in.
    #[error(
        "ACCESS_TOKEN_GROUPS needs the function {0} in the database, which docs/adopting.md describes: make it, or \
         leave the setting out"
    )]
    GroupsUnknown(&'static str),
    /// There is no database to look after.
    #[error("there is no database at {}: set DATA_DIR or DATABASE_URL as for the server, or start it once", .0.display())]
    NoDatabase(PathBuf),
    /// The settings contradict each other; the command line has said so before.
    #[error("{0}")]
    Settings(String),
}

/// A server that can serve, and what an operator wants to know about it.
pub struct Started {
    /// The rules, on their store.
    pub ostiary: Ostiary,
    /// What the limiter tells about itself.
    pub limiter_metrics: LimiterMetrics,
    /// Where the server's secret came from.
    pub secret: SecretSource,
    /// Where and what the database is: `/data/ostiary.db (SQLite)`.
    pub database: String,
}

/// A store that is open, and what depends on which it is.
struct Opened {
    store: Arc<dyn Store>,
    /// The clock that all of its nodes go by.
    clock: Arc<dyn Clock>,
    /// How new passwords are hashed unless the settings say so.
    password_scheme: PasswordScheme,
    description: String,
    /// What was applied to its schema now.
    applied: Vec<String>,
    /// Whether several nodes can use it.
    is_shared: bool,
}

/// Opens or makes everything that `settings` name, by the clock of the store.
///
/// # Errors
/// If anything cannot be used; then nothing is half made.
pub async fn start(settings: &Settings) -> Result<Started, StartError> {
    start_by(settings, None).await
}

/// [`start`] by another clock; for tests.
///
/// # Errors
/// As [`start`].
pub async fn start_with_clock(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Started, StartError> {
    start_by(settings, Some(clock)).await
}

async fn start_by(settings: &Settings, clock: Option<Arc<dyn Clock>>) -> Result<Started, StartError> {
    let method = settings.signing_method().map_err(StartError::Settings)?;
    // A secret that cannot be used is found before anything is made.
    server_secret::find(settings)?;
    let Opened { store, clock: own_clock, password_scheme, description, applied, is_shared } =
        open(settings).await?;
    if !applied.is_empty() {
        tracing::info!(?applied, "the schema of the database was brought up to date");
    }
    let clock = clock.unwrap_or(own_clock);
    let known = store.secret_fingerprint().await?;
    // Looked for again: another server that starts at the same time may have made it, and remembered it.
    let (secret, source) = match server_secret::find(settings)? {
        Some(found) => found,
        // A new secret would silently end every session of a database that was used with another one.
        None if known.is_some() => return Err(StartError::SecretMissing(description)),
        None => {
            server_secret::make_data_dir(&settings.data_dir)?;
            server_secret::make(settings)?
        }
    };
    let fingerprint = secret.fingerprint();
    // What one node changed, the others would not know of.
    if is_shared && known.is_some_and(|known| known != fingerprint) {
        return Err(StartError::SecretDiffers(description));
    }
    // Keys that were sealed under another secret do not open, and that one stays remembered.
    let rules = settings.key_rules();
    let keys = Keys::open(&method, &secret, &*store, rules, known.is_some(), clock.now()).await?;
    if known != Some(fingerprint) {
        remember(&*store, known, fingerprint, clock.now(), &description).await?;
    }
    store.ensure_groups(&settings.registration_groups, clock.now()).await?;
    if settings.access_token_groups {
        can_read_groups(&*store, clock.now()).await?;
    }
    let Chosen { limiter, metrics: limiter_metrics } =
        limiter::choose(settings).map_err(StartError::Settings)?;
    let policy = settings.policy();
    let ostiary = Ostiary {
        node: NodeId::new(clock.now()),
        store,
        clock,
        hasher: Hasher::start(settings.hasher(password_scheme)),
        keys,
        recent: RecentSessions::new(policy.session_cache),
        limiter,
        budget_keys: BudgetKeys::derive(&secret),
        limit_metrics: LimitMetrics::default(),
        device_tokens: DeviceTokenKeys::derive(&secret),
        refresh_tokens: RefreshTokenKeys::derive(&secret),
        service_credentials: ServiceCredentialKeys::derive(&secret),
        contacts: ContactRules::new(settings.default_region),
        policy,
    };
    Ok(Started { ostiary, limiter_metrics, secret: source, database: description })
}

/// Whether the groups of users can be read, found out by those of a user who is not there.
async fn can_read_groups(store: &dyn Store, now: Timestamp) -> Result<(), StartError> {
    match store.find_account(UserId::new(now)).await {
        Err(StoreError::FunctionMissing(signature)) => Err(StartError::GroupsUnknown(signature)),
        found => Ok(found.map(drop)?),
    }
}

/// Opens the store that the settings name, and brings its schema up to date.
async fn open(settings: &Settings) -> Result<Opened, StartError> {
    match settings.database().map_err(StartError::Settings)? {
        DatabaseSettings::Sqlite(path) => {
            server_secret::make_data_dir(&settings.data_dir)?;
            let store = SqliteStore::open(&path)?;
            let path = path.canonicalize().unwrap_or(path);
            Ok(Opened {
                store: Arc::new(store),
                clock: Arc::new(SystemClock),
                password_scheme: PasswordScheme::Argon2id,
                description: format!("{} (SQLite)", path.display()),
                applied: Vec::new(),
                is_shared: false,
            })
        }
        DatabaseSettings::Postgres(database) => {
            let store = PostgresStore::open(&database, settings.database.db_wait).await?;
            let is_foreign = store.has_foreign_directory();
            let adopted = if is_foreign { ", with an adopted directory of accounts" } else { "" };
            Ok(Opened {
                clock: store.clock(),
                // Whoever made the directory reads its hashes too.
                password_scheme: if is_foreign { PasswordScheme::Bcrypt } else { PasswordScheme::Argon2id },
                description: format!("{} (PostgreSQL{adopted})", database.describe()),
                applied: store.applied().to_vec(),
                is_shared: true,
                store: Arc::new(store),
            })
        }
    }
}

/// Brings the schema of the store up to date and does nothing else. Says where the store is, and what was
/// applied.
///
/// # Errors
/// As [`start`].
pub async fn migrate(settings: &Settings) -> Result<(String, Vec<String>), StartError> {
    open(settings).await.map(|opened| (opened.description, opened.applied))
}

/// Lets the store know the secret that it is used with from now on.
async fn remember(
    store: &dyn Store,
    known: Option<SecretFingerprint>,
    fingerprint: SecretFingerprint,
    now: Timestamp,
    database: &str,
) -> Result<(), StartError> {
    if store.remember_secret(known, fingerprint, now).await? {
        if known.is_some() {
            tracing::warn!(
                "the server's secret is another than this database was used with: all earlier sessions have ended"
            );
        }
    } else if store.secret_fingerprint().await? != Some(fingerprint) {
        return Err(StartError::SecretDiffers(database.to_owned()));
    }
    Ok(())
}

/// Opens a store that is there, for commands that need no keys, and says by which clock it goes.
///
/// # Errors
/// As [`start`]; or if there is no database.
pub async fn open_existing(settings: &Settings) -> Result<(Arc<dyn Store>, Arc<dyn Clock>), StartError> {
    must_exist(settings)?;
    open(settings).await.map(|opened| (opened.store, opened.clock))
}

/// Opens a store that is there, for a command that makes something under the secret that it is used with.
///
/// # Errors
/// As [`start`]; or if there is no database.
pub async fn open_with_secret(
    settings: &Settings,
) -> Result<(Arc<dyn Store>, Arc<dyn Clock>, ServerSecret), StartError> {
    must_exist(settings)?;
    let opened = open(settings).await?;
    let known = opened.store.secret_fingerprint().await?;
    match server_secret::find(settings)? {
        Some((secret, _)) if known.is_none_or(|known| known == secret.fingerprint()) => {
            Ok((opened.store, opened.clock, secret))
        }
        Some(_) => Err(StartError::SecretDiffers(opened.description)),
        None => Err(StartError::SecretMissing(opened.description)),
    }
}

/// A command that looks after a database is not to make one in whatever directory it was called.
///
/// # Errors
/// If the settings name an embedded database that is not there.
pub fn must_exist(settings: &Settings) -> Result<(), StartError> {
    match settings.database().map_err(StartError::Settings)? {
        DatabaseSettings::Sqlite(path) if !path.exists() => Err(StartError::NoDatabase(path)),
        DatabaseSettings::Sqlite(_) | DatabaseSettings::Postgres(_) => Ok(()),
    }
}
