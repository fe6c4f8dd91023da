use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::SignedDuration;
use ostiary_core::{
    audit::AuditAction,
    id::{SessionId, UserId},
    store::{
        AuditQuery, AuthenticationMethod, LiveAt, NewSession, OpenOutcome, Opening, Refusal, Revocation,
        RevokeOutcome, RotateOutcome, Rotation, SessionRecord, Store,
    },
};
use rstest::rstest;

use crate::support::{
    On, Opened, TestStore, after, client, event, live_at, opening, rotate, secret_hash, session, start,
};

/// A store may open the sessions of logins that follow each other together.
#[rstest]
#[tokio::test]
async fn logins_that_follow_each_other_have_an_answer_each(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let anna = Opened::registered(&*store, "anna").await.user_id;
    let log_in = async |user_id| {
        let opening = Opening { others_follow: true, ..opening(user_id, session(), None) };
        let opened = opening.session.id;
        let outcome = store.open_session(opening, event(AuditAction::UserLoggedIn, after(1))).await.unwrap();
        let found = store.find_session(opened, live_at(1)).await.unwrap();
        (outcome, found.map(|session| session.user_id))
    };
    let nobody = UserId::new(start());
    let (first, refused, second) = tokio::join!(log_in(anna), log_in(nobody), log_in(anna));
    assert_eq!(first, (OpenOutcome::Opened, Some(anna)));
    assert_eq!(refused, (OpenOutcome::NoSuchUser, None));
    assert_eq!(second, (OpenOutcome::Opened, Some(anna)));
    assert_eq!(log_in(anna).await, (OpenOutcome::Opened, Some(anna)), "nobody follows after all");
}

#[rstest]
#[tokio::test]
async fn a_generation_is_spent_once_and_repeated_within_the_grace_period(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let live = opened.live();
    assert_eq!(rotate(&*store, opened.rotation(0, 100)).await, RotateOutcome::Rotated(live.clone()));
    assert_eq!(rotate(&*store, opened.rotation(0, 100)).await, RotateOutcome::Repeated(live.clone()));
    assert_eq!(
        rotate(&*store, opened.rotation(0, 110)).await,
        RotateOutcome::Repeated(live.clone()),
        "at its very end"
    );
    assert_eq!(test.query::<i64>("select generation from sessions"), 1);
    assert_eq!(rotate(&*store, opened.rotation(1, 110)).await, RotateOutcome::Rotated(live.clone()));
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
    let mut late = opened.rotation(0, 110);
    late.at.now += SignedDuration::from_micros(1);
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
    assert_eq!(rotate(&*store, opened.rotation(0, end - 1)).await, RotateOutcome::Rotated(opened.live()));
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
        RotateOutcome::Rotated(opened.live())
    );
    assert_eq!(rotate(&*store, opened.rotation(u32::MAX, 2)).await, RotateOutcome::Rotated(opened.live()));
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
        store.revoke_session(opened.session_id, None, Revocation::LoggedOut, event).await.unwrap()
    };
    assert_eq!(revoke(&*store).await, RevokeOutcome::Revoked);
    assert_eq!(revoke(&*store).await, RevokeOutcome::NotOpen);
    drop(store);
    let store = test.open().await;
    assert_eq!(rotate(&*store, opened.rotation(0, 2)).await, RotateOutcome::Refused(Refusal::Revoked));
    assert_eq!(test.query::<i64>("select count(*) from audit_events where action = 'session_revoked'"), 1);
}

/// 64 callers with one token, 50 rounds: one rotates, the others are answered the same.
/// At a time at which it must have been refreshed within the last 50 seconds.
fn at_least_every_50(seconds: i64) -> LiveAt {
    LiveAt { refreshed_after: after(seconds - 50), ..live_at(seconds) }
}

#[rstest]
#[tokio::test]
async fn a_session_that_waits_too_long_for_a_refresh_is_over(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let refresh = async |generation, seconds| {
        let rotation = Rotation { at: at_least_every_50(seconds), ..opened.rotation(generation, seconds) };
        rotate(&*store, rotation).await
    };
    assert_eq!(refresh(0, 49).await, RotateOutcome::Rotated(opened.live()));
    assert!(store.find_session(opened.session_id, at_least_every_50(98)).await.unwrap().is_some());
    assert!(store.find_session(opened.session_id, at_least_every_50(99)).await.unwrap().is_none());
    assert!(store.sessions_of(opened.user_id, at_least_every_50(99)).await.unwrap().is_empty());
    assert_eq!(refresh(1, 99).await, RotateOutcome::Refused(Refusal::Expired));
    assert_eq!(refresh(0, 99).await, RotateOutcome::Refused(Refusal::Expired), "no alarm: it is over anyway");
    assert_eq!(refresh(1, 98).await, RotateOutcome::Rotated(opened.live()), "nothing was written");
}

