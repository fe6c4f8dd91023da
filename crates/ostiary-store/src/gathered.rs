//! Requests of one kind, gathered: what is asked while others are under way goes together into the next batch. A
//! batch of twenty costs a database, and the way to it, little more than one request.
//!
//! Nobody sees less than by themselves: a batch begins after all that is in it was asked.

use std::{
    error::Error,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ostiary_core::store::StoreError;
use tokio::sync::oneshot;

/// Requests in one batch. More would make the first wait long for the last.
const MOST: usize = 128;
/// How long an answer is waited for: as long as one statement may take.
const DEADLINE: Duration = Duration::from_millis(2_800);

/// How many requests are answered at once.
pub(crate) trait Batch: Send + Sync + 'static {
    /// What is asked.
    type Request: Send + 'static;
    /// What comes of it.
    type Answer: Send + 'static;

    /// The answers to `requests`, in their order.
    ///
    /// # Errors
    /// If the store fails.
    fn run(
        &self,
        requests: Vec<Self::Request>,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// Requests of one kind.
pub(crate) struct Gathered<B: Batch>(Arc<Shared<B>>);

struct Shared<B: Batch> {
    batch: B,
    /// Batches that may be under way at once.
    at_once: usize,
    state: Mutex<State<B>>,
}

struct State<B: Batch> {
    waiting: Vec<Waiting<B>>,
    under_way: usize,
}

/// Who waits for an answer.
struct Waiting<B: Batch> {
    request: B::Request,
    answer: oneshot::Sender<Result<B::Answer, StoreError>>,
}

impl<B: Batch> Gathered<B> {
    /// Of the batches, `at_once` may be under way at a time: with two, one is worked on while the other waits for a disk.
    pub(crate) fn new(batch: B, at_once: usize) -> Self {
        let state = Mutex::new(State { waiting: Vec::new(), under_way: 0 });
        Self(Arc::new(Shared { batch, at_once, state }))
    }

    /// The answer to `request`. If nobody waits for it any more before its batch begins, nothing happens.
    ///
    /// # Errors
    /// If the store fails, or does not answer in time.
    pub(crate) async fn ask(&self, request: B::Request) -> Result<B::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.0.enter(Waiting { request, answer }) {
            tokio::spawn(Worker { shared: self.0.clone(), is_done: false }.run());
        }
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Failed("a batch of requests to the store broke off".into())),
            Err(_) => Err(StoreError::Unavailable("the database did not answer in time".into())),
        }
    }
}

impl<B: Batch> Shared<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether one more batch may be under way, and counts it if so.
    fn enter(&self, waiting: Waiting<B>) -> bool {
        let mut state = self.state();
        state.waiting.push(waiting);
        let is_free = state.under_way < self.at_once;
        state.under_way += usize::from(is_free);
        is_free
    }

    /// The next ones, without those that have gone. If there are none, whoever asks is done.
    fn next(&self) -> Option<Vec<Waiting<B>>> {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        if state.waiting.is_empty() {
            state.under_way -= 1;
            return None;
        }
        let count = state.waiting.len().min(MOST);
        Some(state.waiting.drain(..count).collect())
    }

    async fn answer(&self, waiting: Vec<Waiting<B>>) {
        let (requests, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|Waiting { request, answer }| (request, answer)).unzip();
        match self.batch.run(requests).await {
            // Whoever asked may have gone.
            Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| {
                let _gone = answer.send(Ok(outcome));
            }),
            Err(error) => answers.into_iter().for_each(|answer| {
                let _gone = answer.send(Err(same(&error)));
            }),
        }
    }
}

/// Runs batches, one after another, as long as somebody waits.
struct Worker<B: Batch> {
    shared: Arc<Shared<B>>,
    is_done: bool,
}

impl<B: Batch> Worker<B> {
    async fn run(mut self) {
        // Whatever else can be done now may ask for more.
        tokio::task::yield_now().await;
        while let Some(waiting) = self.shared.next() {
            self.shared.answer(waiting).await;
        }
        self.is_done = true;
    }
}

