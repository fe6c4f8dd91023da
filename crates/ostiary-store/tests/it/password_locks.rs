//! Passwords that are shut after too many failures.

use ostiary_core::{
    audit::AuditAction,
    id::UserId,
    password::PasswordHash,
    store::{AuditQuery, Change, PasswordChange, PasswordLock, Store},
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, account, after, event, session, start};

async fn lock_of(store: &dyn Store, user_id: UserId) -> PasswordLock {
    store.credentials_of(user_id).await.unwrap().unwrap().lock
}

async fn lock(store: &dyn Store, user_id: UserId, seconds: i64) -> bool {
    store.lock_password(user_id, event(AuditAction::PasswordLocked, after(seconds))).await.unwrap()
}

async fn unlock(store: &dyn Store, user_id: UserId, seconds: i64) -> bool {
    store.unlock_password(user_id, event(AuditAction::PasswordUnlocked, after(seconds))).await.unwrap()
}

async fn events(store: &dyn Store, user_id: UserId) -> Vec<String> {
    let actions = ["password_locked", "password_unlocked"].map(str::to_owned).to_vec();
    let query = AuditQuery { user_id: Some(user_id), actions, limit: 100, ..AuditQuery::default() };
    store.audit_events(&query).await.unwrap().into_iter().map(|event| event.action).collect()
}

#[rstest]
#[tokio::test]
async fn a_password_is_locked_once_and_unlocked_with_what_came_before(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let account = account("anna");
    let registered = event(AuditAction::UserRegistered, start());
    store.register(account.clone(), session(), registered).await.unwrap();
    let boris = Opened::registered(&*store, "boris").await.user_id;
    let id = account.id;

    assert_eq!(lock_of(&*store, id).await, PasswordLock::default());
    assert!(lock(&*store, id, 1).await);
    assert!(!lock(&*store, id, 2).await, "it is locked already");
    let locked = PasswordLock { locked_at: Some(after(1)), unlocked_at: None };
    assert_eq!(lock_of(&*store, id).await, locked);
    let found = store.find_credentials(&account.contacts[0]).await.unwrap().unwrap();
    assert_eq!((found.user_id, found.lock), (id, locked));

    assert!(unlock(&*store, id, 3).await);
    assert!(!unlock(&*store, id, 4).await, "it is open already");
    let unlocked = PasswordLock { locked_at: None, unlocked_at: Some(after(4)) };
    assert_eq!(lock_of(&*store, id).await, unlocked);
    assert!(lock(&*store, id, 5).await);
    let again = PasswordLock { locked_at: Some(after(5)), ..unlocked };
    assert_eq!(lock_of(&*store, id).await, again);

    let expected =
        ["password_locked", "password_unlocked", "password_unlocked", "password_locked"].map(str::to_owned);
    assert_eq!(events(&*store, id).await, expected);
    assert_eq!(lock_of(&*store, boris).await, PasswordLock::default());
    assert!(events(&*store, boris).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_changed_password_is_open_and_a_deleted_account_leaves_no_lock(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let change = async |seen: &str, new: &str, seconds| {
        let hash = |text: &str| PasswordHash::from_stored(text.to_owned());
        let change = PasswordChange { user_id: opened.user_id, seen: hash(seen), new: hash(new) };
        let event = opened.event(AuditAction::PasswordChanged, seconds);
        store.change_password(change, event).await.unwrap()
    };
    // Of a password that was never shut, the failures before do not count either.
    assert_eq!(change("$argon2id$first", "$argon2id$second", 1).await, Change::Made);
    let open = |seconds| PasswordLock { locked_at: None, unlocked_at: Some(after(seconds)) };
    assert_eq!(lock_of(&*store, opened.user_id).await, open(1));
    lock(&*store, opened.user_id, 2).await;
    assert_eq!(change("$argon2id$first", "$argon2id$third", 3).await, Change::Stale);
    assert!(lock_of(&*store, opened.user_id).await.locked_at.is_some(), "nothing was changed");
    assert_eq!(change("$argon2id$second", "$argon2id$third", 4).await, Change::Made);
    assert_eq!(lock_of(&*store, opened.user_id).await, open(4));

    let deleted = opened.event(AuditAction::UserDeleted, 5);
    assert!(store.delete_account(opened.user_id, deleted).await.unwrap());
    assert_eq!(test.query::<i64>("select count(*) from password_locks"), 0);
}
