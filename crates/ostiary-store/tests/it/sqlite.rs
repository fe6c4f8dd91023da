//! What is SQLite's alone: its file, its settings, and what it says when it cannot be opened.

use std::{fs, os::unix::fs::PermissionsExt};

use ostiary_core::{
    audit::AuditAction,
    store::{Refusal, RegisterOutcome, RotateOutcome},
};
use ostiary_store::sqlite::{self, SqliteStore};

use crate::support::{On, Opened, TestStore, account, event, rotate, rules, session, start};

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    Opened::registered(&*store, "anna").await;
    for suffix in ["", "-wal", "-shm"] {
        let file = test.path().with_file_name(format!("ostiary.db{suffix}"));
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_not_touched() {
    let test = TestStore::new(On::Sqlite);
    drop(SqliteStore::open(&test.path()).unwrap());
    test.execute(
        "insert into refinery_schema_history
         select 9999, name, applied_on, checksum from refinery_schema_history limit 1",
    );
    let before = fs::read(test.path()).unwrap();
    let error = SqliteStore::open(&test.path()).unwrap_err().to_string();
    assert!(error.contains("made by a newer version") && error.contains("9999"), "{error}");
    assert_eq!(fs::read(test.path()).unwrap(), before);
}

#[test]
fn of_servers_that_open_an_empty_database_at_once_one_migrates() {
    for _ in 0..20 {
        let test = TestStore::new(On::Sqlite);
        std::thread::scope(|scope| {
            let opening: Vec<_> =
                (0..4).map(|_| scope.spawn(|| SqliteStore::open(&test.path()).is_ok())).collect();
            assert!(opening.into_iter().all(|thread| thread.join().unwrap()));
        });
        assert_eq!(test.query::<i64>("select count(*) from refinery_schema_history"), 5);
    }
}

#[tokio::test]
async fn contacts_of_a_former_version_are_kept() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    test.execute("update contacts set verified_at = 7 where kind = 'email'");
    let before = store.find_account(opened.user_id).await.unwrap().unwrap();
    drop(store);
    // As versions 1 to 3 have them.
    test.execute(
        "alter table contacts rename to newer_contacts;
         create table contacts (
             value text primary key, kind text not null, user_id blob not null references users (id) on delete cascade,
             typed text not null, created_at integer not null, unique (user_id, kind)
         ) strict, without rowid;
         alter table contacts add column verified_at integer;
         insert into contacts select value, kind, user_id, typed, created_at, verified_at from newer_contacts;
         drop table newer_contacts;
         drop index users_disabled;
         drop trigger users_deleted;
         delete from refinery_schema_history where version >= 4",
    );
    let store = test.open().await;
    assert_eq!(store.find_account(opened.user_id).await.unwrap(), Some(before));
    let found = store.find_credentials(&rules().username("anna").unwrap()).await.unwrap();
    assert_eq!(found.unwrap().user_id, opened.user_id);
    let again = store.register(account("anna"), session(), event(AuditAction::UserRegistered, start())).await;
    assert!(matches!(again, Ok(RegisterOutcome::ContactTaken(_))), "{again:?}");
    let deleted = opened.event(AuditAction::UserDeleted, 1);
    assert!(store.delete_account(opened.user_id, deleted).await.unwrap());
    assert_eq!(test.query::<i64>("select count(*) from contacts"), 0);
}

/// A refresh does not look for the row of its user.
#[tokio::test]
async fn sessions_end_with_a_user_who_is_deleted_where_references_are_not_enforced() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    let anna = Opened::registered(&*store, "anna").await;
    let boris = Opened::registered(&*store, "boris").await;
    let anna_id = test.id_literal(anna.user_id.as_uuid());
    test.execute(&format!("pragma foreign_keys = off; delete from users where id = {anna_id}"));
    assert_eq!(rotate(&*store, anna.rotation(0, 1)).await, RotateOutcome::Refused(Refusal::Absent));
    assert!(matches!(rotate(&*store, boris.rotation(0, 1)).await, RotateOutcome::Rotated(_)));
}

#[test]
fn a_file_of_another_kind_is_refused_and_not_touched() {
    let test = TestStore::new(On::Sqlite);
    fs::write(test.path(), "a text that is long enough to have a header\n".repeat(100)).unwrap();
    let before = fs::read(test.path()).unwrap();
    let error = SqliteStore::open(&test.path()).unwrap_err().to_string();
    assert!(error.contains("another kind of file"), "{error}");
    assert_eq!(fs::read(test.path()).unwrap(), before);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let test = TestStore::new(On::Sqlite);
    let error = SqliteStore::open(&test.path().join("nowhere/ostiary.db")).unwrap_err().to_string();
    assert!(error.contains("nowhere/ostiary.db") && error.contains("directory"), "{error}");
}

#[tokio::test]
async fn an_examination_reports_and_changes_nothing() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    Opened::registered(&*store, "anna").await;
    let report = sqlite::examine(&test.path()).unwrap();
    assert_eq!((report.users, report.sessions, report.schema_version), (1, 1, report.known_schema));
    assert!(report.damage.is_empty());
}

#[tokio::test]
async fn damage_is_reported() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    Opened::registered(&*store, "anna").await;
    drop(store);
    let mut bytes = fs::read(test.path()).unwrap();
    let size = 4096;
    for page in 2..bytes.len() / size {
        bytes[page * size..page * size + 64].fill(0xff);
    }
    fs::write(test.path(), bytes).unwrap();
    let damaged = match sqlite::examine(&test.path()) {
        Ok(report) => !report.damage.is_empty(),
        Err(error) => error.to_string().contains("damaged"),
    };
    assert!(damaged);
}

#[tokio::test]
async fn a_store_answers_that_it_can_serve() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    store.check().await.unwrap();
}

/// refinery would otherwise commit a migration and its entry in the history one after the other, and a
/// kill between them would leave a schema that no version knows.
#[test]
fn a_migration_and_its_entry_in_the_history_are_one_transaction() {
    let test = TestStore::new(On::Sqlite);
    test.execute(
        "create table refinery_schema_history (
             version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255));
         create trigger fault before insert on refinery_schema_history begin select raise(abort, 'killed'); end",
    );
    assert!(SqliteStore::open(&test.path()).is_err());
    assert_eq!(test.query::<i64>("select count(*) from sqlite_schema where name = 'users'"), 0);
    test.execute("drop trigger fault");
    SqliteStore::open(&test.path()).unwrap();
}
