use ostiary_core::{
    audit::AuditAction,
    contact::ContactKind,
    password::PasswordHash,
    store::{OpenOutcome, RegisterOutcome},
};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, account, event, opening, rules, session, start};

#[rstest]
#[tokio::test]
async fn an_account_is_found_by_each_of_its_contacts(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let account = account("anna");
    let session = session();
    let registered =
        store.register(account.clone(), session, event(AuditAction::UserRegistered, start())).await;
    assert_eq!(registered.unwrap(), RegisterOutcome::Registered(account.id));
    for contact in &account.contacts {
        let found = store.find_credentials(contact).await.unwrap().unwrap();
        assert_eq!(found.user_id, account.id);
        assert_eq!(found.password_hash.unwrap(), account.password_hash);
    }
    let unknown = rules().username("boris").unwrap();
    assert!(store.find_credentials(&unknown).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_taken_contact_is_named_and_nothing_is_left_behind(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let first = account("anna");
    let register = async |account: ostiary_core::store::NewAccount| {
        let session = session();
        store.register(account, session, event(AuditAction::UserRegistered, start())).await.unwrap()
    };
    assert_eq!(register(first.clone()).await, RegisterOutcome::Registered(first.id));
    for (kind, place) in [(ContactKind::SecondLogin, 0), (ContactKind::Phone, 1), (ContactKind::Email, 2)] {
        let mut second = account("boris");
        second.contacts[place] = first.contacts[place].clone();
        assert_eq!(register(second).await, RegisterOutcome::ContactTaken(kind));
    }
    let mut all = account("boris");
    all.contacts = first.contacts.clone();
    assert_eq!(
        register(all).await,
        RegisterOutcome::ContactTaken(ContactKind::SecondLogin),
        "the first is named"
    );
    let mut unknown_group = account("boris");
    unknown_group.groups.push("nope".to_owned());
    assert_eq!(register(unknown_group).await, RegisterOutcome::GroupNotFound("nope".to_owned()));

    for (table, rows) in
        [("users", 1), ("contacts", 3), ("memberships", 1), ("sessions", 1), ("audit_events", 1)]
    {
        assert_eq!(test.query::<i64>(&format!("select count(*) from {table}")), rows, "{table}");
    }
    assert!(matches!(register(account("boris")).await, RegisterOutcome::Registered(_)));
}

#[rstest]
#[tokio::test]
async fn a_profile_is_kept_as_it_was_given(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    Opened::registered(&*store, "anna").await;
    let profile: serde_json::Value =
        serde_json::from_str(&test.query::<String>("select profile from users")).unwrap();
    assert_eq!(profile, serde_json::json!({"first_name": "Anna", "tags": [1, null, "ü"]}));
}

#[rstest]
#[tokio::test]
async fn of_fifty_registrations_of_one_contact_at_once_one_succeeds(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        racers.spawn(async move {
            let account = account("anna");
            let session = session();
            store.register(account, session, event(AuditAction::UserRegistered, start())).await.unwrap()
        });
    }
    let outcomes = racers.join_all().await;
    let registered =
        outcomes.iter().filter(|outcome| matches!(outcome, RegisterOutcome::Registered(_))).count();
    let taken = RegisterOutcome::ContactTaken(ContactKind::SecondLogin);
    assert_eq!((registered, outcomes.iter().filter(|outcome| **outcome == taken).count()), (1, 49));
    assert_eq!(test.query::<i64>("select count(*) from users"), 1);
    assert_eq!(test.query::<i64>("select count(*) from sessions"), 1);
}

#[rstest]
#[tokio::test]
async fn a_password_hash_is_replaced_once(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let old = PasswordHash::from_stored("$argon2id$first".to_owned());
    let new = PasswordHash::from_stored("$argon2id$second".to_owned());
    assert!(store.replace_password_hash(opened.user_id, &old, &new).await.unwrap());
    assert!(!store.replace_password_hash(opened.user_id, &old, &new).await.unwrap());
    let found = store.find_credentials(&rules().username("anna").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.password_hash, Some(new));
}

#[rstest]
#[tokio::test]
async fn a_disabled_user_is_not_found_and_gets_no_session(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    test.execute("update users set active = false");
    assert!(store.find_credentials(&rules().username("anna").unwrap()).await.unwrap().is_none());
    let outcome = store
        .open_session(opening(opened.user_id, session(), None), event(AuditAction::UserLoggedIn, start()))
        .await;
    assert_eq!(outcome.unwrap(), OpenOutcome::NoSuchUser);
}

#[rstest]
#[tokio::test]
async fn a_user_without_a_password_is_found_without_one(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    Opened::registered(&*store, "anna").await;
    test.execute("update users set password_hash = null");
    let found = store.find_credentials(&rules().username("anna").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.password_hash, None);
}
