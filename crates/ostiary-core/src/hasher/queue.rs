//! What waits in the lane: those known before those who are not, each in the order of arrival.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    HasherSettings, Standing,
    flood::Flood,
    job::Job,
    metrics::LaneMetrics,
    pace::{Cost, Load, Pace},
};
use crate::password::bcrypt;

/// Where a job stands. The order of places is the order in which they are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    standing: Standing,
    number: u64,
}

struct Waiting {
    job: Arc<dyn Job>,
    arrived: Instant,
}

/// What a thread computes.
struct Running {
    jobs: Jobs,
    /// When it should be done, by the pace at its start.
    due: Instant,
    /// When a stand-in is to take its jobs, and more that wait, until it is done with them itself.
    overdue: Instant,
    has_stand_in: bool,
}

/// One job, or several of bcrypt that a thread computes together.
pub(super) type Jobs = Vec<Arc<dyn Job>>;

/// What there is to do for the stand-in of a thread.
pub(super) enum StandIn {
    /// Nothing until the thread begins with other jobs.
    Rest,
    /// To look again after this time.
    Wait(Duration),
    /// To compute these.
    Compute(Jobs),
}

/// The lane's queue and what it knows of its threads. Whoever holds the lock around it holds it for
/// microseconds.
pub(super) struct Queue {
    waiting: BTreeMap<Place, Waiting>,
    next_number: u64,
    known: Load,
    unknown: Load,
    /// What each thread computes.
    running: Vec<Option<Running>>,
    pace: Pace,
    flood: Flood,
    threads_in_flood: usize,
    deadline: Duration,
    patience: Duration,
    metrics: LaneMetrics,
    closed: bool,
}

impl Queue {
    /// However quick the lane is, a longer queue of either standing would only hold memory.
    const MAX_WAITING: usize = 1024;

    /// A thread that takes twice as long as it should, and `patience` at least, is held up.
    pub(super) fn new(settings: HasherSettings, patience: Duration, metrics: LaneMetrics) -> Self {
        let HasherSettings { scheme: _, threads, threads_in_flood, deadline } = settings;
        Self {
            waiting: BTreeMap::new(),
            next_number: 0,
            known: Load::default(),
            unknown: Load::default(),
            running: (0..threads).map(|_| None).collect(),
            pace: Pace::FIRST,
            flood: Flood::default(),
            threads_in_flood: threads_in_flood.max(1),
            deadline,
            patience,
            metrics,
            closed: false,
        }
    }

    /// Whether a job would be taken; else how long it would have to wait.
    pub(super) fn admit(&mut self, standing: Standing) -> Result<(), Duration> {
        let wait = self.expected_wait(standing);
        let waiting = match standing {
            Standing::Known => self.known.jobs(),
            Standing::Unknown => self.unknown.jobs(),
        };
        if wait <= self.deadline && waiting < Self::MAX_WAITING {
            return Ok(());
        }
        self.metrics.refused_at_arrival(standing);
        self.refused();
        Err(wait)
    }

