use jiff::SignedDuration;
use ostiary_core::{
    audit::AuditAction,
    id::SessionId,
    store::{Refusal, Revocation, RevokeOutcome, RotateOutcome, Rotation, Store},
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, event, secret_hash, start};

async fn rotate(store: &dyn Store, rotation: Rotation) -> RotateOutcome {
    let on_reuse = event(AuditAction::RefreshTokenReused, rotation.now);
    store.rotate_session(rotation, on_reuse).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_generation_is_spent_once_and_repeated_within_the_grace_period(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let user = opened.user_id;
    assert_eq!(rotate(&*store, opened.rotation(0, 100)).await, RotateOutcome::Rotated(user));
    assert_eq!(rotate(&*store, opened.rotation(0, 100)).await, RotateOutcome::Repeated(user));
    assert_eq!(
        rotate(&*store, opened.rotation(0, 110)).await,
        RotateOutcome::Repeated(user),
        "at its very end"
    );
    assert_eq!(test.query::<i64>("select generation from sessions"), 1);
    assert_eq!(rotate(&*store, opened.rotation(1, 110)).await, RotateOutcome::Rotated(user));
}

#[rstest]
#[tokio::test]
async fn a_generation_spent_longer_ago_revokes_the_session_with_its_audit_event(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    rotate(&*store, opened.rotation(0, 100)).await;
    let late = Rotation { now: start() + SignedDuration::from_micros(110_000_001), ..opened.rotation(0, 0) };
    assert_eq!(rotate(&*store, late).await, RotateOutcome::Reused(opened.user_id));
    assert_eq!(rotate(&*store, opened.rotation(1, 111)).await, RotateOutcome::Refused(Refusal::Revoked));
    assert_eq!(test.query::<String>("select revoked_why from sessions"), "token_reused");
    let reuses = "select count(*) from audit_events where action = 'refresh_token_reused'
                  and session_id = (select id from sessions) and user_id = (select id from users)";
    assert_eq!(test.query::<i64>(reuses), 1);
}

#[rstest]
#[tokio::test]
async fn a_grandparent_revokes_the_session_even_within_the_grace_period(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    rotate(&*store, opened.rotation(0, 100)).await;
    rotate(&*store, opened.rotation(1, 101)).await;
    assert_eq!(rotate(&*store, opened.rotation(0, 102)).await, RotateOutcome::Reused(opened.user_id));
    assert_eq!(rotate(&*store, opened.rotation(2, 103)).await, RotateOutcome::Refused(Refusal::Revoked));
}

#[rstest]
#[tokio::test]
async fn what_is_not_good_is_refused_and_changes_nothing(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let unknown = Rotation { session_id: SessionId::new(start()), ..opened.rotation(0, 1) };
    assert_eq!(rotate(&*store, unknown).await, RotateOutcome::Refused(Refusal::Absent));
    let other_secret = Rotation { secret_hash: secret_hash(), ..opened.rotation(0, 1) };
    assert_eq!(rotate(&*store, other_secret).await, RotateOutcome::Refused(Refusal::Absent));
    assert_eq!(rotate(&*store, opened.rotation(1, 1)).await, RotateOutcome::Refused(Refusal::Ahead));
    assert_eq!(rotate(&*store, opened.rotation(u32::MAX, 1)).await, RotateOutcome::Refused(Refusal::Ahead));
    let end = 30 * 24 * 3600;
    assert_eq!(rotate(&*store, opened.rotation(0, end)).await, RotateOutcome::Refused(Refusal::Expired));
    test.execute("update users set active = false");
    assert_eq!(rotate(&*store, opened.rotation(0, 1)).await, RotateOutcome::Refused(Refusal::UserDisabled));
    test.execute("update users set active = true");
    assert_eq!(rotate(&*store, opened.rotation(0, end - 1)).await, RotateOutcome::Rotated(opened.user_id));
}

#[rstest]
#[tokio::test]
async fn the_last_generation_is_spent_and_no_more(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    test.execute("update sessions set generation = 4294967294");
    assert_eq!(
        rotate(&*store, opened.rotation(u32::MAX - 1, 1)).await,
        RotateOutcome::Rotated(opened.user_id)
    );
    assert_eq!(rotate(&*store, opened.rotation(u32::MAX, 2)).await, RotateOutcome::Rotated(opened.user_id));
    assert_eq!(test.query::<i64>("select generation from sessions"), i64::from(u32::MAX));
}

#[rstest]
#[tokio::test]
async fn a_revoked_session_stays_revoked_and_is_revoked_once(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let revoke = async |store: &dyn Store| {
        let event = event(AuditAction::SessionRevoked, start() + SignedDuration::from_secs(1));
        store.revoke_session(opened.session_id, Revocation::LoggedOut, event).await.unwrap()
    };
    assert_eq!(revoke(&*store).await, RevokeOutcome::Revoked);
    assert_eq!(revoke(&*store).await, RevokeOutcome::NotOpen);
    drop(store);
    let store = test.open().await;
    assert_eq!(rotate(&*store, opened.rotation(0, 2)).await, RotateOutcome::Refused(Refusal::Revoked));
    assert_eq!(test.query::<i64>("select count(*) from audit_events where action = 'session_revoked'"), 1);
}

/// 64 callers with one token, 50 rounds: one rotates, the others are answered the same.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_rotations_of_one_generation_at_once_one_rotates_and_the_others_repeat(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    for round in 0..50 {
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (store, opened) = (store.clone(), opened.clone());
            racers.spawn(async move { rotate(&*store, opened.rotation(round, i64::from(round))).await });
        }
        let outcomes = racers.join_all().await;
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let counts =
            (count(RotateOutcome::Rotated(opened.user_id)), count(RotateOutcome::Repeated(opened.user_id)));
        assert_eq!(counts, (1, 63), "round {round}");
    }
    assert_eq!(test.query::<i64>("select generation from sessions"), 50);
}

#[rstest]
#[tokio::test]
async fn a_session_keeps_where_it_came_from(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    Opened::registered(&*store, "anna").await;
    let row = "select address || ' ' || user_agent || ' ' || methods from sessions";
    assert_eq!(test.query::<String>(row), "192.0.2.7 test/1 pwd");
}
