//! Refresh tokens of the replaced service, on a directory of Ostiary's own.

use ostiary_core::{
    audit::AuditAction,
    password::PasswordHash,
    refresh_token::ForeignToken,
    store::{
        AuditQuery, Change, ExchangeOutcome, LiveSession, PasswordChange, RecordedEvent, Revocation,
        RevokeOutcome, Store,
    },
};
use rstest::rstest;

use crate::support::{
    On, Opened, TestStore, after, event, exchange, foreign_token, in_its_place, live_at, start,
};

/// What the replaced service keeps of a token that it issues.
fn issue(test: &TestStore, opened: &Opened, token: &ForeignToken) {
    let (user_id, hash) = (opened.user_id, token.hash());
    test.execute(&format!("select create_refresh_token('{user_id}', '{}', '2099-01-01')", hash.as_str()));
}

async fn log_out(store: &dyn Store, token: &ForeignToken, seconds: i64) -> RevokeOutcome {
    let event = event(AuditAction::UserLoggedOut, after(seconds));
    store.revoke_foreign_token(token.hash(), in_its_place(token).session_id, event).await.unwrap()
}

async fn events(store: &dyn Store, action: &str) -> Vec<RecordedEvent> {
    let query = AuditQuery { actions: vec![action.to_owned()], limit: 100, ..AuditQuery::default() };
    store.audit_events(&query).await.unwrap()
}

/// The session that takes the place of `token`, opened so many seconds after the start.
fn session_of(opened: &Opened, token: &ForeignToken, seconds: i64) -> LiveSession {
    LiveSession { id: in_its_place(token).session_id, created_at: after(seconds), ..opened.live() }
}

#[rstest]
#[tokio::test]
async fn a_token_is_exchanged_for_one_session(#[values(On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let token = foreign_token('a');
    issue(&test, &opened, &token);
    let session = session_of(&opened, &token, 1);
    assert_eq!(exchange(&*store, &token, 1, None).await, ExchangeOutcome::Opened(session.clone()));
    assert_eq!(exchange(&*store, &token, 11, None).await, ExchangeOutcome::Repeated(session.clone()));
    assert_eq!(exchange(&*store, &token, 12, None).await, ExchangeOutcome::Reused(opened.user_id));
    assert_eq!(exchange(&*store, &token, 13, None).await, ExchangeOutcome::Refused);
    assert_eq!(exchange(&*store, &foreign_token('b'), 13, None).await, ExchangeOutcome::Refused);
    let listed = store.revocations(start()).await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[0].revoked_at), (1, session.id, after(12)));
    for (action, actor) in [("refresh_token_exchanged", "user"), ("refresh_token_reused", "anyone")] {
        let [event] = &events(&*store, action).await[..] else { panic!("one event") };
        assert_eq!((event.actor.as_str(), event.session_id), (actor, Some(session.id)));
    }
}

#[rstest]
#[tokio::test]
async fn an_exchange_ends_sessions_that_are_too_many(#[values(On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = Opened::registered(&*store, "anna").await;
    let second = first.log_in(&*store, 1, None).await;
    let token = foreign_token('a');
    issue(&test, &first, &token);
    let session = session_of(&first, &token, 2);
    assert_eq!(exchange(&*store, &token, 2, Some(2)).await, ExchangeOutcome::Opened(session.clone()));
    assert_eq!(exchange(&*store, &token, 3, Some(1)).await, ExchangeOutcome::Repeated(session.clone()));
    let alive = store.sessions_of(first.user_id, live_at(4)).await.unwrap();
    assert_eq!(alive.iter().map(|session| session.id).collect::<Vec<_>>(), [session.id, second.session_id]);
    let [event] = &events(&*store, "session_evicted").await[..] else { panic!("one event") };
    assert_eq!((event.session_id, event.at), (Some(first.session_id), after(2)));
}

#[rstest]
#[tokio::test]
async fn a_logout_spends_the_token_or_ends_the_session_in_its_place(
    #[values(On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let (unused, exchanged, unknown) = (foreign_token('a'), foreign_token('b'), foreign_token('c'));
    issue(&test, &opened, &unused);
    issue(&test, &opened, &exchanged);
    assert_eq!(log_out(&*store, &unused, 1).await, RevokeOutcome::Revoked);
    assert_eq!(log_out(&*store, &unused, 2).await, RevokeOutcome::NotOpen);
    assert_eq!(exchange(&*store, &unused, 3, None).await, ExchangeOutcome::Refused);

    exchange(&*store, &exchanged, 4, None).await;
    let session = session_of(&opened, &exchanged, 4);
    assert_eq!(log_out(&*store, &exchanged, 5).await, RevokeOutcome::Revoked);
    assert_eq!(log_out(&*store, &exchanged, 6).await, RevokeOutcome::NotOpen);
    assert_eq!(log_out(&*store, &unknown, 6).await, RevokeOutcome::NotOpen);
    assert_eq!(store.find_session(session.id, live_at(6)).await.unwrap(), None);
    assert_eq!(store.revocations(start()).await.unwrap()[0].id, session.id);

    let told = events(&*store, "user_logged_out").await;
    let about: Vec<_> = told.iter().map(|event| (event.user_id.unwrap(), event.session_id)).collect();
    assert_eq!(about, [(opened.user_id, None), (opened.user_id, Some(session.id))]);
}

