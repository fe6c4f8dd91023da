//! A password that is changed while somebody logs in with the former one.

use ostiary_core::{
    audit::AuditAction,
    password::PasswordHash,
    store::{Change, OpenOutcome, Opening, PasswordChange},
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, after, event, live_at, opening, session};

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

#[rstest]
#[tokio::test]
async fn whoever_has_given_the_former_password_is_not_let_in(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let change = PasswordChange {
        user_id: opened.user_id,
        seen: hash("$argon2id$first"),
        new: hash("$argon2id$second"),
    };
    let changed = store.change_password(change, opened.event(AuditAction::PasswordChanged, 1)).await;
    assert_eq!(changed.unwrap(), Change::Made);
    let log_in = async |seen: Option<PasswordHash>| {
        let opening = Opening { seen, ..opening(opened.user_id, session(), None) };
        store.open_session(opening, event(AuditAction::UserLoggedIn, after(2))).await.unwrap()
    };
    assert_eq!(log_in(Some(hash("$argon2id$first"))).await, OpenOutcome::NoSuchUser);
    assert_eq!(log_in(None).await, OpenOutcome::NoSuchUser);
    assert_eq!(log_in(Some(hash("$argon2id$second"))).await, OpenOutcome::Opened);
}

/// Logins that have compared the former password, and its change, at once: whichever is first, none of their
/// sessions is left.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_opened_while_the_password_is_changed_does_not_outlive_the_change(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    // On PostgreSQL as on two nodes; an embedded database has one.
    let other = if on == On::Sqlite { store.clone() } else { test.open().await };
    for round in 0..50 {
        let opened = Opened::registered(&*store, &format!("user{round}")).await;
        let mut logins = tokio::task::JoinSet::new();
        for racer in 0..16 {
            let node = if racer % 2 == 0 { store.clone() } else { other.clone() };
            let opening = opening(opened.user_id, session(), None);
            // Half of them wait for each other.
            let opening = Opening { others_follow: racer % 4 < 2, ..opening };
            logins.spawn(async move {
                node.open_session(opening, event(AuditAction::UserLoggedIn, after(1))).await.unwrap()
            });
        }
        let seen = hash("$argon2id$first");
        let change = PasswordChange { user_id: opened.user_id, seen, new: hash("$argon2id$second") };
        let changed = other.change_password(change, opened.event(AuditAction::PasswordChanged, 1)).await;
        assert_eq!(changed.unwrap(), Change::Made);
        logins.join_all().await;
        let alive: Vec<_> = store.sessions_of(opened.user_id, live_at(2)).await.unwrap();
        let alive: Vec<_> = alive.into_iter().map(|session| session.id).collect();
        assert_eq!(alive, [opened.session_id], "round {round}");
    }
}
