//! The update that a refresh comes to, by a loop that does nothing else, on a copy of a server's file: as durable
//! as the server has it, one by one or in groups.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use ostiary_core::clock::{Clock, SystemClock, earlier};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::seed::scattered;

/// The statement of the server's store, with all of its conditions.
const UPDATE: &str = "
    update sessions set generation = ?4, refreshed_at = ?5
    where id = ?1 and secret_hash = ?2 and generation = ?3
        and revoked_at is null and expires_at > ?5 and refreshed_at > ?6
        and exists (select 1 from users where users.id = sessions.user_id and users.active = 1)
    returning id, user_id, created_at, methods";

/// Updates in one transaction, where they come in groups.
pub const GROUP: usize = 64;

/// A loop that refreshes the sessions of a file in turn.
#[derive(Debug)]
pub struct BareLoop {
    connection: Connection,
    sessions: Vec<Session>,
    next: usize,
    // Removed after the connection is closed: fields are dropped in their order.
    _directory: TempDir,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    id: [u8; 16],
    secret_hash: [u8; 32],
    generation: u32,
}

impl BareLoop {
    /// A loop on a copy of `file`, which no server may have open.
    ///
    /// # Errors
    /// If a server has it open, or it cannot be copied.
    pub fn on_copy_of(file: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(!file.with_extension("db-wal").exists(), "a server has {} open", file.display());
        let directory = TempDir::new()?;
        let copy = directory.path().join("copy.db");
        fs::copy(file, &copy)?;
        File::open(&copy)?.sync_all()?;
        let connection = Connection::open(&copy)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        let mut all = Vec::new();
        {
            let alive = "select id, secret_hash, generation from sessions where revoked_at is null";
            let mut found = connection.prepare(alive)?;
            let mut rows = found.query([])?;
            while let Some(row) = rows.next()? {
                all.push(Session { id: row.get(0)?, secret_hash: row.get(1)?, generation: row.get(2)? });
            }
        }
        let sessions = scattered(all.len()).map(|place| all[place]).collect();
        Ok(Self { connection, sessions, next: 0, _directory: directory })
    }

    /// Updates a second, each in a transaction of its own.
    ///
    /// # Errors
    /// If one fails, or changes nothing.
    pub fn one_by_one(&mut self, duration: Duration) -> anyhow::Result<f64> {
        self.groups_of(1, duration)
    }

    /// Updates a second, [`GROUP`] to a transaction.
    ///
    /// # Errors
    /// If one fails, or changes nothing.
    pub fn in_groups(&mut self, duration: Duration) -> anyhow::Result<f64> {
        self.groups_of(GROUP, duration)
    }

    #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
    fn groups_of(&mut self, size: usize, duration: Duration) -> anyhow::Result<f64> {
        let begin = Instant::now();
        let mut count = 0;
        while begin.elapsed() < duration {
            self.connection.prepare_cached("begin immediate")?.execute([])?;
            for _ in 0..size {
                self.update()?;
            }
            self.connection.prepare_cached("commit")?.execute([])?;
            count += size;
        }
        Ok(count as f64 / begin.elapsed().as_secs_f64())
    }

    fn update(&mut self) -> anyhow::Result<()> {
        let count = self.sessions.len();
        let session = &mut self.sessions[self.next];
        self.next = (self.next + 1) % count;
        let now = SystemClock.now();
        let refreshed_after = earlier(now, SignedDuration::from_hours(24 * 365));
        let mut update = self.connection.prepare_cached(UPDATE)?;
        update.query_row(
            params![
                session.id,
                session.secret_hash,
                session.generation,
                session.generation + 1,
                now.as_microsecond(),
                refreshed_after.as_microsecond()
            ],
            |_| Ok(()),
        )?;
        session.generation += 1;
        Ok(())
    }
}