impl<B: Batch> Drop for Worker<B> {
    /// After a panic another takes its place.
    fn drop(&mut self) {
        if !self.is_done {
            self.shared.state().under_way -= 1;
        }
    }
}

/// The same error, for one more of those who wait.
fn same(error: &StoreError) -> StoreError {
    let causes = iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string);
    let causes = causes.collect::<Vec<_>>().join(": ").into();
    match error {
        StoreError::Unavailable(_) => StoreError::Unavailable(causes),
        StoreError::Failed(_) => StoreError::Failed(causes),
        StoreError::FunctionMissing(function) => StoreError::FunctionMissing(function),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Finds the double of even numbers, fails at 7 and panics at 13. Each batch waits for a permit.
    #[derive(Clone)]
    struct Doubles {
        begun: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
    }

    impl Doubles {
        fn with_permits(count: usize) -> Self {
            Self { begun: Arc::default(), permits: Arc::new(Semaphore::new(count)) }
        }
    }

    /// Lets others go on until `is_so`.
    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    }

    impl Batch for Doubles {
        type Request = u32;
        type Answer = Option<u32>;

        async fn run(&self, keys: Vec<u32>) -> Result<Vec<Option<u32>>, StoreError> {
            self.begun.fetch_add(1, Ordering::Relaxed);
            assert!(keys.len() <= MOST);
            self.permits.acquire().await.unwrap().forget();
            if keys.contains(&7) {
                return Err(StoreError::Unavailable("it is away".into()));
            }
            assert!(!keys.contains(&13), "on purpose");
            Ok(keys.into_iter().map(|key| key.is_multiple_of(2).then_some(2 * key)).collect())
        }
    }

    #[tokio::test]
    async fn each_gets_their_own_and_few_batches_serve_many() {
        let doubles = Doubles::with_permits(1000);
        let gathered = Arc::new(Gathered::new(doubles.clone(), 1));
        let finds = (0..1000).map(|number| {
            let (gathered, key) = (gathered.clone(), 20 + number % 300);
            tokio::spawn(async move { (key, gathered.ask(key).await.unwrap()) })
        });
        for find in finds.collect::<Vec<_>>() {
            let (key, found) = find.await.unwrap();
            assert_eq!(found, key.is_multiple_of(2).then_some(2 * key));
        }
        let times = doubles.begun.load(Ordering::Relaxed);
        assert!((8..=20).contains(&times), "{times}");
    }

    #[tokio::test]
    async fn an_error_is_of_all_who_were_in_the_batch_and_of_nobody_later() {
        let gathered = Gathered::new(Doubles::with_permits(2), 1);
        let (first, second) = tokio::join!(gathered.ask(7), gathered.ask(2));
        for outcome in [first, second] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)));
            assert_eq!(error.with_causes(), "the store is unavailable: it is away");
        }
        assert_eq!(gathered.ask(2).await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn after_a_panic_others_are_served() {
        let gathered = Gathered::new(Doubles::with_permits(2), 1);
        assert!(matches!(gathered.ask(13).await, Err(StoreError::Failed(_))));
        assert_eq!(gathered.ask(2).await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_done() {
        let doubles = Doubles::with_permits(0);
        let gathered = Arc::new(Gathered::new(doubles.clone(), 1));
        let find = |key| {
            let gathered = gathered.clone();
            tokio::spawn(async move { gathered.ask(key).await })
        };
        let first = find(2);
        until(|| doubles.begun.load(Ordering::Relaxed) == 1).await;
        let (gone, next) = (find(7), find(4));
        until(|| gathered.0.state().waiting.len() == 2).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        doubles.permits.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), Some(4));
        // With the other in its batch it would have failed.
        assert_eq!(next.await.unwrap().unwrap(), Some(8));
    }
}
