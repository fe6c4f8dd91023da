use std::{future::Future, pin::Pin, sync::mpsc, task};

use super::*;
use crate::password::Workspace;

const DEADLINE: Duration = Duration::from_secs(2);

fn hasher(scheme: PasswordScheme, threads: usize, deadline: Duration) -> Hasher {
    Hasher::start(HasherSettings { scheme, threads, deadline })
}

fn argon2id(threads: usize) -> Hasher {
    hasher(PasswordScheme::Argon2id, threads, DEADLINE)
}

/// A bcrypt hash of the least cost.
fn cheap_hash(password: &str) -> PasswordHash {
    PasswordHash::from_stored(
        ::bcrypt::hash_with_salt(password, 4, crate::secret::random()).unwrap().to_string(),
    )
}

#[tokio::test]
async fn a_password_verifies_against_its_hash_and_no_other_does() {
    for scheme in [PasswordScheme::Argon2id, PasswordScheme::Bcrypt] {
        let hasher = hasher(scheme, 2, DEADLINE);
        let hash = hasher.hash(Password::new("correct horse"), Standing::Unknown).await.unwrap();
        let verify = |text, stored| hasher.verify(Password::new(text), stored, Standing::Unknown);
        assert_eq!(verify("correct horse", Some(hash.clone())).await, Ok(Verdict::Right));
        assert_eq!(verify("wrong horse", Some(hash)).await, Ok(Verdict::Wrong));
        assert_eq!(verify("correct horse", None).await, Ok(Verdict::Wrong));
    }
}

#[tokio::test]
async fn an_unusable_hash_is_told_from_a_wrong_password() {
    for scheme in [PasswordScheme::Argon2id, PasswordScheme::Bcrypt] {
        let hasher = hasher(scheme, 1, DEADLINE);
        let stored = Some(PasswordHash::from_stored("damaged".to_owned()));
        let verdict = hasher.verify(Password::new("correct horse"), stored, Standing::Unknown).await;
        assert_eq!(verdict, Ok(Verdict::Unusable));
    }
}

#[tokio::test]
async fn a_weaker_hash_is_told_from_a_good_one() {
    for scheme in [PasswordScheme::Argon2id, PasswordScheme::Bcrypt] {
        let hasher = hasher(scheme, 1, DEADLINE);
        let stored = cheap_hash("correct horse");
        let verify = |text| hasher.verify(Password::new(text), Some(stored.clone()), Standing::Unknown);
        assert_eq!(verify("correct horse").await, Ok(Verdict::RightButWeak));
        assert_eq!(verify("wrong horse").await, Ok(Verdict::Wrong));
    }
}

/// Holds a thread of the lane until the answer is sent to or dropped.
fn hold(hasher: &Hasher) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let work = move |_: &[bcrypt::Computation], _: &[bcrypt::Output], _: &mut Workspace| {
        started.send(()).unwrap();
        held.recv().ok();
    };
    let lane = Arc::clone(&hasher.lane);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(lane.run(Standing::Known, Cost::Estimate, Vec::new(), work)).ok();
    });
    has_started.recv().unwrap();
    release
}

/// Polls once: what the future gave, if it is ready.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(output) => Some(output),
        task::Poll::Pending => None,
    }
}

/// Work that is taken to last two seconds, and is done at once.
async fn two_seconds(hasher: &Hasher, standing: Standing) -> Result<(), HasherError> {
    let cost = Cost::Argon2 { blocks: 100 * argon2::BLOCKS_OF_NEW };
    hasher.lane.run(standing, cost, Vec::new(), |_, _, _| ()).await
}

#[tokio::test]
async fn work_that_cannot_start_within_the_deadline_is_refused_at_once() {
    let hasher = hasher(PasswordScheme::Argon2id, 1, Duration::from_secs(5));
    let release = hold(&hasher);
    let mut waiting = Vec::new();
    for place in 0..3 {
        assert_eq!(hasher.admit(Standing::Unknown), Ok(()), "{place}");
        let mut job = Box::pin(two_seconds(&hasher, Standing::Unknown));
        assert!(poll_once(job.as_mut()).is_none(), "place {place}");
        waiting.push(job);
    }
    let Err(HasherError::Busy(wait)) = hasher.admit(Standing::Unknown) else { panic!("it is admitted") };
    assert!((5900..6100).contains(&wait.as_millis()), "{wait:?}");
    let refused = two_seconds(&hasher, Standing::Unknown).await;
    assert!(matches!(refused, Err(HasherError::Busy(_))), "{refused:?}");
    release.send(()).unwrap();
    for job in waiting {
        assert_eq!(job.await, Ok(()));
    }
}

#[tokio::test]
async fn work_whose_client_has_gone_is_dropped_before_it_starts() {
    let hasher = argon2id(1);
    let release = hold(&hasher);
    let (ran, has_run) = mpsc::channel();
    let work = move |_: &_, _: &_, _: &mut _| ran.send(()).unwrap();
    let mut abandoned = Box::pin(hasher.lane.run(Standing::Unknown, Cost::Estimate, Vec::new(), work));
    assert!(poll_once(abandoned.as_mut()).is_none());
    drop(abandoned);
    release.send(()).unwrap();
    hasher.hash(Password::new("correct horse"), Standing::Unknown).await.unwrap();
    assert!(has_run.recv().is_err(), "it ran");
}

#[tokio::test]
async fn a_panic_costs_one_job_and_no_thread() {
    let hasher = argon2id(1);
    let work = |_: &_, _: &_, _: &mut _| -> () { panic!("on purpose") };
    let lost = hasher.lane.run(Standing::Unknown, Cost::Estimate, Vec::new(), work).await;
    assert_eq!(lost, Err(HasherError::Lost));
    assert!(hasher.hash(Password::new("correct horse"), Standing::Unknown).await.is_ok());
}