#[rstest]
#[tokio::test]
async fn a_session_is_found_while_it_is_alive(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let end = 30 * 24 * 3600;
    let find = async |id, seconds| {
        let session = store.find_session(id, live_at(seconds)).await.unwrap();
        let with_account = store.find_session_account(id, live_at(seconds)).await.unwrap();
        let (same, account) = with_account.unzip();
        assert_eq!(same, session);
        assert_eq!(
            account.flatten().map(|account| account.id),
            session.as_ref().map(|session| session.user_id)
        );
        session
    };
    assert_eq!(find(opened.session_id, 1).await, Some(opened.live()));
    assert_eq!(find(opened.session_id, end - 1).await, Some(opened.live()));
    assert_eq!(find(opened.session_id, end).await, None, "at its end");
    assert_eq!(find(SessionId::new(start()), 1).await, None);
    test.execute("update users set active = false");
    assert_eq!(find(opened.session_id, 1).await, None, "of a disabled user");
    assert!(store.sessions_of(opened.user_id, live_at(1)).await.unwrap().is_empty());
    test.execute("update users set active = true");
    let event = event(AuditAction::UserLoggedOut, after(2));
    store.revoke_session(opened.session_id, None, Revocation::LoggedOut, event).await.unwrap();
    assert_eq!(find(opened.session_id, 3).await, None, "revoked");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_look_at_once_each_finds_their_own(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let mut sessions = Vec::new();
    for name in ["anna", "boris", "clara"] {
        sessions.push(Some(Opened::registered(&*store, name).await));
    }
    sessions.push(None);
    let look = |opened: &Option<Opened>| {
        let (store, opened) = (store.clone(), opened.clone());
        let id = opened.as_ref().map_or_else(|| SessionId::new(start()), |opened| opened.session_id);
        tokio::spawn(async move {
            let (session, account) =
                tokio::join!(store.find_session(id, live_at(1)), store.find_session_account(id, live_at(1)));
            let account = account.unwrap().map(|(_, account)| account.unwrap().id);
            assert_eq!(account, opened.as_ref().map(|opened| opened.user_id));
            assert_eq!(session.unwrap(), opened.map(|opened| opened.live()));
        })
    };
    let looks: Vec<_> = sessions.iter().cycle().take(600).map(look).collect();
    for look in looks {
        look.await.unwrap();
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_after_a_session_has_ended_does_not_find_it(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let id = opened.session_id;
    let ended = Arc::new(AtomicBool::new(false));
    let looks = (0..8).map(|_| {
        let (store, ended) = (store.clone(), ended.clone());
        tokio::spawn(async move {
            loop {
                let has_ended = ended.load(Ordering::SeqCst);
                let found = store.find_session_account(id, live_at(3)).await.unwrap();
                if has_ended {
                    return found.is_some();
                }
            }
        })
    });
    let looks: Vec<_> = looks.collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let event = event(AuditAction::UserLoggedOut, after(2));
    store.revoke_session(id, None, Revocation::LoggedOut, event).await.unwrap();
    ended.store(true, Ordering::SeqCst);
    for look in looks {
        assert!(!look.await.unwrap());
    }
}

#[rstest]
#[tokio::test]
async fn a_users_sessions_are_listed_the_last_refreshed_first(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = Opened::registered(&*store, "anna").await;
    let second = first.log_in(&*store, 1, None).await;
    let ended = first.log_in(&*store, 2, None).await;
    Opened::registered(&*store, "boris").await;
    let event = event(AuditAction::UserLoggedOut, after(3));
    store.revoke_session(ended.session_id, None, Revocation::LoggedOut, event).await.unwrap();
    rotate(&*store, first.rotation(0, 4)).await;
    let listed = store.sessions_of(first.user_id, live_at(5)).await.unwrap();
    let expected = SessionRecord {
        id: first.session_id,
        created_at: start(),
        refreshed_at: after(4),
        expires_at: session().expires_at,
        client: client(),
        methods: vec![AuthenticationMethod::Password],
    };
    let other = SessionRecord {
        id: second.session_id,
        created_at: after(1),
        refreshed_at: after(1),
        ..expected.clone()
    };
    assert_eq!(listed, [expected, other]);
    assert!(store.sessions_of(UserId::new(start()), live_at(5)).await.unwrap().is_empty());
}

async fn ids_of(store: &dyn Store, user_id: UserId, seconds: i64) -> Vec<SessionId> {
    let sessions = store.sessions_of(user_id, live_at(seconds)).await.unwrap();
    sessions.into_iter().map(|session| session.id).collect()
}

#[rstest]
#[tokio::test]
async fn of_too_many_sessions_those_end_that_were_refreshed_the_longest_ago(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = Opened::registered(&*store, "anna").await;
    let second = first.log_in(&*store, 1, Some(3)).await;
    let third = first.log_in(&*store, 2, Some(3)).await;
    let boris = Opened::registered(&*store, "boris").await;
    rotate(&*store, first.rotation(0, 3)).await;
    let fourth = first.log_in(&*store, 4, Some(3)).await;
    let kept = [fourth.session_id, first.session_id, third.session_id];
    assert_eq!(ids_of(&*store, first.user_id, 5).await, kept);
    assert_eq!(rotate(&*store, second.rotation(0, 5)).await, RotateOutcome::Refused(Refusal::Revoked));

    // A lower limit holds at the next login; and the one that logs in stays, whatever the limit.
    let fifth = first.log_in(&*store, 6, Some(1)).await;
    assert_eq!(ids_of(&*store, first.user_id, 7).await, [fifth.session_id]);
    assert_eq!(ids_of(&*store, boris.user_id, 7).await, [boris.session_id], "a limit for each user");

    assert_eq!(test.query::<i64>("select count(*) from sessions where revoked_why = 'evicted'"), 4);
    let query =
        AuditQuery { actions: vec!["session_evicted".to_owned()], limit: 10, ..AuditQuery::default() };
    let events = store.audit_events(&query).await.unwrap();
    let evicted: Vec<_> = events.iter().filter_map(|event| event.session_id).collect();
    assert_eq!((evicted.len(), evicted[0]), (4, second.session_id));
    assert_eq!((events[0].at, events[0].actor.as_str()), (after(4), "ostiary"));
    assert_eq!((events[0].user_id, events[0].address), (Some(first.user_id), None));
    let listed = store.revocations(start()).await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[0].revoked_at), (4, second.session_id, after(4)));
}

#[rstest]
#[tokio::test]
async fn sessions_that_are_over_do_not_count(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = Opened::registered(&*store, "anna").await;
    let ended = first.log_in(&*store, 1, None).await;
    let logged_out = event(AuditAction::UserLoggedOut, after(2));
    store.revoke_session(ended.session_id, None, Revocation::LoggedOut, logged_out).await.unwrap();
    let short = NewSession { expires_at: after(4), ..session() };
    let logged_in = event(AuditAction::UserLoggedIn, after(3));
    store.open_session(opening(first.user_id, short, None), logged_in).await.unwrap();
    let last = first.log_in(&*store, 5, Some(2)).await;
    assert_eq!(ids_of(&*store, first.user_id, 6).await, [last.session_id, first.session_id]);
    assert_eq!(test.query::<i64>("select count(*) from sessions where revoked_why = 'evicted'"), 0);
}

/// On two nodes, where there can be two; somebody looks on all the while.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_16_logins_at_once_there_are_never_more_sessions_than_may_be(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    const MOST: u32 = 3;
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let other = if on == On::Sqlite { store.clone() } else { test.open().await };
    let is_done = Arc::new(AtomicBool::new(false));
    let looking_on = {
        let (store, is_done) = (store.clone(), is_done.clone());
        tokio::spawn(async move {
            let mut most = 0;
            while !is_done.load(Ordering::Relaxed) {
                most = most.max(ids_of(&*store, opened.user_id, 100).await.len());
            }
            most
        })
    };
    for round in 0..10 {
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..16 {
            let (store, opened) =
                (if racer % 2 == 0 { store.clone() } else { other.clone() }, opened.clone());
            racers.spawn(async move { opened.log_in(&*store, round, Some(MOST)).await });
        }
        assert_eq!(racers.join_all().await.len(), 16);
        assert_eq!(ids_of(&*store, opened.user_id, 100).await.len(), 3);
    }
    is_done.store(true, Ordering::Relaxed);
    assert_eq!(looking_on.await.unwrap(), 3);
    let ended = "select count(*) from sessions where revoked_why = 'evicted'";
    assert_eq!(test.query::<i64>(ended), 1 + 160 - 3);
    assert_eq!(test.query::<i64>("select count(*) from revocations"), 1 + 160 - 3);
    let events = "select count(*) from audit_events where action = 'session_evicted'";
    assert_eq!(test.query::<i64>(events), 1 + 160 - 3);
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