#[rstest]
#[tokio::test]
async fn tokens_are_void_once_all_sessions_of_their_user_end(#[values(On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let (anna, boris) =
        (Opened::registered(&*store, "anna").await, Opened::registered(&*store, "boris").await);
    let kept = foreign_token('z');
    issue(&test, &boris, &kept);
    issue(&test, &anna, &foreign_token('a'));
    let everywhere = anna.event(AuditAction::UserLoggedOutEverywhere, 1);
    store.revoke_sessions_of(anna.user_id, Revocation::LoggedOut, everywhere).await.unwrap();
    assert_eq!(exchange(&*store, &foreign_token('a'), 2, None).await, ExchangeOutcome::Refused);

    issue(&test, &anna, &foreign_token('b'));
    let hash = |text: &str| PasswordHash::from_stored(text.to_owned());
    let change = PasswordChange {
        user_id: anna.user_id,
        seen: hash("$argon2id$first"),
        new: hash("$argon2id$second"),
    };
    let changed = anna.event(AuditAction::PasswordChanged, 3);
    assert_eq!(store.change_password(change, changed).await.unwrap(), Change::Made);
    assert_eq!(exchange(&*store, &foreign_token('b'), 4, None).await, ExchangeOutcome::Refused);

    issue(&test, &anna, &foreign_token('c'));
    assert!(store.delete_account(anna.user_id, anna.event(AuditAction::UserDeleted, 5)).await.unwrap());
    assert_eq!(exchange(&*store, &foreign_token('c'), 6, None).await, ExchangeOutcome::Refused);
    assert_eq!(test.query::<i64>("select count(*) from refresh_tokens"), 1, "boris's");
    let opened = exchange(&*store, &kept, 7, None).await;
    assert_eq!(opened, ExchangeOutcome::Opened(session_of(&boris, &kept, 7)));
}

/// Whichever is first: who has logged out is logged out.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_and_a_logout_at_once_leave_no_session(#[values(On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    for seed in 'a'..='t' {
        let token = foreign_token(seed);
        issue(&test, &opened, &token);
        let exchanging = {
            let (store, token) = (store.clone(), token.clone());
            tokio::spawn(async move { exchange(&*store, &token, 1, None).await })
        };
        log_out(&*store, &token, 2).await;
        exchanging.await.unwrap();
        assert_eq!(exchange(&*store, &token, 3, None).await, ExchangeOutcome::Refused, "{seed}");
    }
    let alive = store.sessions_of(opened.user_id, live_at(4)).await.unwrap();
    assert_eq!(alive.len(), 1, "the one that was registered with");
}

/// A password that is changed while a token is exchanged: whichever is first, neither waits for the other in a
/// circle, and no session of before is left.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_and_a_changed_password_at_once_do_not_block_each_other(
    #[values(On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let hash = |number: u32| PasswordHash::from_stored(format!("$argon2id${number}"));
    test.execute("update users set password_hash = '$argon2id$0'");
    for (seed, number) in ('a'..='t').zip(0..) {
        let token = foreign_token(seed);
        issue(&test, &opened, &token);
        let exchanging = {
            let store = store.clone();
            tokio::spawn(async move { exchange(&*store, &token, 1, Some(9)).await })
        };
        let change = PasswordChange { user_id: opened.user_id, seen: hash(number), new: hash(number + 1) };
        let changed = opened.event(AuditAction::PasswordChanged, 2);
        assert_eq!(store.change_password(change, changed).await.unwrap(), Change::Made);
        exchanging.await.unwrap();
        let alive = store.sessions_of(opened.user_id, live_at(3)).await.unwrap();
        assert_eq!(alive.len(), 1, "the one that the password was changed in");
    }
    // A connection reports what has happened to it at the latest when it ends.
    let end_all = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
    test.query::<i64>(end_all);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(test.query::<i64>(deadlocks), 0);
}
