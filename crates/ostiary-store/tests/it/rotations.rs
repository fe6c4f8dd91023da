//! Rotations at once: of one session, and of many. PostgreSQL does those of many in one statement.

use std::time::{Duration, Instant};

use ostiary_core::{
    audit::AuditAction,
    id::SessionId,
    store::{Refusal, RotateOutcome, Rotation, Store},
};
use rstest::rstest;
use tokio::task::JoinSet;

use crate::support::{On, Opened, TestStore, event, open_postgres, rotate, secret_hash, start, while_held};

/// Sessions of so many users.
async fn opened(store: &dyn Store, count: usize) -> Vec<Opened> {
    let mut sessions = Vec::new();
    for number in 0..count {
        sessions.push(Opened::registered(store, &format!("user{number}")).await);
    }
    sessions
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_rotations_of_one_generation_at_once_one_rotates_and_the_others_repeat(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    for round in 0..50 {
        let mut racers = JoinSet::new();
        for _ in 0..64 {
            let (store, opened) = (store.clone(), opened.clone());
            racers.spawn(async move { rotate(&*store, opened.rotation(round, i64::from(round))).await });
        }
        let outcomes = racers.join_all().await;
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let counts =
            (count(RotateOutcome::Rotated(opened.live())), count(RotateOutcome::Repeated(opened.live())));
        assert_eq!(counts, (1, 63), "round {round}");
    }
    assert_eq!(test.query::<i64>("select generation from sessions"), 50);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_rotations_at_once_each_comes_to_its_own(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let sessions = opened(&*store, 40).await;
    let disabled = test.id_literal(sessions[0].user_id.as_uuid());
    test.execute(&format!("update users set active = false where id = {disabled}"));
    for round in 0..10 {
        let seconds = i64::from(round);
        let mut asked = Vec::new();
        for opened in &sessions[1..] {
            let rotated = RotateOutcome::Rotated(opened.live());
            asked.push((opened.rotation(round, seconds), rotated));
            let ahead = RotateOutcome::Refused(Refusal::Ahead);
            asked.push((opened.rotation(round + 5, seconds), ahead));
            let other_secret = Rotation { secret_hash: secret_hash(), ..opened.rotation(round, seconds) };
            asked.push((other_secret, RotateOutcome::Refused(Refusal::Absent)));
        }
        let unknown =
            Rotation { session_id: SessionId::new(start()), ..sessions[1].rotation(round, seconds) };
        asked.push((unknown, RotateOutcome::Refused(Refusal::Absent)));
        let disabled = sessions[0].rotation(0, seconds);
        asked.push((disabled, RotateOutcome::Refused(Refusal::UserDisabled)));
        let mut asking = JoinSet::new();
        // Not always those first whose turn it is.
        if round % 2 == 0 {
            asked.reverse();
        }
        for (rotation, expected) in asked {
            let store = store.clone();
            asking.spawn(async move { assert_eq!(rotate(&*store, rotation).await, expected) });
        }
        asking.join_all().await;
    }
    assert_eq!(test.query::<i64>("select sum(generation) from sessions"), 390);
}

/// Whoever holds a session keeps waiting only those who refresh just that one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_holds_keeps_no_other_waiting() {
    let test = TestStore::new(On::Postgres);
    let store = test.open().await;
    let sessions = opened(&*store, 40).await;
    let held = format!("select from auth.sessions where id = '{}' for update", sessions[0].session_id);
    let mut waiting = JoinSet::new();
    while_held(test.postgres(), &held, async || {
        let begin = Instant::now();
        let mut others = JoinSet::new();
        for (number, opened) in sessions.iter().cloned().enumerate() {
            let store = store.clone();
            let rotating = async move {
                assert_eq!(
                    rotate(&*store, opened.rotation(0, 1)).await,
                    RotateOutcome::Rotated(opened.live())
                );
            };
            if number == 0 {
                waiting.spawn(rotating)
            } else {
                others.spawn(rotating)
            };
        }
        others.join_all().await;
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert!(waiting.try_join_next().is_none(), "nobody has let go of it");
    });
    waiting.join_all().await;
    assert_eq!(test.query::<i64>("select sum(generation) from sessions"), 40);
}

/// What goes wrong with one session is the error of nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_changed_is_nobody_elses_error() {
    let test = TestStore::new(On::Postgres);
    test.open().await;
    let store = std::sync::Arc::new(open_postgres(&test.postgres().url()).await);
    let sessions = opened(&*store, 40).await;
    test.execute(&format!(
        "create function public.fault() returns trigger language plpgsql as $$ begin raise exception 'injected'; end $$;
         create trigger fault before update on auth.sessions for each row when (new.id = '{}')
         execute function public.fault()",
        sessions[0].session_id
    ));
    let mut rotating = JoinSet::new();
    for (number, opened) in sessions.into_iter().enumerate() {
        let store = store.clone();
        let rotation = opened.rotation(0, 1);
        let on_reuse = event(AuditAction::RefreshTokenReused, rotation.at.now);
        rotating.spawn(async move {
            let outcome = ostiary_core::store::Sessions::rotate_session(&*store, rotation, on_reuse).await;
            assert_eq!(outcome.ok(), (number > 0).then(|| RotateOutcome::Rotated(opened.live())));
        });
    }
    rotating.join_all().await;
    assert_eq!(test.query::<i64>("select sum(generation) from sessions"), 39);
}
