//! The threads of the lane, and the way into its queue.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    HasherError, Standing,
    job::{Job, Pending},
    metrics::LaneMetrics,
    pace::Cost,
    queue::{Place, Queue},
};
use crate::password::{Workspace, bcrypt};

pub(super) struct Lane {
    queue: Mutex<Queue>,
    arrived: Condvar,
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
    /// Added to the niceness of the lane's threads; measured: two of them beside a busy server leave
    /// it 90 % of its pace at 10, against 60 % at 0. What wakes up beside them waits no longer than beside none
    /// at 10 as at 19, but at 19 a busy server would leave the logins a seventieth of a core instead of a tenth.
    const NICENESS: i32 = 10;

    /// Starts the threads.
    ///
    /// # Panics
    /// If the system gives no more threads.
    pub(super) fn start(threads: usize, deadline: Duration) -> Arc<Self> {
        let metrics = LaneMetrics::new();
        let queue = Mutex::new(Queue::new(threads, deadline, metrics.clone()));
        let lane = Arc::new(Self { queue, arrived: Condvar::new(), metrics });
        for number in 0..threads {
            let lane = Arc::clone(&lane);
            thread::Builder::new()
                .name(format!("hasher-{number}"))
                .spawn(move || lane.work(number))
                .expect("the system gives a thread at the start");
        }
        lane
    }

    pub(super) const fn metrics(&self) -> &LaneMetrics {
        &self.metrics
    }

    pub(super) fn admit(&self, standing: Standing) -> Result<(), HasherError> {
        self.queue().admit(standing).map_err(HasherError::Busy)
    }

    /// Has `work` done by a thread, after `bcrypt` was computed for it.
    pub(super) async fn run<Output: Send + 'static>(
        &self,
        standing: Standing,
        cost: Cost,
        bcrypt: Vec<bcrypt::Computation>,
        work: impl FnOnce(&[bcrypt::Computation], &[bcrypt::Output], &mut Workspace) -> Output + Send + 'static,
    ) -> Result<Output, HasherError> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::Span::current();
        let place = self.enter(standing, Box::new(Pending { cost, bcrypt, work, answer, span }))?;
        let _caller = Caller { lane: self, place };
        answered.await.map_err(|_| HasherError::Lost)?
    }

    pub(super) fn enter(&self, standing: Standing, job: Box<dyn Job>) -> Result<Place, HasherError> {
        let place = self.queue().enter(standing, job).map_err(HasherError::Busy)?;
        self.arrived.notify_one();
        Ok(place)
    }

    pub(super) fn close(&self) {
        self.queue().close();
        self.arrived.notify_all();
    }

    /// A poisoned lock is as good as new: nothing that holds it can panic half-way through a change.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, thread: usize) {
        lower_priority();
        let mut workspace = Workspace::default();
        loop {
            let mut queue = self.queue();
            while queue.is_empty() && !queue.is_closed() {
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.is_closed() {
                return;
            }
            let jobs = queue.take(thread);
            drop(queue);
            let Some(cost) = jobs.first().map(|job| job.cost()) else { continue };
            let start = Instant::now();
            self.compute(jobs, &mut workspace);
            self.queue().finished(thread, cost, start.elapsed());
        }
    }

    /// Computes one job, or several of bcrypt together. A panic drops the answers of the jobs, so their
    /// callers are told; the thread stays.
    fn compute(&self, jobs: Vec<Box<dyn Job>>, workspace: &mut Workspace) {
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

/// On Linux niceness belongs to the thread; elsewhere it would slow the whole process, so it is left.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, (own + Lane::NICENESS).min(19)))
    {
        tracing::warn!(%error, "the hashing lane runs at the priority of the rest");
    }
}
