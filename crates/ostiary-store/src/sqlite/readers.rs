//! Connections that read. A point read takes microseconds, so it runs where it is asked for.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use ostiary_core::store::StoreError;
use rusqlite::Connection;

use super::connection::{self, OpenError, Snapshot};
use crate::{gathered::Batch, metrics::StatementMetrics};

/// Two, since most reads are gathered and go one after another; each has a cache of its own.
const CONNECTIONS: usize = 2;

#[derive(Debug)]
pub(super) struct Readers {
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
    metrics: StatementMetrics,
}

impl Readers {
    pub(super) fn open(path: &Path, metrics: StatementMetrics) -> Result<Self, OpenError> {
        let connections = (0..CONNECTIONS)
            .map(|_| connection::open_reader(path).map(Mutex::new))
            .collect::<Result<_, _>>()?;
        Ok(Self { connections, next: AtomicUsize::new(0), metrics })
    }

    /// Runs `query` of the verb `verb` on a free connection, or on the next one as soon as it is free.
    pub(super) fn read<T>(
        &self,
        verb: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let outcome = query(&self.any()).map_err(connection::store_error);
        self.metrics.record(verb, start, outcome.is_err());
        outcome
    }

    fn any(&self) -> MutexGuard<'_, Connection> {
        let free = self.connections.iter().find_map(|connection| connection.try_lock().ok());
        free.unwrap_or_else(|| {
            let next = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
            // A query that panicked has left nothing behind: statements are reset when they are dropped.
            self.connections[next].lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

/// A look for many rows on one connection, all of them as of one moment.
pub(super) struct RowsByKey<Key, Found> {
    pub(super) readers: Arc<Readers>,
    pub(super) verb: &'static str,
    pub(super) find: fn(&Connection, &Key) -> rusqlite::Result<Option<Found>>,
}

impl<Key: Send + 'static, Found: Send + 'static> Batch for RowsByKey<Key, Found> {
    type Request = Key;
    type Answer = Option<Found>;

    async fn run(&self, keys: Vec<Key>) -> Result<Vec<Option<Found>>, StoreError> {
        self.readers.read(self.verb, |connection| {
            let _snapshot = Snapshot::begin(connection)?;
            keys.iter().map(|key| (self.find)(connection, key)).collect()
        })
    }
}
