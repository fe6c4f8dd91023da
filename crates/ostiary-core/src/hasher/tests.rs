use super::*;

fn hasher(threads: usize, deadline: Duration) -> Hasher {
    Hasher::start(HasherSettings { scheme: PasswordScheme::Argon2id, threads, deadline })
}

#[tokio::test]
async fn a_password_verifies_against_its_hash_and_no_other_does() {
    let hasher = hasher(2, Duration::from_secs(2));
    let hash = hasher.hash(Password::new("correct horse")).await.unwrap();
    let right = hasher.verify(Password::new("correct horse"), Some(hash.clone())).await;
    assert_eq!(right, Ok(Verdict::Right));
    assert_eq!(hasher.verify(Password::new("wrong horse"), Some(hash)).await, Ok(Verdict::Wrong));
    assert_eq!(hasher.verify(Password::new("correct horse"), None).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn an_unusable_hash_is_told_from_a_wrong_password() {
    let hasher = hasher(1, Duration::from_secs(2));
    let stored = Some(PasswordHash::from_stored("damaged".to_owned()));
    assert_eq!(hasher.verify(Password::new("correct horse"), stored).await, Ok(Verdict::Unusable));
}

#[tokio::test]
async fn a_weaker_hash_comes_back_replaced() {
    let hasher = hasher(1, Duration::from_secs(2));
    let weak = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned();
    let verdict = hasher.verify(Password::new("U*U"), Some(PasswordHash::from_stored(weak))).await.unwrap();
    let Verdict::RightAndReplace(new) = verdict else { panic!("{verdict:?}") };
    assert_eq!(hasher.verify(Password::new("U*U"), Some(new)).await, Ok(Verdict::Right));
}

/// Work that runs whether or not anybody waits for it.
struct Unattended<Work>(Work);

impl<Work: FnOnce() + Send> Job for Unattended<Work> {
    fn is_abandoned(&self) -> bool {
        false
    }

    fn run(self: Box<Self>, _: &mut Workspace) {
        (self.0)();
    }
}

/// Holds the only thread of a lane until the answer is sent to or dropped.
fn hold(hasher: &Hasher) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel();
    let (started, has_started) = std::sync::mpsc::channel();
    let work = move || {
        started.send(()).unwrap();
        held.recv().ok();
    };
    hasher.lane.enqueue(Box::new(Unattended(work))).unwrap();
    has_started.recv().unwrap();
    release
}

#[tokio::test]
async fn work_that_cannot_start_within_the_deadline_is_refused_at_once() {
    let hasher = hasher(1, Duration::from_millis(60));
    let release = hold(&hasher);
    let mut waiting = Vec::new();
    // A job is taken to cost 25 ms at first, so with one thread the fourth in the queue waits 75 ms.
    for place in 0..3 {
        let mut job = Box::pin(hasher.hash(Password::new("correct horse")));
        assert!(poll_once(&mut job).is_none(), "place {place}");
        waiting.push(job);
    }
    let refused = hasher.hash(Password::new("correct horse")).await;
    assert_eq!(refused, Err(HasherError::Busy(Duration::from_millis(75))));
    release.send(()).unwrap();
    for job in waiting {
        assert!(job.await.is_ok());
    }
}

#[tokio::test]
async fn work_whose_client_has_gone_is_dropped_before_it_starts() {
    let hasher = hasher(1, Duration::from_secs(2));
    let release = hold(&hasher);
    let (ran, has_run) = std::sync::mpsc::channel();
    let mut abandoned = Box::pin(hasher.lane.run(move |_| ran.send(()).unwrap()));
    assert!(poll_once(&mut abandoned).is_none());
    drop(abandoned);
    release.send(()).unwrap();
    hasher.hash(Password::new("correct horse")).await.unwrap();
    assert!(has_run.try_recv().is_err());
}

#[tokio::test]
async fn a_panic_costs_one_job_and_no_thread() {
    let hasher = hasher(1, Duration::from_secs(2));
    let lost = hasher.lane.run(|_| -> () { panic!("on purpose") }).await;
    assert_eq!(lost, Err(HasherError::Lost));
    assert!(hasher.hash(Password::new("correct horse")).await.is_ok());
}

/// Polls once: what the future gave, if it is ready.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
