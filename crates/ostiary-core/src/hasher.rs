//! The hashing lane: threads of their own, at a lower priority than the rest of the process, behind
//! a bounded queue. A flood of logins slows logins; everything else keeps its latency.
//!
//! Work that could not start within the deadline is refused at once, by the lane's measured pace,
//! and work whose client has gone is dropped before it starts.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::password::{Password, PasswordHash, PasswordScheme, UnusableHash, Workspace};

/// How the lane is built.
#[derive(Debug, Clone, Copy)]
pub struct HasherSettings {
    /// How new hashes are made.
    pub scheme: PasswordScheme,
    /// How many hashes are computed at once; one a core.
    pub threads: usize,
    /// How long work may wait before it starts.
    pub deadline: Duration,
}

/// The lane refuses or loses work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// Work could not start within the deadline; try again after this time.
    #[error("the hashing lane is full")]
    Busy(Duration),
    /// The work panicked, or the lane is shutting down.
    #[error("the hashing lane lost the work")]
    Lost,
}

/// The outcome of comparing a password with what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password, or there is none.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and its stored hash is to be replaced by this one.
    RightAndReplace(PasswordHash),
    /// What is stored is damaged, or no hash that this version knows.
    Unusable,
}

/// Computes password hashes in the lane.
pub struct Hasher {
    lane: Arc<Lane>,
    scheme: PasswordScheme,
    /// What an unknown user's password is compared with.
    decoy: PasswordHash,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Hasher {
    /// Starts the lane's threads.
    ///
    /// # Panics
    /// If the system gives no more threads.
    #[must_use]
    pub fn start(settings: HasherSettings) -> Self {
        let lane = Arc::new(Lane::new(settings));
        for number in 0..settings.threads {
            let lane = Arc::clone(&lane);
            thread::Builder::new()
                .name(format!("hasher-{number}"))
                .spawn(move || lane.work())
                .expect("the system gives a thread at the start");
        }
        Self { lane, scheme: settings.scheme, decoy: settings.scheme.decoy() }
    }

    /// How new hashes are made.
    #[must_use]
    pub const fn scheme(&self) -> PasswordScheme {
        self.scheme
    }

    /// A new hash of `password`.
    ///
    /// # Errors
    /// If the lane is full.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HasherError> {
        let scheme = self.scheme;
        self.lane.run(move |workspace| scheme.hash(&password, workspace)).await
    }

    /// Compares `password` with what is stored for the user, if there is one. An unknown user, and a
    /// hash that cannot be used, cost as much as a wrong password.
    ///
    /// # Errors
    /// If the lane is full.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HasherError> {
        let (scheme, decoy) = (self.scheme, self.decoy.clone());
        self.lane
            .run(move |workspace| {
                let Some(stored) = stored else {
                    // Its verdict is known; only its cost is wanted.
                    let _wrong = scheme.verify(&password, &decoy, workspace);
                    return Verdict::Wrong;
                };
                match scheme.verify(&password, &stored, workspace) {
                    Ok(false) => Verdict::Wrong,
                    Ok(true) if scheme.replaces(&stored) => {
                        Verdict::RightAndReplace(scheme.hash(&password, workspace))
                    }
                    Ok(true) => Verdict::Right,
                    Err(UnusableHash) => {
                        let _wrong = scheme.verify(&password, &decoy, workspace);
                        Verdict::Unusable
                    }
                }
            })
            .await
    }

    /// [`Password::is_too_common`], in the lane.
    ///
    /// # Errors
    /// If the lane is full.
    pub async fn is_too_common(
        &self,
        password: Password,
        least_score: u8,
        about_user: Vec<String>,
    ) -> Result<bool, HasherError> {
        if least_score == 0 {
            return Ok(false);
        }
        self.lane.run(move |_| password.is_too_common(least_score, &about_user)).await
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.lane.close();
    }
}

/// Work in the queue, whatever its result.
trait Job: Send {
    /// Whether the caller has stopped waiting.
    fn is_abandoned(&self) -> bool;
    fn run(self: Box<Self>, workspace: &mut Workspace);
}

struct Pending<Work, Output> {
    work: Work,
    answer: oneshot::Sender<Output>,
    /// Of the request, so that a log line of the work names it.
    span: tracing::Span,
}

impl<Work, Output> Job for Pending<Work, Output>
where
    Work: FnOnce(&mut Workspace) -> Output + Send,
    Output: Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>, workspace: &mut Workspace) {
        let Self { work, answer, span } = *self;
        let output = span.in_scope(|| work(workspace));
        // The client may have gone while the hash was computed.
        let _gone = answer.send(output);
    }
}

struct Lane {
    settings: HasherSettings,
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// The time that one job takes, in microseconds: a moving average over about eight.
    pace: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn Job>>,
    closed: bool,
}

impl Lane {
    /// What a job is taken to cost before one was measured.
    const FIRST_PACE: Duration = Duration::from_millis(25);
    /// Added to the niceness of the lane's threads; measured: two of them beside a busy server leave
    /// it 90 % of its pace at 10, against 60 % at 0.
    const NICENESS: i32 = 10;
    /// However quick the lane is, a longer queue would only hold memory.
    const MAX_WAITING: usize = 1024;

    fn new(settings: HasherSettings) -> Self {
        let first_pace = u64::try_from(Self::FIRST_PACE.as_micros()).unwrap_or(u64::MAX);
        Self { settings, queue: Mutex::default(), arrived: Condvar::new(), pace: AtomicU64::new(first_pace) }
    }

    /// A poisoned lock is as good as new: nothing that holds it can panic half-way through a change.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<Output: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> Output + Send + 'static,
    ) -> Result<Output, HasherError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Box::new(Pending { work, answer, span: tracing::Span::current() }))?;
        answered.await.map_err(|_| HasherError::Lost)
    }

    fn enqueue(&self, job: Box<dyn Job>) -> Result<(), HasherError> {
        let mut queue = self.queue();
        let wait = self.expected_wait(queue.waiting.len());
        if wait > self.settings.deadline || queue.waiting.len() >= Self::MAX_WAITING {
            return Err(HasherError::Busy(wait));
        }
        queue.waiting.push_back(job);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    fn expected_wait(&self, waiting: usize) -> Duration {
        let pace = Duration::from_micros(self.pace.load(Ordering::Relaxed));
        let rounds = waiting / self.settings.threads.max(1);
        pace.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }

    fn work(&self) {
        lower_priority();
        let mut workspace = Workspace::default();
        loop {
            let mut queue = self.queue();
            while queue.waiting.is_empty() && !queue.closed {
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.closed {
                return;
            }
            let job = queue.waiting.pop_front();
            drop(queue);
            if let Some(job) = job.filter(|job| !job.is_abandoned()) {
                self.run_one(job, &mut workspace);
            }
        }
    }

    fn run_one(&self, job: Box<dyn Job>, workspace: &mut Workspace) {
        let start = Instant::now();
        // A panic drops the job's answer, so its caller is told; the thread stays.
        if catch_unwind(AssertUnwindSafe(|| job.run(workspace))).is_err() {
            tracing::error!("a job of the hashing lane panicked");
        }
        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let pace = self.pace.load(Ordering::Relaxed);
        self.pace.store(pace - pace / 8 + took / 8, Ordering::Relaxed);
    }

    fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.arrived.notify_all();
    }
}

/// On Linux niceness belongs to the thread; elsewhere it would slow the whole process, so it is left.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, (own + Lane::NICENESS).min(19)))
    {
        tracing::warn!(%error, "the hashing lane runs at the priority of the rest");
    }
}

#[cfg(test)]
mod tests;
