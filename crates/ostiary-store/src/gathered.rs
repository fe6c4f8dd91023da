//! Looks at rows, gathered: what is asked for while others are looked for goes together into the next look. One look
//! for twenty rows costs a database, and the way to it, little more than one for one.
//!
//! Nobody sees less than by themselves: a look begins after all that it is to find was asked for.

use std::{
    error::Error,
    iter, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ostiary_core::store::StoreError;
use tokio::sync::oneshot;

/// Rows in one look. More would make the first wait long for the last.
const MOST: usize = 128;
/// How long an answer is waited for: as long as one statement may take.
const DEADLINE: Duration = Duration::from_millis(2_800);

/// How many rows are looked for at once.
pub(crate) trait Look: Send + Sync + 'static {
    /// What a row is known by.
    type Key: Send + 'static;
    /// What a row says.
    type Found: Send + 'static;

    /// What the rows say that `keys` name, in their order; `None` where there is none.
    ///
    /// # Errors
    /// If the store fails.
    fn look(
        &self,
        keys: Vec<Self::Key>,
    ) -> impl Future<Output = Result<Vec<Option<Self::Found>>, StoreError>> + Send;
}

/// Looks of one kind.
pub(crate) struct Gathered<L: Look>(Arc<Shared<L>>);

struct Shared<L: Look> {
    look: L,
    state: Mutex<State<L>>,
}

struct State<L: Look> {
    waiting: Vec<Waiting<L>>,
    is_under_way: bool,
}

/// Who waits for a row.
struct Waiting<L: Look> {
    key: L::Key,
    answer: oneshot::Sender<Result<Option<L::Found>, StoreError>>,
}

impl<L: Look> Gathered<L> {
    pub(crate) fn new(look: L) -> Self {
        let state = Mutex::new(State { waiting: Vec::new(), is_under_way: false });
        Self(Arc::new(Shared { look, state }))
    }

    /// What the row says that `key` names, if there is one.
    ///
    /// # Errors
    /// If the store fails, or does not answer in time.
    pub(crate) async fn find(&self, key: L::Key) -> Result<Option<L::Found>, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.0.enter(Waiting { key, answer }) {
            tokio::spawn(Looker { shared: self.0.clone(), is_done: false }.run());
        }
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Failed("a look for several rows broke off".into())),
            Err(_) => Err(StoreError::Unavailable("the database did not answer in time".into())),
        }
    }
}

impl<L: Look> Shared<L> {
    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether nobody is under way.
    fn enter(&self, waiting: Waiting<L>) -> bool {
        let mut state = self.state();
        state.waiting.push(waiting);
        !mem::replace(&mut state.is_under_way, true)
    }

    /// The next ones, without those that have gone. If there are none, whoever asks is done.
    fn next(&self) -> Option<Vec<Waiting<L>>> {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        if state.waiting.is_empty() {
            state.is_under_way = false;
            return None;
        }
        let count = state.waiting.len().min(MOST);
        Some(state.waiting.drain(..count).collect())
    }

    async fn answer(&self, waiting: Vec<Waiting<L>>) {
        let (keys, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|Waiting { key, answer }| (key, answer)).unzip();
        let mut found = self.look.look(keys).await.map(Vec::into_iter);
        for answer in answers {
            let outcome = match &mut found {
                Ok(found) => Ok(found.next().flatten()),
                Err(error) => Err(same(error)),
            };
            // Whoever asked may have gone.
            let _gone = answer.send(outcome);
        }
    }
}

/// Looks, one time after another, as long as somebody waits.
struct Looker<L: Look> {
    shared: Arc<Shared<L>>,
    is_done: bool,
}

impl<L: Look> Looker<L> {
    async fn run(mut self) {
        loop {
            // Whatever else can be done now may ask for more.
            tokio::task::yield_now().await;
            let Some(waiting) = self.shared.next() else { break };
            self.shared.answer(waiting).await;
        }
        self.is_done = true;
    }
}

impl<L: Look> Drop for Looker<L> {
    /// After a panic another takes its place.
    fn drop(&mut self) {
        if !self.is_done {
            self.shared.state().is_under_way = false;
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

    /// Finds the double of even numbers, fails at 7 and panics at 13. Each look waits for a permit.
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

    impl Look for Doubles {
        type Key = u32;
        type Found = u32;

        async fn look(&self, keys: Vec<u32>) -> Result<Vec<Option<u32>>, StoreError> {
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
    async fn each_gets_their_own_and_few_looks_serve_many() {
        let doubles = Doubles::with_permits(1000);
        let gathered = Arc::new(Gathered::new(doubles.clone()));
        let finds = (0..1000).map(|number| {
            let (gathered, key) = (gathered.clone(), 20 + number % 300);
            tokio::spawn(async move { (key, gathered.find(key).await.unwrap()) })
        });
        for find in finds.collect::<Vec<_>>() {
            let (key, found) = find.await.unwrap();
            assert_eq!(found, key.is_multiple_of(2).then_some(2 * key));
        }
        let times = doubles.begun.load(Ordering::Relaxed);
        assert!((8..=20).contains(&times), "{times}");
    }

    #[tokio::test]
    async fn an_error_is_of_all_who_were_in_the_look_and_of_nobody_later() {
        let gathered = Gathered::new(Doubles::with_permits(2));
        let (first, second) = tokio::join!(gathered.find(7), gathered.find(2));
        for outcome in [first, second] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)));
            assert_eq!(error.with_causes(), "the store is unavailable: it is away");
        }
        assert_eq!(gathered.find(2).await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn after_a_panic_others_are_served() {
        let gathered = Gathered::new(Doubles::with_permits(2));
        assert!(matches!(gathered.find(13).await, Err(StoreError::Failed(_))));
        assert_eq!(gathered.find(2).await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn who_has_gone_is_not_looked_for() {
        let doubles = Doubles::with_permits(0);
        let gathered = Arc::new(Gathered::new(doubles.clone()));
        let find = |key| {
            let gathered = gathered.clone();
            tokio::spawn(async move { gathered.find(key).await })
        };
        let first = find(2);
        until(|| doubles.begun.load(Ordering::Relaxed) == 1).await;
        let (gone, next) = (find(7), find(4));
        until(|| gathered.0.state().waiting.len() == 2).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        doubles.permits.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), Some(4));
        // With the other in its look it would have failed.
        assert_eq!(next.await.unwrap().unwrap(), Some(8));
    }
}
