//! The database's clock, which all nodes go by.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use ostiary_core::{
    clock::{Clock, CorrectedClock, SystemClock},
    store::StoreError,
};

use super::database::Database;

/// How often the difference between the node's clock and the database's is looked at.
const INTERVAL: Duration = Duration::from_secs(10);
/// Beyond it an operator should know: clocks that differ so much are not kept at all.
const REMARKABLE: SignedDuration = SignedDuration::from_secs(30);

/// Corrects `clock` now, and again and again for as long as the database is in use.
///
/// # Errors
/// If the database does not answer the first time.
pub(super) async fn follow(database: &Arc<Database>, clock: &Arc<CorrectedClock>) -> Result<(), StoreError> {
    correct(database, clock).await?;
    let (database, clock) = (Arc::downgrade(database), Arc::downgrade(clock));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let (Some(database), Some(clock)) = (Weak::upgrade(&database), Weak::upgrade(&clock)) else {
                return;
            };
            if let Err(error) = correct(&database, &clock).await {
                tracing::debug!(error = error.with_causes(), "the database's clock was not read");
            }
        }
    });
    Ok(())
}

/// The answer was written at some time between question and arrival. A correction that agrees with that stays
/// as it is, so that the time does not jump about with the network.
async fn correct(database: &Database, clock: &CorrectedClock) -> Result<(), StoreError> {
    let asked = SystemClock.now();
    let rows = database.read("read_clock", "select clock_timestamp()", &[]).await?;
    let answered = SystemClock.now();
    let Some(theirs) = rows.first().map(|row| row.get::<_, Timestamp>(0)) else { return Ok(()) };
    let (least, most) = (theirs.duration_since(answered), theirs.duration_since(asked));
    let correction = clock.correction();
    if (least..=most).contains(&correction) {
        return Ok(());
    }
    let new = least + (most - least) / 2;
    if new.abs() > REMARKABLE && correction.abs() <= REMARKABLE {
        tracing::warn!(
            seconds = new.as_secs(),
            "this node's clock differs from the database's, which counts: see to its time synchronisation"
        );
    }
    clock.correct_by(new);
    Ok(())
}