    /// How many jobs wait for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn enter(&mut self, standing: Standing, job: Arc<dyn Job>) -> Result<Place, Duration> {
        self.admit(standing)?;
        let place = Place { standing, number: self.next_number };
        self.next_number += 1;
        self.load(standing).add(job.cost());
        self.metrics.entered(standing);
        self.waiting.insert(place, Waiting { job, arrived: Instant::now() });
        Ok(place)
    }

    fn refused(&mut self) {
        if self.flood.refused(Instant::now()) {
            self.metrics.floods.inc();
            tracing::warn!(
                "guesses flood the hashing lane: it leaves a core to everything else while they do"
            );
        }
    }

    /// A password was compared.
    pub(super) fn compared(&mut self, is_right: bool) {
        self.flood.compared(is_right);
    }

    /// The caller has gone; a job that has started is finished for nobody.
    pub(super) fn abandon(&mut self, place: Place) {
        if self.leave(place).is_some() {
            self.metrics.abandoned(place.standing);
        }
    }

    /// What the thread is to compute next; none if nothing waits.
    pub(super) fn take(&mut self, thread: usize) -> Option<Jobs> {
        let now = Instant::now();
        let jobs = self.next(now)?;
        let takes = jobs.first().map_or(Duration::ZERO, |first| self.pace.of(first.cost()));
        let due = now + takes;
        let overdue = due + takes.max(self.patience);
        self.running[thread] = Some(Running { jobs: jobs.clone(), due, overdue, has_stand_in: false });
        self.metrics.computing.inc();
        Some(jobs)
    }

    /// A thread finished what it took.
    pub(super) fn finished(&mut self, thread: usize, cost: Cost, took: Duration) {
        let was_held_up = self.running[thread].take().is_some_and(|running| running.has_stand_in);
        if !was_held_up {
            self.pace.measure(cost, took);
        }
        self.metrics.computing.dec();
    }

    /// What there is to do for the stand-in of a thread: what the thread is held up with, then what waits.
    pub(super) fn stand_in(&mut self, thread: usize) -> StandIn {
        let now = Instant::now();
        let Some(running) = &mut self.running[thread] else { return StandIn::Rest };
        if now < running.overdue {
            return StandIn::Wait(running.overdue - now);
        }
        if !running.has_stand_in {
            running.has_stand_in = true;
            self.metrics.stood_in.inc();
            return StandIn::Compute(running.jobs.clone());
        }
        self.next(now).map_or(StandIn::Wait(self.patience), StandIn::Compute)
    }

    /// The next job, or several bcrypt jobs of equal cost that a thread computes together.
    fn next(&mut self, now: Instant) -> Option<Jobs> {
        self.refuse_late(now);
        let mut taken = vec![self.waiting.pop_first()?];
        if let Cost::Bcrypt { cost, computations } = taken[0].1.job.cost() {
            let mut free = bcrypt::TOGETHER.saturating_sub(computations);
            taken.extend(self.waiting.extract_if(.., |_, waiting| match waiting.job.cost() {
                Cost::Bcrypt { cost: same, computations } if same == cost && computations <= free => {
                    free -= computations;
                    true
                }
                _ => false,
            }));
        }
        for (place, waiting) in &taken {
            self.load(place.standing).remove(waiting.job.cost());
            self.metrics.started(place.standing, now.duration_since(waiting.arrived));
        }
        Some(taken.into_iter().map(|(_, waiting)| waiting.job).collect())
    }

    /// Whether something waits that one more thread may take.
    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty() && self.has_free_thread(Instant::now())
    }

    fn has_free_thread(&self, now: Instant) -> bool {
        self.running.iter().flatten().count() < self.threads(now)
    }

    /// How many threads may compute.
    fn threads(&self, now: Instant) -> usize {
        let all = self.running.len();
        if self.flood.is_on(now) { self.threads_in_flood.min(all) } else { all }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Forgets what waits, and takes no more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for place in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.abandon(place);
        }
    }

    /// How long until a job that comes now would start. Those who are not known wait for everybody else.
    fn expected_wait(&self, standing: Standing) -> Duration {
        let now = Instant::now();
        if self.waiting.is_empty() && self.has_free_thread(now) {
            return Duration::ZERO;
        }
        let running = self.running.iter().flatten();
        let running: Duration = running.map(|thread| thread.due.saturating_duration_since(now)).sum();
        let ahead = match standing {
            Standing::Known => self.pace.of_all(&[&self.known]),
            Standing::Unknown => self.pace.of_all(&[&self.known, &self.unknown]),
        };
        let threads = u32::try_from(self.threads(now).max(1)).unwrap_or(u32::MAX);
        running.saturating_add(ahead) / threads
    }

    /// Refuses the jobs that were to start by now, but that others went before.
    fn refuse_late(&mut self, now: Instant) {
        // The judgement at the arrival is an estimate: somewhat later is still in time.
        let latest = self.deadline + self.deadline / 4;
        for standing in [Standing::Known, Standing::Unknown] {
            while let Some((&place, first)) = self.waiting.range(Place { standing, number: 0 }..).next() {
                if place.standing != standing || now.duration_since(first.arrived) <= latest {
                    break;
                }
                let wait = self.expected_wait(standing);
                if let Some(late) = self.leave(place) {
                    self.metrics.refused_late(standing);
                    self.refused();
                    late.job.refuse(wait);
                }
            }
        }
    }

    fn leave(&mut self, place: Place) -> Option<Waiting> {
        let waiting = self.waiting.remove(&place)?;
        self.load(place.standing).remove(waiting.job.cost());
        Some(waiting)
    }

    const fn load(&mut self, standing: Standing) -> &mut Load {
        match standing {
            Standing::Known => &mut self.known,
            Standing::Unknown => &mut self.unknown,
        }
    }
}
