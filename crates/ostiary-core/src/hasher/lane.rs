//! The threads of the lane, and the way into its queue.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    HasherError, HasherSettings, Standing,
    job::{Job, Pending},
    metrics::LaneMetrics,
    pace::Cost,
    priority::{lower_priority, run_in_spare_time},
    queue::{Place, Queue, StandIn},
};
use crate::password::{Workspace, bcrypt};

/// How long a thread that has nothing to do keeps the memory of its last hash for the next one.
const KEEPS_MEMORY: Duration = Duration::from_secs(5);

/// Its threads run in the time that nobody else wants (`SCHED_IDLE`), so that whatever wakes up finds a processor at
/// once. Beside threads that always want one they would get a three hundredth of it; therefore each has a
/// stand-in, of a low priority but not the lowest, for the times when it is held up.
pub(super) struct Lane {
    queue: Mutex<Queue>,
    /// A job has come, or the lane closes.
    arrived: Condvar,
    /// A thread has begun, or the lane closes.
    begun: Condvar,
    metrics: LaneMetrics,
}

/// Takes a job out of the queue when its caller stops waiting.
struct Caller<'a> {
    lane: &'a Lane,
    place: Place,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.lane.queue().abandon(self.place);
    }
}

impl Lane {
    /// Starts the threads. A stand-in waits for `patience` at least.
    ///
    /// # Panics
    /// If the system gives no more threads.
    pub(super) fn start(settings: HasherSettings, patience: Duration) -> Arc<Self> {
        let metrics = LaneMetrics::new();
        let queue = Mutex::new(Queue::new(settings, patience, metrics.clone()));
        let lane = Arc::new(Self { queue, arrived: Condvar::new(), begun: Condvar::new(), metrics });
        for number in 0..settings.threads {
            lane.spawn(format!("hasher-{number}"), move |lane| lane.work(number));
            lane.spawn(format!("stand-in-{number}"), move |lane| lane.stand_in(number));
        }
        lane
    }

    fn spawn(self: &Arc<Self>, name: String, work: impl FnOnce(&Self) + Send + 'static) {
        let lane = Arc::clone(self);
        let thread = thread::Builder::new().name(name).spawn(move || work(&lane));
        drop(thread.expect("the system gives a thread at the start"));
    }

    pub(super) const fn metrics(&self) -> &LaneMetrics {
        &self.metrics
    }

    pub(super) fn admit(&self, standing: Standing) -> Result<(), HasherError> {
        self.queue().admit(standing).map_err(HasherError::Busy)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue().waiting()
    }

    /// Has `work` done by a thread, after `bcrypt` was computed for it.
    pub(super) async fn run<Output: Send + 'static>(
        &self,
        standing: Standing,
        cost: Cost,
        bcrypt: Vec<bcrypt::Computation>,
        work: impl Fn(&[bcrypt::Computation], &[bcrypt::Output], &mut Workspace) -> Output + Send + Sync + 'static,
    ) -> Result<Output, HasherError> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::Span::current();
        let answer = Mutex::new(Some(answer));
        let place = self.enter(standing, Arc::new(Pending { cost, bcrypt, work, answer, span }))?;
        let _caller = Caller { lane: self, place };
        answered.await.map_err(|_| HasherError::Lost)?
    }

    pub(super) fn enter(&self, standing: Standing, job: Arc<dyn Job>) -> Result<Place, HasherError> {
        let place = self.queue().enter(standing, job).map_err(HasherError::Busy)?;
        self.arrived.notify_one();
        Ok(place)
    }

    /// A password was compared.
    pub(super) fn compared(&self, is_right: bool) {
        self.queue().compared(is_right);
    }

    pub(super) fn close(&self) {
        self.queue().close();
        self.arrived.notify_all();
        self.begun.notify_all();
    }

    /// A poisoned lock is as good as new: nothing that holds it can panic half-way through a change.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, thread: usize) {
        run_in_spare_time();
        let mut workspace = Workspace::default();
        loop {
            let mut queue = self.await_jobs(&mut workspace);
            if queue.is_closed() {
                return;
            }
            let Some(jobs) = queue.take(thread) else { continue };
            drop(queue);
            self.begun.notify_all();
            let Some(cost) = jobs.first().map(|job| job.cost()) else { continue };
            let start = Instant::now();
            self.compute(&jobs, &mut workspace);
            self.queue().finished(thread, cost, start.elapsed());
        }
    }

    /// Waits until there are jobs for one more thread, or the lane closes. If that takes long, the memory is given
    /// back meanwhile.
    fn await_jobs(&self, workspace: &mut Workspace) -> MutexGuard<'_, Queue> {
        let has_nothing = |queue: &mut Queue| !queue.has_work() && !queue.is_closed();
        let (queue, waited) = self
            .arrived
            .wait_timeout_while(self.queue(), KEEPS_MEMORY, has_nothing)
            .unwrap_or_else(PoisonError::into_inner);
        if !waited.timed_out() {
            return queue;
        }
        drop(queue);
        *workspace = Workspace::default();
        self.arrived.wait_while(self.queue(), has_nothing).unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work of a thread while that is held up.
    fn stand_in(&self, thread: usize) {
        lower_priority();
        loop {
            let mut queue = self.queue();
            if queue.is_closed() {
                return;
            }
            match queue.stand_in(thread) {
                StandIn::Rest => drop(wait(&self.begun, queue)),
                StandIn::Wait(time) => {
                    drop(queue);
                    thread::sleep(time);
                }
                StandIn::Compute(jobs) => {
                    drop(queue);
                    // It is needed seldom, and keeps no memory.
                    self.compute(&jobs, &mut Workspace::default());
                }
            }
        }
    }

    /// Computes one job, or several of bcrypt together. A panic drops the answers of the jobs, so their
    /// callers are told; the thread stays.
    fn compute(&self, jobs: &[Arc<dyn Job>], workspace: &mut Workspace) {
        let jobs: Vec<_> = jobs.iter().filter(|job| job.is_awaited()).collect();
        let computations: Vec<_> = jobs.iter().flat_map(|job| job.bcrypt()).collect();
        if !computations.is_empty() {
            self.metrics.computed_bcrypt(computations.len());
        }
        let Ok(outputs) = catch_unwind(AssertUnwindSafe(|| bcrypt::compute(&computations))) else {
            tracing::error!(jobs = jobs.len(), "a round of bcrypt panicked");
            return;
        };
        let mut outputs = outputs.as_slice();
        for job in jobs {
            let (own, others) = outputs.split_at(job.bcrypt().len());
            outputs = others;
            if catch_unwind(AssertUnwindSafe(|| job.finish(own, workspace))).is_err() {
                tracing::error!("a job of the hashing lane panicked");
            }
        }
    }
}

fn wait<'a>(condition: &Condvar, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
    condition.wait(queue).unwrap_or_else(PoisonError::into_inner)
}
