//! From settings to a server that can serve.

use std::{path::PathBuf, sync::Arc};

use ostiary_core::{
    Ostiary,
    clock::{Clock, SystemClock},
    contact::ContactRules,
    hasher::Hasher,
    keys::{Keys, KeysError},
    refresh_token::RefreshTokenKeys,
    store::{Accounts, KnownSecret, Store, StoreError},
};
use ostiary_store::sqlite::{OpenError, SqliteStore};

use crate::config::{
    Settings,
    server_secret::{self, SecretError, SecretSource},
};

/// The server cannot start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server's secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database again, once it was open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database was used with a secret that is not there any more.
    #[error(
        "the database {} was used with a secret that is not set now: give the same SECRET_KEY, JWT_SECRET_KEY or \
         secret.key as before; or set a new SECRET_KEY, which ends all sessions", .0.display()
    )]
    SecretMissing(PathBuf),
    /// There is no way to sign access tokens; the command line has said so before.
    #[error("{0}")]
    Settings(String),
}

/// A server that can serve, and what an operator wants to know about it.
pub struct Started {
    /// The rules, on their store.
    pub ostiary: Ostiary,
    /// Where the server's secret came from.
    pub secret: SecretSource,
    /// Where the database is.
    pub database: PathBuf,
}

/// Where the embedded database of these settings is.
#[must_use]
pub fn database_path(settings: &Settings) -> PathBuf {
    settings.data_dir.join("ostiary.db")
}

/// Opens or makes everything that `settings` name, by the system's clock.
///
/// # Errors
/// If anything cannot be used; then nothing is half made.
pub async fn start(settings: &Settings) -> Result<Started, StartError> {
    start_with_clock(settings, Arc::new(SystemClock)).await
}

/// [`start`] by another clock; for tests.
///
/// # Errors
/// As [`start`].
pub async fn start_with_clock(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Started, StartError> {
    let method = settings.signing_method().map_err(StartError::Settings)?;
    // A secret that cannot be used is found before anything is made.
    server_secret::find(settings)?;
    server_secret::make_data_dir(&settings.data_dir)?;
    let database = database_path(settings);
    let store = SqliteStore::open(&database)?;
    let known = store.secret_fingerprint().await?;
    // Looked for again: another server that starts at the same time may have made it, and remembered it.
    let (secret, source) = match server_secret::find(settings)? {
        Some(found) => found,
        // A new secret would silently end every session of a database that was used with another one.
        None if known.is_some() => return Err(StartError::SecretMissing(database)),
        None => server_secret::make(settings)?,
    };
    let keys = Keys::open(&method, &secret, &store, clock.now()).await?;
    let fingerprint = secret.fingerprint();
    if known != Some(fingerprint) {
        if known.is_some() {
            tracing::warn!(
                "the server's secret is another than this database was used with: all earlier sessions have ended"
            );
        }
        store.remember_secret(fingerprint, clock.now()).await?;
    }
    store.ensure_groups(&settings.registration_groups, clock.now()).await?;
    let store: Arc<dyn Store> = Arc::new(store);
    let ostiary = Ostiary {
        store,
        clock,
        hasher: Hasher::start(settings.hasher()),
        keys,
        refresh_tokens: RefreshTokenKeys::derive(&secret),
        contacts: ContactRules::new(settings.default_region),
        policy: settings.policy(),
    };
    Ok(Started { ostiary, secret: source, database })
}
