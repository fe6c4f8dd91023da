use std::{
    fs,
    future::Future,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task,
};

use super::*;
use crate::password::Workspace;

const DEADLINE: Duration = Duration::from_secs(2);

/// Threads without stand-ins, so that a test can hold them up.
fn hasher(scheme: PasswordScheme, threads: usize, deadline: Duration) -> Hasher {
    let settings = HasherSettings { scheme, threads, threads_in_flood: threads, deadline };
    Hasher::start_with(settings, Duration::from_hours(1))
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
    let held = Mutex::new(held);
    let work = move |_: &[bcrypt::Computation], _: &[bcrypt::Output], _: &mut Workspace| {
        started.send(()).unwrap();
        held.lock().unwrap().recv().ok();
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

#[tokio::test]
async fn those_who_are_known_go_first_and_are_taken_when_the_lane_is_full_for_others() {
    let hasher = hasher(PasswordScheme::Argon2id, 1, Duration::from_secs(5));
    let release = hold(&hasher);
    let (finished, order) = mpsc::channel();
    let mut waiting = Vec::new();
    let mut enter = |standing: Standing| {
        let finished = finished.clone();
        let cost = Cost::Argon2 { blocks: 100 * argon2::BLOCKS_OF_NEW };
        let work = move |_: &_, _: &_, _: &mut _| finished.send(standing).unwrap();
        let mut job = Box::pin(hasher.lane.run(standing, cost, Vec::new(), work));
        let refused = poll_once(job.as_mut());
        waiting.push(job);
        refused
    };
    // Each takes two seconds: after three, nobody else is let in but those who are known.
    for _ in 0..3 {
        assert_eq!(enter(Standing::Unknown), None);
    }
    assert!(matches!(enter(Standing::Unknown), Some(Err(HasherError::Busy(_)))));
    for _ in 0..3 {
        assert_eq!(enter(Standing::Known), None);
    }
    assert!(matches!(enter(Standing::Known), Some(Err(HasherError::Busy(_)))));
    let metrics = hasher.metrics();
    for standing in [Standing::Known, Standing::Unknown] {
        let labels = LaneMetrics::standing(standing);
        assert_eq!(metrics.depth.get_or_create(&labels).get(), 3, "{standing:?}");
        assert_eq!(metrics.refused.get_or_create(&labels).get(), 1, "{standing:?}");
    }
    release.send(()).unwrap();
    let order: Vec<_> = order.into_iter().take(6).collect();
    assert_eq!(order, [[Standing::Known; 3], [Standing::Unknown; 3]].concat());
    let unknown = LaneMetrics::standing(Standing::Unknown);
    assert_eq!(metrics.depth.get_or_create(&unknown).get(), 0);
}

#[tokio::test]
async fn work_that_others_kept_going_before_is_refused_when_its_time_has_passed() {
    let hasher = hasher(PasswordScheme::Argon2id, 1, Duration::from_millis(80));
    let release = hold(&hasher);
    let (ran, has_run) = mpsc::channel();
    let work = move |_: &_, _: &_, _: &mut _| ran.send(()).unwrap();
    let mut late = Box::pin(hasher.lane.run(Standing::Unknown, Cost::Estimate, Vec::new(), work));
    assert!(poll_once(late.as_mut()).is_none());
    // A test of time itself.
    tokio::time::sleep(Duration::from_millis(120)).await;
    release.send(()).unwrap();
    assert!(matches!(late.await, Err(HasherError::Busy(_))));
    assert!(has_run.recv().is_err(), "it ran");
    let unknown = LaneMetrics::standing(Standing::Unknown);
    assert_eq!(hasher.metrics().refused.get_or_create(&unknown).get(), 1);
    assert_eq!(hasher.metrics().depth.get_or_create(&unknown).get(), 0);
}

#[tokio::test]
async fn while_guesses_flood_the_lane_a_thread_rests_unless_most_passwords_are_right() {
    for is_right in [false, true] {
        let settings = HasherSettings {
            scheme: PasswordScheme::Argon2id,
            threads: 2,
            threads_in_flood: 1,
            deadline: DEADLINE,
        };
        let hasher = Hasher::start_with(settings, Duration::from_hours(1));
        let (first, second) = (hold(&hasher), hold(&hasher));
        (0..100).for_each(|_| hasher.lane.compared(is_right));
        let whose = async || {
            let cost = Cost::Argon2 { blocks: 100 * argon2::BLOCKS_OF_NEW };
            let work = |_: &_, _: &_, _: &mut _| std::thread::current().id();
            hasher.lane.run(Standing::Unknown, cost, Vec::new(), work).await.unwrap()
        };
        let mut waiting = Vec::new();
        while hasher.admit(Standing::Unknown).is_ok() {
            let mut job = Box::pin(whose());
            assert!(poll_once(job.as_mut()).is_none());
            waiting.push(job);
        }
        assert_eq!(hasher.metrics().floods.get(), u64::from(!is_right));

        // The thread that is done with its work looks whether there is more for it.
        drop(first);
        let unknown = LaneMetrics::standing(Standing::Unknown);
        let depth = || hasher.metrics().depth.get_or_create(&unknown).get();
        if is_right {
            while depth() > 0 {
                std::thread::yield_now();
            }
            continue;
        }
        while hasher.metrics().computing.get() == 2 {
            std::thread::yield_now();
        }
        drop(second);
        let mut by = Vec::new();
        for job in waiting {
            by.push(job.await);
        }
        assert!(by.len() > 1 && by.iter().all(|thread| *thread == by[0]), "{by:?}");
    }
}

/// The scheduling policy and the niceness of the calling thread: fields 41 and 19 of its `stat`, see proc(5).
#[cfg(target_os = "linux")]
fn policy_and_niceness() -> (u32, i32) {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The second field is a name in brackets.
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[41 - 3].parse().unwrap(), fields[19 - 3].parse().unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn work_runs_in_spare_time_and_that_of_a_thread_which_is_held_up_at_a_low_priority_by_its_stand_in() {
    const SCHED_IDLE: u32 = 5;
    let settings = HasherSettings {
        scheme: PasswordScheme::Argon2id,
        threads: 1,
        threads_in_flood: 1,
        deadline: DEADLINE,
    };
    let hasher = Hasher::start_with(settings, Duration::from_millis(20));
    let (release, held) = mpsc::channel::<()>();
    let (seen, by) = mpsc::channel();
    let (held, is_first) = (Mutex::new(held), AtomicBool::new(true));
    let work = move |_: &[_], _: &[_], _: &mut _| {
        seen.send(policy_and_niceness()).unwrap();
        if is_first.swap(false, Ordering::Relaxed) {
            held.lock().unwrap().recv().ok();
            return "the thread";
        }
        "the stand-in"
    };
    let run = hasher.lane.run(Standing::Unknown, Cost::Estimate, Vec::new(), work);
    assert_eq!(run.await, Ok("the stand-in"));
    assert_eq!(by.recv().unwrap(), (SCHED_IDLE, 0));
    let (policy, niceness) = by.recv().unwrap();
    assert_eq!(policy, 0);
    assert!((10..=19).contains(&niceness), "{niceness}");

    // What waits goes on too.
    let whose = async |hasher: &Hasher| {
        let work = |_: &[_], _: &[_], _: &mut _| policy_and_niceness().0;
        hasher.lane.run(Standing::Unknown, Cost::Estimate, Vec::new(), work).await
    };
    assert_eq!(whose(&hasher).await, Ok(0));
    assert_eq!(hasher.metrics().stood_in.get(), 1);

    // What the thread was held up for teaches nothing of its pace, and it goes on.
    release.send(()).unwrap();
    while hasher.metrics().computing.get() > 0 {
        std::thread::yield_now();
    }
    assert!(hasher.hash(Password::new("correct horse"), Standing::Unknown).await.is_ok());
}

/// The bcrypt computations that were done by so many together.
fn computed(hasher: &Hasher, together: usize) -> u64 {
    hasher.metrics().bcrypt.get_or_create(&LaneMetrics::together(together)).get()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bcrypt_jobs_that_wait_are_computed_together_and_each_is_told_its_own_verdict() {
    let hasher = Arc::new(hasher(PasswordScheme::Bcrypt, 2, Duration::from_mins(1)));
    let held = [hold(&hasher), hold(&hasher)];
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..16 {
        let hasher = Arc::clone(&hasher);
        logins.spawn(async move {
            let password = format!("correct horse {number}");
            let typed = if number % 3 == 0 { "another horse" } else { &password };
            let stored = Some(cheap_hash(&password));
            let standing = if number % 2 == 0 { Standing::Known } else { Standing::Unknown };
            let expected = if number % 3 == 0 { Verdict::Wrong } else { Verdict::RightButWeak };
            (hasher.verify(Password::new(typed), stored, standing).await, Ok(expected))
        });
    }
    let depth = |standing| hasher.metrics().depth.get_or_create(&LaneMetrics::standing(standing)).get();
    while depth(Standing::Known) + depth(Standing::Unknown) < 16 {
        tokio::task::yield_now().await;
    }
    drop(held);
    for (verdict, expected) in logins.join_all().await {
        assert_eq!(verdict, expected);
    }
    assert_eq!([1, 2, 3, 4].map(|together| computed(&hasher, together)), [0, 0, 0, 16]);
}

#[tokio::test]
async fn jobs_of_other_costs_wait_for_their_own_round_and_a_password_of_two_spellings_takes_two_places() {
    let hasher = hasher(PasswordScheme::Bcrypt, 1, Duration::from_mins(1));
    let release = hold(&hasher);
    let composed = "caf\u{e9} noir";
    let decomposed = "cafe\u{301} noir";
    let dearer = ::bcrypt::hash_with_salt("correct horse", 5, [7; 16]).unwrap().to_string();
    let dearer = PasswordHash::from_stored(dearer);
    let mut waiting = Vec::new();
    for (typed, stored) in [
        ("correct horse", cheap_hash("correct horse")),
        ("correct horse", dearer),
        (decomposed, cheap_hash(composed)),
        (decomposed, cheap_hash(decomposed)),
        ("correct horse", cheap_hash("correct horse")),
    ] {
        let mut job = Box::pin(hasher.verify(Password::new(typed), Some(stored), Standing::Unknown));
        assert!(poll_once(job.as_mut()).is_none());
        waiting.push(job);
    }
    drop(release);
    for job in waiting {
        assert_eq!(job.await, Ok(Verdict::RightButWeak));
    }
    // The first with one of the two spellings and the last; the dearer one; the other two spellings.
    assert_eq!([1, 2, 3, 4].map(|together| computed(&hasher, together)), [1, 2, 0, 4]);
}

#[tokio::test]
async fn a_panic_in_a_round_costs_its_jobs_and_no_thread() {
    let hasher = hasher(PasswordScheme::Bcrypt, 1, Duration::from_mins(1));
    let release = hold(&hasher);
    let hash: bcrypt::Hash = cheap_hash("correct horse").as_str().parse().unwrap();
    let mut waiting = Vec::new();
    // The third says that its cost is another than it is, so the round cannot be computed.
    for cost in [5, 5, 4] {
        let computations = match cost {
            4 => hash.computations(&Password::new("correct horse")),
            cost => {
                let dearer = ::bcrypt::hash_with_salt("x", cost, [7; 16]).unwrap().to_string();
                let hash: bcrypt::Hash = dearer.parse().unwrap();
                hash.computations(&Password::new("x"))
            }
        };
        let cost = Cost::Bcrypt { cost: 5, computations: 1 };
        let work = |_: &_, outputs: &[_], _: &mut _| outputs.len();
        let mut job = Box::pin(hasher.lane.run(Standing::Unknown, cost, computations, work));
        assert!(poll_once(job.as_mut()).is_none());
        waiting.push(job);
    }
    drop(release);
    for job in waiting {
        assert_eq!(job.await, Err(HasherError::Lost));
    }
    let stored = Some(cheap_hash("correct horse"));
    let verdict = hasher.verify(Password::new("correct horse"), stored, Standing::Unknown).await;
    assert_eq!(verdict, Ok(Verdict::RightButWeak));
}

#[tokio::test]
async fn the_figures_are_there_before_anything_happens_and_follow_what_does() {
    let mut registry = prometheus_client::registry::Registry::default();
    let hasher = argon2id(1);
    hasher.metrics().register(&mut registry);
    hasher.hash(Password::new("correct horse"), Standing::Known).await.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "ostiary_hash_lane_depth{standing=\"known\"} 0",
        "ostiary_hash_lane_wait_seconds_count{standing=\"known\"} 1",
        "ostiary_hash_lane_wait_seconds_count{standing=\"unknown\"} 0",
        "ostiary_hash_lane_refused_total{standing=\"unknown\"} 0",
        "ostiary_hash_lane_dropped_total{standing=\"known\"} 0",
        "ostiary_hash_lane_floods_total 0",
        "# TYPE ostiary_hash_lane_computing gauge",
        "ostiary_hash_lane_bcrypt_computations_total{together=\"4\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
}
