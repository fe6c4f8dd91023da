//! The thread that writes.
//!
//! Steps queue up while a commit waits for the disk; the next commit takes them all. Each step has a
//! savepoint of its own, so that one which fails leaves the others alone, and is answered only after
//! the commit: what was answered is on the disk. A commit waits for further steps only if all that it
//! has may wait.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ostiary_core::store::StoreError;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::{
    connection::{self, Advised, run_sql},
    metrics::SqliteMetrics,
};

/// Steps that wait; more are refused, since they would wait for seconds.
const QUEUE: usize = 4096;
/// Steps in one commit. More would make the first wait long for the last.
const GROUP: usize = 256;
/// How long a commit waits for steps to follow those that may wait: three more logins by Argon2id on two cores.
const WAIT: Duration = Duration::from_millis(25);
/// With so many it waits no longer: there is little left to share.
const ENOUGH: usize = 4;

/// Whether a step may wait for others, to be in one commit with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// It is committed as soon as the thread is free.
    AtOnce,
    /// It waits for up to [`WAIT`].
    MayWait,
}

#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only while it is dropped.
    queue: Option<SyncSender<Box<dyn Step>>>,
    thread: Option<JoinHandle<()>>,
    /// Whether the last commit failed.
    failing: Arc<AtomicBool>,
    metrics: SqliteMetrics,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path, metrics: SqliteMetrics) -> io::Result<Self> {
        let (queue, steps) = sync_channel(QUEUE);
        let failing = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            connection,
            path: path.to_owned(),
            steps,
            failing: Arc::clone(&failing),
            metrics: metrics.clone(),
        };
        let thread = thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || worker.run())?;
        Ok(Self { queue: Some(queue), thread: Some(thread), failing, metrics })
    }

    /// Whether steps are taken and committed. After a commit that failed only a real write can tell.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        if self.failing.load(Ordering::Relaxed) {
            self.step("check", connection::write_header).await
        } else {
            self.step("check", |_| Ok(())).await
        }
    }

    /// Runs `step` of the verb `verb` in a transaction, alone or with others, and answers after its commit.
    pub(super) async fn step<T: Send + 'static>(
        &self,
        verb: &'static str,
        step: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.step_in(verb, Haste::AtOnce, step).await
    }

    /// The same, in such a haste.
    pub(super) async fn step_in<T: Send + 'static>(
        &self,
        verb: &'static str,
        haste: Haste,
        step: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let outcome = self.take_turn(haste, step).await;
        self.metrics.statements.record(verb, start, outcome.is_err());
        outcome
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        haste: Haste,
        step: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let pending = Pending { haste, step: Some(step), outcome: None, answer };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        // Before the writer can take it, or the figure could be below zero for a moment.
        self.metrics.queued.inc();
        queue.try_send(Box::new(pending)).map_err(|error| {
            self.metrics.queued.dec();
            match error {
                TrySendError::Full(_) => StoreError::Unavailable("too many writes wait for the disk".into()),
                TrySendError::Disconnected(_) => stopped(),
            }
        })?;
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the database is closed".into())
}

impl Drop for Writer {
    /// Lets the queued steps finish and closes the database.
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _panicked = thread.join();
        }
    }
}

/// A step in the queue, whatever its result.
trait Step: Send {
    fn haste(&self) -> Haste;
    /// Runs the step. An error means that its changes are not to be kept.
    fn run(&mut self, connection: &Connection) -> Result<(), StepFailed>;
    /// Answers with the step's outcome, or with the reason why its group was not committed.
    fn answer(self: Box<Self>, failure: Option<&GroupFailure>);
}

struct Pending<F, T> {
    haste: Haste,
    step: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Step for Pending<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn haste(&self) -> Haste {
        self.haste
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StepFailed> {
        let Some(step) = self.step.take() else { return Ok(()) };
        let (outcome, result) = match catch_unwind(AssertUnwindSafe(|| step(connection))) {
            Ok(Ok(output)) => (Ok(output), Ok(())),
            Ok(Err(error)) => {
                let failed = StepFailed(error.sqlite_error().copied());
                (Err(connection::store_error(error)), Err(failed))
            }
            Err(_) => (Err(StoreError::Failed("a step of the store panicked".into())), Err(StepFailed(None))),
        };
        self.outcome = Some(outcome);
        result
    }

    fn answer(self: Box<Self>, failure: Option<&GroupFailure>) {
        let outcome = match (self.outcome, failure) {
            (Some(Err(error)), _) => Err(error),
            (Some(outcome), None) => outcome,
            (_, Some(failure)) => Err(failure.to_store_error()),
            (None, None) => Err(stopped()),
        };
        // The client may have gone; what it asked for has happened all the same.
        let _gone = self.answer.send(outcome);
    }
}

/// A step failed; with what SQLite said, if it was SQLite.
struct StepFailed(Option<rusqlite::ffi::Error>);

/// Why none of a group's changes were kept.
struct GroupFailure(String);

impl GroupFailure {
    fn to_store_error(&self) -> StoreError {
        StoreError::Unavailable(self.0.clone().into())
    }
}

struct Worker {
    connection: Connection,
    path: PathBuf,
    steps: Receiver<Box<dyn Step>>,
    failing: Arc<AtomicBool>,
    metrics: SqliteMetrics,
}

impl Worker {
    fn run(mut self) {
        while let Some(mut group) = next_group(&self.steps, WAIT) {
            self.metrics.queued.dec_by(i64::try_from(group.len()).unwrap_or(i64::MAX));
            let start = Instant::now();
            let committed = commit(&self.connection, &mut group);
            self.metrics.committed(group.len(), start, committed.is_err());
            self.failing.store(committed.is_err(), Ordering::Relaxed);
            if let Err(error) = &committed {
                tracing::error!(%error, advice = error.advice(), steps = group.len(), "the database could not be written");
                self.reopen_after(error);
            }
            let failure = committed.map_err(|error| GroupFailure(error.to_string()));
            for step in group {
                step.answer(failure.as_ref().err());
            }
        }
    }

