//! A directory that somebody else made: the shop of `docs/adopting.md`, by the SQL that stands there.

use ostiary_core::{
    audit::AuditAction,
    contact::ContactKind,
    password::PasswordHash,
    refresh_token::ForeignToken,
    store::{
        Account, Accounts, AuditQuery, AuditTrail, Change, Cleanup, ExchangeOutcome, Leftover,
        PasswordChange, RegisterOutcome, Revocation, RevokeOutcome, Sessions, StoreError,
    },
};
use ostiary_harness::postgres::{Database, shared};
use ostiary_store::postgres::PostgresStore;
use serde_json::json;

use crate::support::{
    Opened, account, after, event, exchange, foreign_token, in_its_place, live_at, open_postgres, session,
    start,
};

const DOCUMENT: &str = include_str!("../../../../docs/adopting.md");

/// The SQL of the document that has something of `markers` in it, in its order.
fn sql_of_the_document(markers: &[&str]) -> String {
    let blocks = DOCUMENT.split("```").filter_map(|block| block.strip_prefix("sql\n"));
    blocks.filter(|block| markers.iter().any(|marker| block.contains(marker))).collect()
}

/// The shop, with each of its functions, in a database that the harness has made, for a role that is there.
fn shop() -> Database {
    let database = shared().database();
    let sql = sql_of_the_document(&["shop.people", "shop.remembered"]);
    let (_, sql) = sql.split_once("\\connect shop\n").unwrap();
    database.sql(&format!("create schema auth; {sql}"));
    database
}

async fn adopted(database: &Database) -> PostgresStore {
    let store = open_postgres(&database.url()).await;
    assert!(store.has_foreign_directory());
    store
}

async fn register(store: &PostgresStore, username: &str) -> Opened {
    let session = session();
    let (session_id, secret_hash) = (session.id, session.secret_hash);
    let registered = event(AuditAction::UserRegistered, start());
    let outcome = store.register(account(username), session, registered).await.unwrap();
    let RegisterOutcome::Registered(user_id) = outcome else { panic!("{outcome:?}") };
    Opened { user_id, session_id, secret_hash }
}

