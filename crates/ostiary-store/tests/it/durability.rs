//! What fails half-way leaves nothing behind, and does not harm what goes on beside it.

use ostiary_core::{
    audit::AuditAction,
    store::{Accounts, RegisterOutcome, RotateOutcome, Store, StoreError},
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use rstest::rstest;

use crate::support::{On, Opened, TestStore, account, event, rules, session, start};

/// A trigger makes one statement fail: the whole operation is undone, and says so.
#[rstest]
#[tokio::test]
async fn a_registration_of_which_any_part_fails_leaves_nothing(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    for table in ["users", "contacts", "memberships", "sessions", "audit_events"] {
        let test = TestStore::new(on);
        let store = test.open().await;
        test.fail_inserts(table, false);
        let account = account("anna");
        let session = session();
        let outcome = store.register(account, session, event(AuditAction::UserRegistered, start())).await;
        assert!(matches!(outcome, Err(StoreError::Failed(_))), "{table}: {outcome:?}");
        for other in ["users", "contacts", "memberships", "sessions", "audit_events"] {
            assert_eq!(test.query::<i64>(&format!("select count(*) from {other}")), 0, "{table}: {other}");
        }
        test.heal();
        Opened::registered(&*store, "anna").await;
    }
}

/// What a contact that is taken comes to is an answer.
#[rstest]
#[tokio::test]
async fn what_fails_is_counted_as_an_error_and_what_is_refused_is_not(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let mut registry = Registry::default();
    store.register_metrics(&mut registry);
    let name = if on == On::Sqlite { "sqlite" } else { "postgres" };
    let labels = format!("{{store=\"{name}\",method=\"register\"}}");
    let errors = || figure(&registry, &format!("ostiary_store_statement_errors_total{labels}"));
    let register = async |username| {
        let created = event(AuditAction::UserRegistered, start());
        store.register(account(username), session(), created).await
    };
    register("anna").await.unwrap();
    assert!(matches!(register("anna").await.unwrap(), RegisterOutcome::ContactTaken(_)));
    assert_eq!(errors(), 0);
    test.fail_inserts("users", false);
    register("boris").await.unwrap_err();
    assert_eq!(errors(), 1);
    let all = format!("ostiary_store_statement_duration_seconds_count{labels}");
    assert_eq!(figure(&registry, &all), 3);
}

/// What Prometheus would read under a name.
fn figure(registry: &Registry, name: &str) -> u64 {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// A reuse that cannot be recorded is not half done: the session stays as it was, and the next try
/// revokes it.
#[rstest]
#[tokio::test]
async fn a_reuse_whose_event_cannot_be_written_revokes_nothing_and_is_no_success(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    let opened = Opened::registered(&*store, "anna").await;
    let rotate = async |generation, seconds| {
        let rotation = opened.rotation(generation, seconds);
        store.rotate_session(rotation, event(AuditAction::RefreshTokenReused, rotation.at.now)).await
    };
    rotate(0, 1).await.unwrap();
    test.fail_inserts("audit_events", false);
    assert!(rotate(0, 60).await.is_err());
    assert!(!test.query::<bool>("select revoked_at is not null from sessions"));
    test.heal();
    assert_eq!(rotate(0, 61).await.unwrap(), RotateOutcome::Reused(opened.user_id));
}

/// Steps share a commit, but not their failures.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_leaves_the_others_in_its_group_alone(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let test = TestStore::new(on);
    let store = test.open().await;
    test.fail_inserts("users", true);
    let mut steps = tokio::task::JoinSet::new();
    for number in 0..64 {
        let store = store.clone();
        steps.spawn(async move {
            let account = account(&format!("user{number}"));
            let contact = account.contacts[0].clone();
            let session = session();
            (
                contact,
                store.register(account, session, event(AuditAction::UserRegistered, start())).await.is_ok(),
            )
        });
    }
    let answers = steps.join_all().await;
    for (contact, answered) in &answers {
        let found = store.find_credentials(contact).await.unwrap().is_some();
        assert_eq!(found, *answered, "what was answered is there, and nothing else");
    }
    let kept = answers.iter().filter(|(_, answered)| *answered).count();
    assert!((1..64).contains(&kept), "{kept} of 64: the trigger lets some through and stops some");
}

/// A disk that is full for a while: writes fail, reads go on, and writes succeed once there is room.
#[tokio::test]
async fn on_a_full_disk_writes_are_refused_reads_go_on_and_nothing_is_lost() {
    let test = TestStore::new(On::Sqlite);
    let store = ostiary_store::sqlite::SqliteStore::open(&test.path()).unwrap();
    store.ensure_groups(&["customer".to_owned()], start()).await.unwrap();
    Opened::registered(&store, "first").await;
    store.limit_growth(Some(1)).await.unwrap();
    let mut refused = 0;
    for number in 0..200 {
        let account = account(&format!("user{number}"));
        let contact = account.contacts[0].clone();
        let session = session();
        let outcome = store.register(account, session, event(AuditAction::UserRegistered, start())).await;
        let found = store.find_credentials(&contact).await.unwrap().is_some();
        match outcome {
            Ok(_) => assert!(found, "what was answered is there"),
            Err(StoreError::Unavailable(_)) => {
                assert!(!found, "what failed is not there");
                refused += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(refused > 0, "the limit was never met");
    let mut registry = Registry::default();
    store.register_metrics(&mut registry);
    assert_eq!(figure(&registry, "ostiary_sqlite_commit_failures_total"), refused);
    assert_eq!(figure(&registry, "ostiary_sqlite_queued_steps"), 0);
    assert!(store.find_credentials(&rules().username("first").unwrap()).await.unwrap().is_some());
    store.limit_growth(None).await.unwrap();
    Opened::registered(&store, "last").await;
    assert_eq!(test.query::<String>("pragma integrity_check"), "ok");
}

/// The number of commits in a write-ahead log: frames whose header has the size of the database after
/// them (<https://sqlite.org/fileformat2.html#walformat>).
fn commits(test: &TestStore) -> usize {
    let log = std::fs::read(test.path().with_file_name("ostiary.db-wal")).unwrap();
    let (head, frames) = log.split_at(32);
    let frames = frames.chunks_exact(24 + 4096).take_while(|frame| frame[8..16] == head[16..24]);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

/// What waits while a commit waits for the disk goes into the next one together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_that_wait_share_a_commit() {
    let test = TestStore::new(On::Sqlite);
    let store = test.open().await;
    let mut sessions = Vec::new();
    for number in 0..32 {
        sessions.push(Opened::registered(&*store, &format!("user{number}")).await);
    }
    let before = commits(&test);
    let mut steps = tokio::task::JoinSet::new();
    for opened in sessions {
        let store = store.clone();
        steps.spawn(async move {
            let event = event(AuditAction::RefreshTokenReused, start());
            store.rotate_session(opened.rotation(0, 1), event).await.unwrap()
        });
    }
    assert!(steps.join_all().await.iter().all(|outcome| matches!(outcome, RotateOutcome::Rotated(_))));
    let shared = commits(&test) - before;
    assert!((1..=16).contains(&shared), "32 rotations took {shared} commits");
}