    /// After a failed write the pages in memory and on the disk may differ: a later commit must not
    /// stand on them. (Linux reports a failed `fsync` once and forgets the pages.)
    fn reopen_after(&mut self, error: &rusqlite::Error) {
        if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            match connection::open_writer(&self.path) {
                Ok(connection) => self.connection = connection,
                Err(error) => tracing::error!(%error, "the database could not be opened again"),
            }
        }
    }
}

/// The steps of the next commit, in the order in which they came. `None` if there are to be no more.
fn next_group(steps: &Receiver<Box<dyn Step>>, wait: Duration) -> Option<Vec<Box<dyn Step>>> {
    let mut group = vec![steps.recv().ok()?];
    let start = Instant::now();
    loop {
        group.extend(steps.try_iter().take(GROUP - group.len()));
        if group.len() >= ENOUGH || group.iter().any(|step| step.haste() == Haste::AtOnce) {
            return Some(group);
        }
        match steps.recv_timeout(wait.saturating_sub(start.elapsed())) {
            Ok(next) => group.push(next),
            Err(_) => return Some(group),
        }
    }
}

/// Runs a group in one transaction. Of a group that fails nothing is kept.
fn commit(connection: &Connection, group: &mut [Box<dyn Step>]) -> rusqlite::Result<()> {
    run_sql(connection, "begin immediate")?;
    let result = run_steps(connection, group).and_then(|()| run_sql(connection, "commit"));
    if result.is_err() && !connection.is_autocommit() {
        run_sql(connection, "rollback")?;
    }
    result
}

fn run_steps(connection: &Connection, group: &mut [Box<dyn Step>]) -> rusqlite::Result<()> {
    for step in group {
        run_sql(connection, "savepoint step")?;
        if let Err(StepFailed(cause)) = step.run(connection) {
            // A full or failing disk makes SQLite roll back the whole transaction at once.
            if connection.is_autocommit() {
                let cause = cause.unwrap_or(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT));
                return Err(rusqlite::Error::SqliteFailure(cause, None));
            }
            run_sql(connection, "rollback to step")?;
        }
        run_sql(connection, "release step")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wait that no test would see the end of.
    const FOREVER: Duration = Duration::from_hours(1);

    struct Idle(Haste);

    impl Step for Idle {
        fn haste(&self) -> Haste {
            self.0
        }

        fn run(&mut self, _: &Connection) -> Result<(), StepFailed> {
            Ok(())
        }

        fn answer(self: Box<Self>, _: Option<&GroupFailure>) {}
    }

    /// How many of `steps` go together, if a commit waits for up to `wait`.
    fn together(steps: &[Haste], wait: Duration) -> usize {
        let (queue, waiting) = sync_channel::<Box<dyn Step>>(QUEUE);
        for haste in steps {
            queue.try_send(Box::new(Idle(*haste))).unwrap();
        }
        next_group(&waiting, wait).unwrap().len()
    }

    #[test]
    fn a_commit_waits_only_for_steps_that_may_wait() {
        use Haste::{AtOnce, MayWait};
        assert_eq!(together(&[AtOnce], FOREVER), 1);
        assert_eq!(together(&[AtOnce, MayWait, AtOnce], FOREVER), 3);
        assert_eq!(together(&[MayWait, AtOnce], FOREVER), 2);
        assert_eq!(together(&[MayWait; ENOUGH], FOREVER), ENOUGH);
        assert_eq!(together(&[MayWait], Duration::ZERO), 1);
        assert_eq!(together(&[AtOnce; GROUP + 1], FOREVER), GROUP);
    }

    #[test]
    fn a_step_that_comes_while_a_commit_waits_goes_with_it() {
        let (queue, waiting) = sync_channel::<Box<dyn Step>>(QUEUE);
        let group = thread::scope(|scope| {
            let group = scope.spawn(move || next_group(&waiting, FOREVER));
            queue.send(Box::new(Idle(Haste::MayWait))).unwrap();
            queue.send(Box::new(Idle(Haste::AtOnce))).unwrap();
            group.join().unwrap()
        });
        assert_eq!(group.unwrap().len(), 2);
    }

    #[test]
    fn a_commit_waits_for_nobody_once_the_store_is_closed() {
        let (queue, waiting) = sync_channel::<Box<dyn Step>>(QUEUE);
        queue.send(Box::new(Idle(Haste::MayWait))).unwrap();
        drop(queue);
        assert_eq!(next_group(&waiting, FOREVER).unwrap().len(), 1);
        assert!(next_group(&waiting, FOREVER).is_none());
    }
}