async fn account_of(store: &PostgresStore, opened: &Opened) -> Account {
    store.find_account(opened.user_id).await.unwrap().unwrap()
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

#[tokio::test]
async fn users_of_the_shop_look_after_their_accounts() {
    let database = shop();
    let store = adopted(&database).await;
    let opened = register(&store, "Anton").await;
    let found = account_of(&store, &opened).await;
    let names: Vec<_> = found.contacts.iter().map(|contact| (contact.kind, contact.value.as_str())).collect();
    assert_eq!(names[0], (ContactKind::SecondLogin, "Anton"));
    assert_eq!((names.len(), names[2]), (3, (ContactKind::Email, "anton@example.com")));
    assert!(found.contacts.iter().all(|contact| contact.typed == contact.value && !contact.is_verified));
    assert_eq!((found.groups, found.created_at, found.updated_at), (vec!["customer".to_owned()], None, None));

    let new = json!({"first_name": "Anton"}).as_object().cloned();
    let replace = async |seen| {
        let event = opened.event(AuditAction::ProfileChanged, 1);
        store.replace_profile(opened.user_id, seen, new.clone(), event).await.unwrap()
    };
    assert_eq!(replace(None).await, Change::Stale);
    assert_eq!(replace(found.profile).await, Change::Made);
    assert_eq!(account_of(&store, &opened).await.profile, new);

    let other = opened.log_in(&store, 2, None).await;
    let change = async |seen| {
        let change = PasswordChange { user_id: opened.user_id, seen: hash(seen), new: hash("$2b$second") };
        store.change_password(change, opened.event(AuditAction::PasswordChanged, 3)).await.unwrap()
    };
    assert_eq!(change("$2b$other").await, Change::Stale);
    assert_eq!(change("$argon2id$first").await, Change::Made);
    let kept = store.credentials_of(opened.user_id).await.unwrap().unwrap();
    assert_eq!(kept.password_hash, Some(hash("$2b$second")));
    assert_eq!(store.find_session(opened.session_id, live_at(4)).await.unwrap(), Some(opened.live()));
    let both = store.find_session_account(opened.session_id, live_at(4)).await.unwrap();
    assert_eq!(both, Some((opened.live(), Some(account_of(&store, &opened).await))));
    assert_eq!(store.find_session_account(other.session_id, live_at(4)).await.unwrap(), None);
    assert_eq!(store.find_session(other.session_id, live_at(4)).await.unwrap(), None);

    let delete = async || {
        store.delete_account(opened.user_id, opened.event(AuditAction::UserDeleted, 5)).await.unwrap()
    };
    assert!(delete().await);
    assert!(!delete().await);
    assert_eq!(store.find_account(opened.user_id).await.unwrap(), None);
    assert_eq!(database.sql("select count(*) from shop.people"), "1");
    assert_eq!(database.sql("select count(*) from auth.sessions"), "0");
    let query = AuditQuery { user_id: Some(opened.user_id), limit: 10, ..AuditQuery::default() };
    let told: Vec<_> =
        store.audit_events(&query).await.unwrap().into_iter().map(|event| event.action).collect();
    let expected =
        ["user_registered", "profile_changed", "user_logged_in", "password_changed", "user_deleted"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_user_whom_the_shop_blocks_has_no_session_and_no_account() {
    let database = shop();
    let store = adopted(&database).await;
    let opened = register(&store, "Anton").await;
    database.sql("update shop.people set blocked = true");
    assert_eq!(store.find_session(opened.session_id, live_at(1)).await.unwrap(), None);
    assert!(store.sessions_of(opened.user_id, live_at(1)).await.unwrap().is_empty());
    assert_eq!(store.find_account(opened.user_id).await.unwrap(), None);
    let credentials = store.credentials_of(opened.user_id).await.unwrap().unwrap();
    assert_eq!(credentials.password_hash, None, "no password is right");
    database.sql("update shop.people set blocked = false");
    assert_eq!(store.find_session(opened.session_id, live_at(1)).await.unwrap(), Some(opened.live()));
    assert_eq!(store.sessions_of(opened.user_id, live_at(1)).await.unwrap().len(), 1);
}

/// The shop remembers a refresh token of its former service.
fn issue(database: &Database, opened: &Opened, token: &ForeignToken) {
    database.sql(&format!(
        "insert into shop.remembered (token_sha256, person_no, good_until)
         select '{}', person_no, '2099-01-01' from shop.people where public_id = '{}'",
        token.hash().as_str(),
        opened.user_id
    ));
}

#[tokio::test]
async fn refresh_tokens_of_the_former_service_end_with_their_users_sessions() {
    let database = shop();
    let store = adopted(&database).await;
    let opened = register(&store, "Anton").await;
    for seed in ['a', 'b', 'c'] {
        issue(&database, &opened, &foreign_token(seed));
    }
    let spent = || database.sql("select count(*) from shop.remembered where spent");
    let log_out_everywhere = async || {
        let event = opened.event(AuditAction::UserLoggedOutEverywhere, 1);
        store.revoke_sessions_of(opened.user_id, Revocation::LoggedOut, event).await.unwrap()
    };
    let exchanged = exchange(&store, &foreign_token('a'), 1, None).await;
    assert!(matches!(exchanged, ExchangeOutcome::Opened(_)), "{exchanged:?}");
    let event = event(AuditAction::UserLoggedOut, after(2));
    let in_its_place = in_its_place(&foreign_token('b')).session_id;
    let void = store.revoke_foreign_token(foreign_token('b').hash(), in_its_place, event).await.unwrap();
    assert_eq!((void, spent().as_str()), (RevokeOutcome::Revoked, "2"));
    assert_eq!(log_out_everywhere().await, 2);
    assert_eq!(spent(), "3");
    assert_eq!(store.delete_leftovers(Leftover::ForeignTokens, after(9), 9).await.unwrap(), 0);
    assert_eq!(database.sql("select count(*) from shop.remembered"), "3", "they are the shop's affair");

    database.sql("drop function auth.revoke_refresh_tokens(uuid); update shop.remembered set spent = false");
    log_out_everywhere().await;
    assert_eq!(spent(), "0", "nobody said how");
}

#[tokio::test]
async fn each_thing_takes_its_function() {
    let database = shop();
    let opened = {
        let store = adopted(&database).await;
        register(&store, "Anton").await
    };
    database.sql(
        "drop function accounts.get_account, accounts.replace_profile, accounts.get_password_hash,
             accounts.replace_password_hash, accounts.delete_account, auth.consume_refresh_token",
    );
    let store = adopted(&database).await;
    let missing = |error: StoreError| match error {
        StoreError::FunctionMissing(signature) => signature,
        other => panic!("{other:?}"),
    };
    let (user_id, event) = (opened.user_id, opened.event(AuditAction::UserDeleted, 1));
    let change = PasswordChange { user_id, seen: hash("a"), new: hash("b") };
    let errors = [
        store.find_account(user_id).await.unwrap_err(),
        store.replace_profile(user_id, None, None, event.clone()).await.unwrap_err(),
        store.credentials_of(user_id).await.unwrap_err(),
        store.change_password(change, event.clone()).await.unwrap_err(),
        store.delete_account(user_id, event).await.unwrap_err(),
    ];
    let signatures = [
        "accounts.get_account(uuid)",
        "accounts.replace_profile(uuid, jsonb, jsonb)",
        "accounts.get_password_hash(uuid)",
        "accounts.replace_password_hash(uuid, text, text)",
        "accounts.delete_account(uuid)",
    ];
    assert_eq!(errors.map(missing), signatures);
    opened.log_in(&store, 1, None).await;
    issue(&database, &opened, &foreign_token('a'));
    assert_eq!(exchange(&store, &foreign_token('a'), 1, None).await, ExchangeOutcome::Refused);
}

#[tokio::test]
async fn an_account_of_another_form_is_a_failure_that_repeats_nothing_personal() {
    let database = shop();
    let store = adopted(&database).await;
    let opened = register(&store, "Anton").await;
    database.sql(
        "create or replace function accounts.get_account(account_id uuid) returns jsonb language sql
         as $$ select jsonb_build_object('groups', 'Anton') $$",
    );
    let error = store.find_account(opened.user_id).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)));
    let text = error.with_causes();
    assert!(text.contains("accounts.get_account(uuid) gave groups") && !text.contains("Anton"), "{text}");
}

#[tokio::test]
async fn what_ostiary_has_made_is_what_the_document_removes() {
    let database = shop();
    let theirs = "select string_agg(name, ', ' order by name) from (
             select relname::text from pg_class where relnamespace = 'auth'::regnamespace
             union all select proname::text from pg_proc where pronamespace = 'auth'::regnamespace
         ) as everything (name)";
    let before = database.sql(theirs);
    drop(adopted(&database).await);
    assert_ne!(database.sql(theirs), before);
    database.sql(&sql_of_the_document(&["drop table auth.sessions"]));
    assert_eq!(database.sql(theirs), before);
}
