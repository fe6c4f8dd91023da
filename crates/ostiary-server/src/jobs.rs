//! What a server does beside its requests: it follows the signing keys, and cleans up.

use std::time::Duration;

use ostiary_core::keys::FOLLOW_WITHIN;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Twice within the time that a change of keys may take to be followed.
const KEYS_INTERVAL: Duration = Duration::from_secs(FOLLOW_WITHIN.as_secs().unsigned_abs() * 2 / 5);
/// How often some node looks for what is of no more use.
const CLEANUP_INTERVAL: Duration = Duration::from_mins(30);

/// Starts the jobs of a server. They end when `stop` says so.
pub fn start(app: &App, stop: &CancellationToken) {
    tokio::spawn(stop.clone().run_until_cancelled_owned(follow_keys(app.clone())));
    tokio::spawn(stop.clone().run_until_cancelled_owned(clean_up(app.clone())));
}

async fn follow_keys(app: App) {
    let ostiary = &app.ostiary;
    let mut was_failing = false;
    loop {
        tokio::time::sleep(KEYS_INTERVAL).await;
        match ostiary.keys.follow(&*ostiary.store, ostiary.clock.now()).await {
            Ok(()) => was_failing = false,
            // Once, not every two seconds.
            Err(error) if !was_failing => {
                was_failing = true;
                tracing::warn!(
                    error = error.with_causes(),
                    "the signing keys could not be read; trying again"
                );
            }
            Err(_) => {}
        }
    }
}

async fn clean_up(app: App) {
    loop {
        tokio::time::sleep(CLEANUP_INTERVAL).await;
        match app.ostiary.clean_up().await {
            Ok(deleted) if deleted.is_empty() => {}
            Ok(deleted) => tracing::info!(?deleted, "deleted what was of no more use"),
            Err(error) => {
                tracing::warn!(error = error.with_causes(), "cleaning up failed; trying again later");
            }
        }
    }
}
