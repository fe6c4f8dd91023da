use ostiary_core::{
    audit::AuditAction,
    id::NodeId,
    keys::{KeyId, SigningAlgorithm},
    store::{Job, Leftover, NewSession, Revocation, Store, StoredSigningKey},
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, after, event, opening, session, start};

#[rstest]
#[tokio::test]
async fn a_job_is_one_nodes_until_its_time_is_over(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let (first, second) = (NodeId::new(start()), NodeId::new(start()));
    let lease =
        async |node, now, until| store.lease(Job::Cleanup, node, after(now), after(until)).await.unwrap();
    assert!(lease(first, 0, 10).await);
    assert!(!lease(second, 1, 11).await);
    assert!(lease(first, 2, 12).await, "it goes on");
    assert!(!lease(second, 11, 21).await);
    assert!(lease(second, 12, 22).await);
    assert!(!lease(first, 13, 23).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_nodes_that_want_a_job_at_once_one_gets_it(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    for round in 0..10 {
        let mut nodes = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let store = store.clone();
            nodes.spawn(async move {
                let (now, until) = (after(round * 10), after(round * 10 + 10));
                store.lease(Job::Cleanup, NodeId::new(now), now, until).await.unwrap()
            });
        }
        let leased = nodes.join_all().await.into_iter().filter(|is_leased| *is_leased).count();
        assert_eq!(leased, 1, "round {round}");
    }
}

/// Sessions that end after as many seconds as their place in the order.
async fn open_sessions(store: &dyn Store, count: i64) -> Opened {
    let opened = Opened::registered(store, "anna").await;
    for seconds in 0..count {
        let session = NewSession { expires_at: after(seconds), ..session() };
        let event = event(AuditAction::UserLoggedIn, start());
        store.open_session(opening(opened.user_id, session, None), event).await.unwrap();
    }
    opened
}

#[rstest]
#[tokio::test]
async fn sessions_are_deleted_some_at_a_time_once_they_are_over(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    open_sessions(&*store, 10).await;
    let delete = async |before, limit| {
        store.delete_leftovers(Leftover::ExpiredSessions, after(before), limit).await.unwrap()
    };
    assert_eq!(delete(0, 100).await, 0);
    assert_eq!(delete(7, 3).await, 3);
    assert_eq!(delete(7, 100).await, 4);
    assert_eq!(delete(7, 100).await, 0);
    assert_eq!(test.query::<i64>("select count(*) from sessions"), 4);
    assert_eq!(test.query::<i64>("select count(*) from audit_events"), 11, "events stay");
}

#[rstest]
#[tokio::test]
async fn revocations_are_deleted_some_at_a_time_once_nobody_needs_them(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    for seconds in 1..=5 {
        let session = opened.log_in(&*store, 0, None).await;
        let event = event(AuditAction::UserLoggedOut, after(seconds));
        store.revoke_session(session.session_id, None, Revocation::LoggedOut, event).await.unwrap();
    }
    let delete = async |before, limit| {
        store.delete_leftovers(Leftover::Revocations, after(before), limit).await.unwrap()
    };
    assert_eq!(delete(1, 100).await, 0);
    assert_eq!(delete(4, 2).await, 2);
    assert_eq!(delete(4, 2).await, 1);
    let left: Vec<_> = store.revocations(start()).await.unwrap();
    assert_eq!(left.iter().map(|session| session.revoked_at).collect::<Vec<_>>(), [after(4), after(5)]);
    assert_eq!(test.query::<i64>("select count(*) from sessions"), 6, "sessions stay until their end");
}

#[rstest]
#[tokio::test]
async fn refresh_tokens_of_the_replaced_service_are_deleted_once_they_are_good_no_more(
    #[values(On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    test.execute(
        "insert into refresh_tokens (token_hash, user_id, expires_at, used_at)
         select token, gen_random_uuid(), expires_at::timestamptz, used_at::timestamptz
         from (values ('good', '2099-01-01 UTC', null), ('spent', '2099-01-01 UTC', '2026-11-01 UTC'),
                   ('spent now', '2099-01-01 UTC', '2026-11-22 12:00 UTC'), ('expired', '2026-11-01 UTC', null))
             as given (token, expires_at, used_at)",
    );
    let delete = async |limit| store.delete_leftovers(Leftover::ForeignTokens, start(), limit).await.unwrap();
    assert_eq!(delete(1).await, 1);
    assert_eq!(delete(100).await, 1);
    assert_eq!(delete(100).await, 0);
    let left = "select string_agg(token_hash, ', ' order by token_hash) from refresh_tokens";
    assert_eq!(test.query::<String>(left), "good, spent now");
}

/// Two at once, which is not to be, do no harm.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_delete_at_once_each_deletes_something_else(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    open_sessions(&*store, 200).await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        nodes.spawn(async move {
            let mut deleted = 0;
            for _ in 0..8 {
                let kind = Leftover::ExpiredSessions;
                deleted += store.delete_leftovers(kind, after(1000), 10).await.unwrap();
            }
            deleted
        });
    }
    let deleted: u32 = nodes.join_all().await.into_iter().sum();
    let left = test.query::<i64>("select count(*) from sessions");
    assert_eq!((i64::from(deleted) + left, left), (201, 1));
}

/// A key that was withdrawn is not to be trusted again because nobody remembers it, and the newest is not to go while
/// nobody signs.
#[rstest]
#[tokio::test]
async fn keys_go_that_were_followed_by_others_but_for_those_that_were_withdrawn(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    for generation in 1..=3 {
        let key = StoredSigningKey {
            id: KeyId::from_stored(format!("key {generation}")),
            algorithm: SigningAlgorithm::EdDsa,
            generation,
            public_key: Vec::new(),
            sealed_private_key: Vec::new(),
            created_at: start(),
            activates_at: start(),
            expires_at: after(10),
            retired_at: None,
        };
        let created = event(AuditAction::SigningKeyCreated, start());
        assert!(store.add_signing_key(key, created).await.unwrap());
    }
    let withdrawn = KeyId::from_stored("key 2".to_owned());
    let retired = event(AuditAction::SigningKeyRetired, after(1));
    assert!(store.retire_signing_key(&withdrawn, retired).await.unwrap());
    assert_eq!(store.delete_leftovers(Leftover::ExpiredKeys, after(10), 100).await.unwrap(), 0, "at its end");
    assert_eq!(store.delete_leftovers(Leftover::ExpiredKeys, after(11), 100).await.unwrap(), 1);
    let left: Vec<_> = store.signing_keys().await.unwrap().into_iter().map(|key| key.generation).collect();
    assert_eq!(left, [2, 3]);
}
