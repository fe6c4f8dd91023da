use std::sync::Arc;

use ostiary_core::{
    access::Caller,
    audit::AuditAction,
    clock::ManualClock,
    contact::ContactKind,
    id::UserId,
    password::PasswordHash,
    profile::MergePatch,
    store::{
        Account, AuditQuery, Change, OpenOutcome, PasswordChange, RecordedEvent, RegisterOutcome, Store,
    },
};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::support::{
    On, Opened, TestStore, account, after, client, event, live_at, opening, ostiary, rules, session, start,
};

async fn account_of(store: &dyn Store, opened: &Opened) -> Account {
    store.find_account(opened.user_id).await.unwrap().unwrap()
}

async fn password_of(store: &dyn Store, user_id: UserId) -> Option<PasswordHash> {
    store.credentials_of(user_id).await.unwrap().and_then(|credentials| credentials.password_hash)
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

fn object(value: &Value) -> Option<Map<String, Value>> {
    value.as_object().cloned()
}

async fn events(store: &dyn Store, action: &str) -> Vec<RecordedEvent> {
    let query = AuditQuery { actions: vec![action.to_owned()], limit: 100, ..AuditQuery::default() };
    store.audit_events(&query).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_user_sees_their_account(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let mut account = account("Anna");
    account.groups = vec!["customer".to_owned(), "courier".to_owned()];
    account.contacts.reverse();
    let registered = event(AuditAction::UserRegistered, start());
    let session = session();
    store.register(account.clone(), session.clone(), registered).await.unwrap();
    test.execute(match on {
        On::Sqlite => "update contacts set verified_at = 1 where kind = 'email'",
        On::Postgres | On::PgBouncer => "update contacts set verified_at = now() where kind = 'email'",
    });
    let found = store.find_account(account.id).await.unwrap().unwrap();
    let with_session = store.find_session_account(session.id, live_at(1)).await.unwrap();
    assert_eq!(with_session.unwrap().1.as_ref(), Some(&found));
    let contacts: Vec<_> = found
        .contacts
        .iter()
        .map(|contact| (contact.kind, contact.value.as_str(), contact.typed.as_str(), contact.is_verified))
        .collect();
    let phone = account.contacts[1].canonical().value();
    let expected = [
        (ContactKind::SecondLogin, "anna", "Anna", false),
        (ContactKind::Phone, phone, phone, false),
        (ContactKind::Email, "anna@example.com", "Anna@example.com", true),
    ];
    assert_eq!(contacts, expected);
    assert_eq!(found.groups, ["courier", "customer"]);
    assert_eq!((found.id, found.profile), (account.id, account.profile));
    assert_eq!((found.created_at, found.updated_at), (Some(start()), None));

    assert_eq!(store.find_account(UserId::new(start())).await.unwrap(), None);
    test.execute("update users set active = false");
    assert_eq!(store.find_account(account.id).await.unwrap(), None, "a disabled user");
    assert_eq!(password_of(&*store, account.id).await, None);
}

#[rstest]
#[tokio::test]
async fn a_profile_is_replaced_where_it_is_still_what_was_seen(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    Opened::registered(&*store, "boris").await;
    let replace = async |seen: &Value, new: &Value, seconds| {
        let event = opened.event(AuditAction::ProfileChanged, seconds);
        let (seen, new) = (object(seen), object(new));
        store.replace_profile(opened.user_id, seen, new, event).await.unwrap()
    };
    let first = json!({"first_name": "Anna", "tags": [1, null, "ü"]});
    let second = json!({"b": {"c": [1.50, 12_345_678_901_234_567_890_u64]}, "a": "\"'\\"});
    assert_eq!(replace(&second, &first, 1).await, Change::Stale);
    assert_eq!(replace(&Value::Null, &second, 1).await, Change::Stale);
    assert_eq!(account_of(&*store, &opened).await.updated_at, None);
    assert!(events(&*store, "profile_changed").await.is_empty());

    assert_eq!(replace(&first, &second, 2).await, Change::Made);
    let changed = account_of(&*store, &opened).await;
    assert_eq!((changed.profile.clone(), changed.updated_at), (object(&second), Some(after(2))));
    assert_eq!(replace(&first, &second, 3).await, Change::Stale);
    assert_eq!(replace(&Value::Object(changed.profile.unwrap()), &Value::Null, 4).await, Change::Made);
    assert_eq!(account_of(&*store, &opened).await.profile, None);
    assert_eq!(replace(&Value::Null, &first, 5).await, Change::Made);

    let told: Vec<_> = events(&*store, "profile_changed").await;
    assert_eq!(told.iter().map(|event| event.at).collect::<Vec<_>>(), [after(2), after(4), after(5)]);
    let about = (told[0].user_id, told[0].session_id);
    assert_eq!(about, (Some(opened.user_id), Some(opened.session_id)));
    let profiles = "select count(*) from users where updated_at is not null";
    assert_eq!(test.query::<i64>(profiles), 1, "nobody else's");
}

/// Each changes another member, and none is lost.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_changes_to_a_profile_at_once_none_is_lost(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let rules = Arc::new(ostiary(store.clone(), Arc::new(ManualClock::starting_at(start()))).await);
    let mut patches = tokio::task::JoinSet::new();
    for number in 0..8 {
        let rules = rules.clone();
        let caller = Caller { user_id: opened.user_id, session_id: opened.session_id };
        patches.spawn(async move {
            let patch = MergePatch::Merge(object(&json!({ format!("member{number}"): number })).unwrap());
            rules.patch_profile(&caller, &patch, &client()).await.unwrap()
        });
    }
    patches.join_all().await;
    let profile = account_of(&*store, &opened).await.profile.unwrap();
    assert_eq!(profile.len(), 2 + 8, "{profile:?}");
    assert_eq!(events(&*store, "profile_changed").await.len(), 8);
}

#[rstest]
#[tokio::test]
async fn a_changed_password_ends_the_other_sessions(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let other = opened.log_in(&*store, 1, None).await;
    let boris = Opened::registered(&*store, "boris").await;
    let change = async |seen, new, seconds| {
        let change = PasswordChange { user_id: opened.user_id, seen: hash(seen), new: hash(new) };
        store.change_password(change, opened.event(AuditAction::PasswordChanged, seconds)).await.unwrap()
    };
    assert_eq!(change("$argon2id$other", "$argon2id$second", 2).await, Change::Stale);
    let find = async |opened: &Opened, seconds| {
        store.find_session(opened.session_id, live_at(seconds)).await.unwrap()
    };
    assert!(find(&other, 2).await.is_some(), "nothing was written");
    assert!(events(&*store, "password_changed").await.is_empty());

    assert_eq!(change("$argon2id$first", "$argon2id$second", 3).await, Change::Made);
    assert_eq!(password_of(&*store, opened.user_id).await, Some(hash("$argon2id$second")));
    assert!(find(&opened, 4).await.is_some(), "where it was changed");
    assert!(find(&boris, 4).await.is_some());
    assert!(find(&other, 4).await.is_none());
    let why = "select revoked_why from sessions where revoked_at is not null";
    assert_eq!(test.query::<String>(why), "password_changed");
    let listed = store.revocations(start()).await.unwrap();
    assert_eq!((listed.len(), listed[0].id), (1, other.session_id));
    let [event] = &events(&*store, "password_changed").await[..] else { panic!("one event") };
    assert_eq!((event.user_id, event.session_id), (Some(opened.user_id), Some(opened.session_id)));
}

#[rstest]
#[tokio::test]
async fn a_user_without_a_password_has_none_to_give(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    test.execute("update users set password_hash = null");
    assert_eq!(password_of(&*store, opened.user_id).await, None);
    assert_eq!(password_of(&*store, UserId::new(start())).await, None, "nor has nobody");
}

#[rstest]
#[tokio::test]
async fn of_a_deleted_account_nothing_is_left_but_events_that_do_not_say_where_from(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let other = opened.log_in(&*store, 1, None).await;
    let boris = Opened::registered(&*store, "boris").await;
    let delete = async |opened: &Opened| {
        let mut event = opened.event(AuditAction::UserDeleted, 2);
        event.event.client = ostiary_core::audit::Client::default();
        store.delete_account(opened.user_id, event).await.unwrap()
    };
    assert!(delete(&opened).await);
    assert!(!delete(&opened).await, "once");

    for (table, rows) in [("users", 1), ("contacts", 3), ("memberships", 1), ("sessions", 1)] {
        assert_eq!(test.query::<i64>(&format!("select count(*) from {table}")), rows, "{table}: boris's");
    }
    let mut listed: Vec<_> = store.revocations(start()).await.unwrap().iter().map(|entry| entry.id).collect();
    listed.sort_by_key(ostiary_core::id::SessionId::as_uuid);
    let mut expected = [opened.session_id, other.session_id];
    expected.sort_by_key(ostiary_core::id::SessionId::as_uuid);
    assert_eq!(listed, expected, "their access tokens may be alive");
    assert!(store.find_session(opened.session_id, live_at(3)).await.unwrap().is_none());
    assert_eq!(store.find_account(opened.user_id).await.unwrap(), None);
    assert!(store.find_credentials(&rules().username("anna").unwrap()).await.unwrap().is_none());
    let logged_in = event(AuditAction::UserLoggedIn, after(3));
    let outcome = store.open_session(opening(opened.user_id, session(), None), logged_in).await.unwrap();
    assert_eq!(outcome, OpenOutcome::NoSuchUser);

    let of = async |opened: &Opened| {
        let query = AuditQuery { user_id: Some(opened.user_id), limit: 10, ..AuditQuery::default() };
        store.audit_events(&query).await.unwrap()
    };
    let told: Vec<_> = of(&opened).await.iter().map(|event| event.action.clone()).collect();
    assert_eq!(told, ["user_registered", "user_logged_in", "user_deleted"]);
    assert!(of(&opened).await.iter().all(|event| event.address.is_none() && event.user_agent.is_none()));
    assert!(of(&boris).await.iter().all(|event| event.address.is_some() && event.user_agent.is_some()));

    let again = account("anna");
    let registered = event(AuditAction::UserRegistered, after(4));
    let outcome = store.register(again.clone(), session(), registered).await.unwrap();
    assert_eq!(outcome, RegisterOutcome::Registered(again.id), "the name is free");
}

/// A deletion of which any part fails leaves everything as it was.
#[rstest]
#[tokio::test]
async fn a_change_whose_event_cannot_be_written_is_not_made(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let other = opened.log_in(&*store, 1, None).await;
    test.fail_inserts("audit_events", false);
    let before = account_of(&*store, &opened).await;
    let event = |action| opened.event(action, 2);
    let change = PasswordChange {
        user_id: opened.user_id,
        seen: hash("$argon2id$first"),
        new: hash("$argon2id$second"),
    };
    assert!(store.change_password(change, event(AuditAction::PasswordChanged)).await.is_err());
    let changed = event(AuditAction::ProfileChanged);
    assert!(store.replace_profile(opened.user_id, before.profile.clone(), None, changed).await.is_err());
    assert!(store.delete_account(opened.user_id, event(AuditAction::UserDeleted)).await.is_err());
    test.heal();
    assert_eq!(account_of(&*store, &opened).await, before);
    assert_eq!(password_of(&*store, opened.user_id).await, Some(hash("$argon2id$first")));
    assert!(store.find_session(other.session_id, live_at(3)).await.unwrap().is_some());
    assert!(store.revocations(start()).await.unwrap().is_empty());
}
