//! What is PostgreSQL's alone: its schema, its statements, and several nodes on one database.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ostiary_core::{
    audit::AuditAction,
    clock::{Clock, SystemClock},
    store::{Accounts, RegisterOutcome, RotateOutcome, Sessions, Store, StoreError},
};
use ostiary_harness::{
    pgbouncer::PgBouncer,
    postgres::{Cluster, Database, shared},
};
use ostiary_store::postgres::{PostgresStore, examine};

use crate::support::{
    On, Opened, TestStore, account, event, open_postgres, postgres_settings, rules, session, start,
    while_held,
};

/// A database with nothing in it.
fn empty() -> Database {
    shared().database()
}

async fn open(url: &str) -> Result<PostgresStore, String> {
    PostgresStore::open(&postgres_settings(url), Duration::ZERO).await.map_err(|error| error.to_string())
}

/// A copy of the database that Ostiary has made, with a store on it.
async fn made() -> (TestStore, PostgresStore) {
    let test = TestStore::new(On::Postgres);
    test.open().await;
    let store = open_postgres(&test.postgres().url()).await;
    (test, store)
}

async fn rotate(store: &dyn Store, opened: &Opened, generation: u32, seconds: i64) -> RotateOutcome {
    let rotation = opened.rotation(generation, seconds);
    let on_reuse = event(AuditAction::RefreshTokenReused, rotation.at.now);
    store.rotate_session(rotation, on_reuse).await.unwrap()
}

/// Every row of what `pg_stat_statements` has seen in the database: how often, and what.
fn statements(cluster: &Cluster) -> Vec<(u64, String)> {
    let sql = "select calls, regexp_replace(query, '\\s+', ' ', 'g') from pg_stat_statements
               where dbid = (select oid from pg_database where datname = current_database())";
    let lines = cluster.sql("postgres", sql);
    let parts = lines.lines().map(|line| line.split_once('|').unwrap());
    parts.map(|(calls, query)| (calls.parse().unwrap(), query.to_owned())).collect()
}

#[tokio::test]
async fn a_refresh_is_one_statement_and_one_heap_only_update() {
    // A server of its own: whoever is connecting to any database keeps dead rows from being cleared away.
    let cluster = Cluster::start(&[("shared_preload_libraries", "pg_stat_statements")]);
    let store = open_postgres(&cluster.url("postgres")).await;
    store.ensure_groups(&["customer".to_owned()], start()).await.unwrap();
    let mut sessions = Vec::new();
    for number in 0..20 {
        sessions.push(Opened::registered(&store, &format!("user{number}")).await);
    }
    cluster.sql("postgres", "create extension pg_stat_statements; select pg_stat_statements_reset()");
    for round in 0..50 {
        for opened in &sessions {
            assert_eq!(
                rotate(&store, opened, round, i64::from(round)).await,
                RotateOutcome::Rotated(opened.live())
            );
        }
    }
    let statements = statements(&cluster);
    let of_sessions: Vec<_> =
        statements.iter().filter(|(_, query)| query.contains("auth.sessions")).collect();
    let [(1000, update)] = of_sessions[..] else { panic!("{of_sessions:#?}") };
    assert!(update.trim_start().starts_with("update auth.sessions"), "{update}");
    let others: u64 = statements.iter().map(|(calls, _)| calls).sum::<u64>() - 1000;
    assert!(others < 10, "{statements:#?}");

    // A connection reports what it has done at the latest when it ends.
    drop(store);
    let counts = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'sessions'";
    let deadline = Instant::now() + Duration::from_secs(30);
    let (updates, heap_only) = loop {
        let line = cluster.sql("postgres", counts);
        let (updates, heap_only) = line.split_once('|').unwrap();
        let counted: (u32, u32) = (updates.parse().unwrap(), heap_only.parse().unwrap());
        if counted.0 >= 1000 {
            break counted;
        }
        assert!(Instant::now() < deadline, "counted: {line}");
    };
    println!("{heap_only} of {updates} updates were heap-only");
    assert_eq!(updates, 1000);
    assert!(heap_only >= 950, "{heap_only} of 1000 were heap-only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_nodes_of_fifty_registrations_of_one_email_one_succeeds() {
    let (test, first) = made().await;
    let second = open_postgres(&test.postgres().url()).await;
    let nodes = [std::sync::Arc::new(first), std::sync::Arc::new(second)];
    for round in 0..50 {
        let email = rules().email(&format!("round{round}@example.com")).unwrap();
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..50 {
            let (node, email) = (nodes[racer % 2].clone(), email.clone());
            racers.spawn(async move {
                let mut account = account(&format!("user{racer}of{round}"));
                account.contacts[2] = email;
                let event = event(AuditAction::UserRegistered, start());
                node.register(account, session(), event).await.unwrap()
            });
        }
        let outcomes = racers.join_all().await;
        let registered = outcomes.iter().filter(|outcome| matches!(outcome, RegisterOutcome::Registered(_)));
        assert_eq!(registered.count(), 1, "round {round}");
    }
    let counts = "select count(*) || ' ' || (select count(*) from contacts) || ' '
                      || (select count(*) from memberships) || ' ' || (select count(*) from sessions) || ' '
                      || (select count(*) from audit_events)
                  from users";
    assert_eq!(test.query::<String>(counts), "50 150 50 50 50", "one user a round, and no orphans");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_nodes_that_start_at_once_one_migrates_and_all_serve() {
    let database = empty();
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let url = database.url();
        starting.spawn(async move { open_postgres(&url).await });
    }
    let nodes = starting.join_all().await;
    let migrated = nodes.iter().filter(|node| !node.applied().is_empty()).count();
    assert_eq!((nodes.len(), migrated), (10, 1));
    for node in &nodes {
        node.check().await.unwrap();
    }
    assert_eq!(database.sql("select count(*) from auth.ostiary_migrations"), "5");
}

#[tokio::test]
async fn what_somebody_else_has_made_is_left_alone_and_named() {
    for (theirs, named) in [
        ("create schema accounts; create table accounts.people (id int)", "accounts.people"),
        ("create schema accounts; create type accounts.kind as enum ('a')", "accounts.kind"),
        (
            "create schema auth; create table auth.others (id int); create index sessions_user_id on auth.others (id)",
            "auth.sessions_user_id",
        ),
        ("create schema auth; create table auth.sessions (id int)", "auth.sessions"),
        ("create schema auth; create table auth.refresh_tokens (id int)", "auth.refresh_tokens"),
        (
            "create schema auth; create function auth.judge_rotation() returns int language sql as 'select 1'",
            "auth.judge_rotation",
        ),
    ] {
        let database = empty();
        database.sql(theirs);
        let error = open(&database.url()).await.unwrap_err();
        assert!(error.contains(named) && error.contains("docs/adopting.md"), "{error}");
        assert!(examine(&postgres_settings(&database.url())).await.unwrap_err().to_string().contains(named));
        assert_eq!(database.sql("select count(*) from pg_class where relname like 'ostiary%'"), "0");
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_served_and_one_changed_by_hand_is_not() {
    let database = empty();
    open_postgres(&database.url()).await;
    database.sql(
        "insert into auth.ostiary_migrations (part, version, name, checksum) values ('auth', 9999, 'later', '1');
         update auth.ostiary_functions set revision = 9999 where part = 'auth'",
    );
    let store = open_postgres(&database.url()).await;
    assert!(store.applied().is_empty(), "{:?}", store.applied());
    database.sql("update auth.ostiary_migrations set checksum = '2' where version = 1 and part = 'auth'");
    let error = open(&database.url()).await.unwrap_err();
    assert!(error.contains("changed by hand") && error.contains("sessions_keys_and_audit"), "{error}");
}

#[tokio::test]
async fn functions_of_an_earlier_revision_are_made_again() {
    let database = empty();
    open_postgres(&database.url()).await;
    database.sql(
        "update auth.ostiary_functions set revision = 0 where part = 'accounts';
         drop function accounts.is_active(uuid)",
    );
    assert_eq!(open_postgres(&database.url()).await.applied(), ["accounts functions, revision 2"]);
    assert_eq!(database.sql("select to_regprocedure('accounts.is_active(uuid)') is not null"), "t");
}

/// A failure half-way, here in the last of its statements, leaves nothing of a migration.
#[tokio::test]
async fn a_migration_is_applied_all_or_not_at_all() {
    let database = empty();
    database.sql(
        "create function public.fault() returns event_trigger language plpgsql as $$
         begin
             if exists (select from pg_event_trigger_ddl_commands() where object_identity like 'accounts.is_active%') then
                 raise exception 'injected';
             end if;
         end $$;
         create event trigger fault on ddl_command_end execute function public.fault()",
    );
    let error = open(&database.url()).await.unwrap_err();
    assert!(error.contains("injected"), "{error}");
    assert_eq!(database.sql("select count(*) from pg_namespace where nspname in ('auth', 'accounts')"), "0");
    database.sql("drop event trigger fault");
    open_postgres(&database.url()).await;
}

/// The search path of a database lets a function of its own go before one of PostgreSQL's.
#[tokio::test]
async fn a_server_that_is_too_old_or_takes_no_writes_is_said_by_name() {
    let old = empty();
    old.sql(
        "create schema old; create function old.current_setting(name text) returns text language sql
         as $$ select case name when 'server_version' then '12.22' when 'server_version_num' then '120022'
               else pg_catalog.current_setting(name) end $$",
    );
    old.sql(&format!("alter database \"{}\" set search_path = old, pg_catalog", old.name()));
    let error = open(&old.url()).await.unwrap_err();
    assert!(error.contains("PostgreSQL 12.22") && error.contains("13 or later"), "{error}");

    let cluster = Cluster::start(&[]);
    cluster.stop();
    cluster.write("standby.signal", "");
    cluster.start_again();
    let error = open(&cluster.url("postgres")).await.unwrap_err();
    assert!(error.contains("read-only standby") && error.contains("primary"), "{error}");
}

#[tokio::test]
async fn the_clock_is_the_databases() {
    let (test, _) = made().await;
    let database = test.postgres();
    database.sql(
        "create schema ahead; create function ahead.clock_timestamp() returns timestamptz language sql volatile
         as $$ select pg_catalog.clock_timestamp() + interval '1 hour' $$",
    );
    database.sql(&format!("alter database \"{}\" set search_path = ahead, pg_catalog", database.name()));
    let store = open_postgres(&database.url()).await;
    let difference = store.clock().now().duration_since(SystemClock.now());
    assert!(
        (difference - SignedDuration::from_hours(1)).abs() < SignedDuration::from_secs(1),
        "{difference}"
    );
}

/// What was given up may have happened when the lock was gone; then whoever asks again gets the same answer.
async fn assert_is_served(store: &dyn Store, opened: &Opened) {
    let outcome = rotate(store, opened, 0, 2).await;
    let served = [RotateOutcome::Rotated(opened.live()), RotateOutcome::Repeated(opened.live())];
    assert!(served.contains(&outcome), "{outcome:?}");
}

/// Whoever holds a lock holds up nobody but those who need it, and those not for long; however many they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_wait_for_a_lock_are_given_up_within_three_seconds() {
    let (test, store) = made().await;
    let opened = Opened::registered(&store, "anna").await;
    let store = std::sync::Arc::new(store);
    while_held(test.postgres(), "lock table auth.sessions", async || {
        let start = Instant::now();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let (store, rotation) = (store.clone(), opened.rotation(0, 1));
            let on_reuse = event(AuditAction::RefreshTokenReused, rotation.at.now);
            waiting.spawn(async move { store.rotate_session(rotation, on_reuse).await });
        }
        let anna = rules().username("anna").unwrap();
        assert!(store.find_credentials(&anna).await.unwrap().is_some(), "what needs no lock goes on");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        for outcome in waiting.join_all().await {
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    });
    assert_is_served(&*store, &opened).await;
}

/// The server ends a connection while a statement waits on it: it cannot have taken effect, and runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_was_ended_before_it_took_effect_runs_again() {
    let (test, store) = made().await;
    let opened = Opened::registered(&store, "anna").await;
    let database = test.postgres();
    let store = std::sync::Arc::new(store);
    let rotating = while_held(database, "lock table auth.sessions", async || {
        let (store, rotation) = (store.clone(), opened.rotation(0, 1));
        let on_reuse = event(AuditAction::RefreshTokenReused, rotation.at.now);
        let rotating = tokio::spawn(async move { store.rotate_session(rotation, on_reuse).await });
        let waiting = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                       where wait_event_type = 'Lock' and query like '%update auth.sessions%'
                       and pid <> pg_backend_pid() and datname = current_database()";
        while database.sql(waiting) == "0" {
            tokio::task::yield_now().await;
        }
        Some(rotating)
    });
    assert_eq!(rotating.unwrap().await.unwrap().unwrap(), RotateOutcome::Rotated(opened.live()));
    assert_eq!(test.query::<i64>("select generation from sessions"), 1);
}

/// However many requests come while a table is locked, there are never more connections than the pool has, and
/// some that read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_lasts_does_not_eat_the_servers_connections() {
    let (test, store) = made().await;
    let opened = Opened::registered(&store, "anna").await;
    let (store, database) = (std::sync::Arc::new(store), test.postgres());
    let most = while_held(database, "lock table auth.sessions", async || {
        let begin = Instant::now();
        let mut requests = tokio::task::JoinSet::new();
        let mut most = 0;
        while begin.elapsed() < Duration::from_secs(8) {
            for _ in 0..4 {
                let (store, rotation) = (store.clone(), opened.rotation(0, 1));
                let on_reuse = event(AuditAction::RefreshTokenReused, rotation.at.now);
                requests.spawn(async move { store.rotate_session(rotation, on_reuse).await.is_err() });
            }
            let connections = "select count(*) from pg_stat_activity where datname = current_database()
                               and application_name = 'ostiary'";
            most = most.max(database.sql(connections).parse::<u32>().unwrap());
        }
        assert!(requests.join_all().await.into_iter().all(|refused| refused));
        most
    });
    // The pool's eight, two that read, two that took their place, and two of the store that made the database,
    // which may be about to end.
    assert!(most <= 8 + 2 + 2 + 2, "{most} connections");
    assert_is_served(&*store, &opened).await;
}

/// Of several servers one may be silent: not refusing, which is quick, but saying nothing.
#[tokio::test]
async fn a_silent_server_among_several_is_passed_over() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cluster = Cluster::start(&[]);
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", silent.local_addr().unwrap().port(), cluster.port());
    let url = format!("postgres://postgres@{hosts}/postgres?target_session_attrs=read-write");
    let store = open_postgres(&url).await;
    let begin = Instant::now();
    store.check().await.unwrap();
    store.ensure_groups(&["customer".to_owned()], start()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(800), "the one that answered is asked first");
}

/// A session that takes no writes for a while, as after a failover, is left as soon as that is known.
#[tokio::test]
async fn a_server_that_takes_writes_again_is_served_from_again() {
    let (test, store) = made().await;
    let opened = Opened::registered(&store, "anna").await;
    let database = test.postgres();
    let set = |how: &str| {
        let name = database.name();
        database.sql(&format!("alter database \"{name}\" {how}"));
        database.sql(
            "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
                      where datname = current_database() and pid <> pg_backend_pid()",
        );
    };
    set("set default_transaction_read_only = on");
    let on_reuse = event(AuditAction::RefreshTokenReused, start());
    let refused = store.rotate_session(opened.rotation(0, 1), on_reuse).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.check().await.is_err());
    let error = open(&database.url()).await.unwrap_err();
    assert!(error.contains("default_transaction_read_only"), "{error}");
    let name = database.name();
    database.sql(&format!(
        "begin read write; alter database \"{name}\" reset default_transaction_read_only; commit"
    ));
    // What the store still knows of are connections from before; the first look at one of them is the last.
    drop(store.check().await);
    store.check().await.unwrap();
    assert_eq!(rotate(&store, &opened, 0, 2).await, RotateOutcome::Rotated(opened.live()));
}

/// Whoever may create objects in a schema of the search path cannot have Ostiary run their functions.
#[tokio::test]
async fn functions_of_others_in_the_search_path_are_not_called() {
    let database = empty();
    database.sql(
        "create function public.unnest(text[]) returns setof text language plpgsql as
         $$ begin raise exception 'hijacked'; end $$;
         create function public.unnest(text[], text[]) returns setof record language plpgsql as
         $$ begin raise exception 'hijacked'; end $$;
         create function public.glue(name, name) returns text language plpgsql as
         $$ begin raise exception 'hijacked'; end $$;
         create operator public.|| (leftarg = name, rightarg = name, function = public.glue);
         create function public.glue(name, text) returns text language plpgsql as
         $$ begin raise exception 'hijacked'; end $$;
         create operator public.|| (leftarg = name, rightarg = text, function = public.glue)",
    );
    let store = open_postgres(&database.url()).await;
    store.ensure_groups(&["customer".to_owned()], start()).await.unwrap();
    let opened = Opened::registered(&store, "anna").await;
    assert_eq!(rotate(&store, &opened, 0, 1).await, RotateOutcome::Rotated(opened.live()));
    examine(&postgres_settings(&database.url())).await.unwrap();
}

/// A pooler that hands out its sessions in turn is one too.
#[tokio::test]
async fn a_pooler_is_noticed_whatever_the_order_of_its_sessions() {
    for order in ["0", "1"] {
        let database = empty();
        let port = shared().port().expect("the server of TEST_DATABASE_URL cannot be behind a pooler");
        let pooler = PgBouncer::with_settings(
            "127.0.0.1",
            port,
            &[("server_round_robin", order), ("default_pool_size", "2")],
        );
        // Two sessions, both there before Ostiary comes.
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| pooler.sql(database.name(), "select pg_sleep(0.3)"));
            }
        });
        let store = open_postgres(&pooler.url(database.name())).await;
        assert!(!store.prepares_statements(), "server_round_robin = {order}");
    }
}

/// Connections that end while nobody uses them are replaced, and no request notices.
#[tokio::test]
async fn lost_connections_are_replaced() {
    let (test, store) = made().await;
    let opened = Opened::registered(&store, "anna").await;
    let end_all = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
    for generation in 0..5 {
        assert_ne!(test.postgres().sql(end_all), "0");
        assert_eq!(
            rotate(&store, &opened, generation, i64::from(generation)).await,
            RotateOutcome::Rotated(opened.live())
        );
        store.check().await.unwrap();
    }
}

/// What a prepared statement returns has changed since: it is prepared again.
#[tokio::test]
async fn a_statement_whose_table_has_changed_is_prepared_again() {
    let (test, store) = made().await;
    let opened = Opened::registered(&store, "anna").await;
    rotate(&store, &opened, 0, 1).await;
    test.postgres().sql("alter table auth.sessions alter column user_id type text; alter table auth.sessions alter column user_id type uuid using user_id::uuid");
    test.postgres().sql("alter table auth.sessions add column later text");
    assert_eq!(rotate(&store, &opened, 1, 2).await, RotateOutcome::Rotated(opened.live()));
}

/// What the replaced service writes and looks up is folded in SQL, while Ostiary folds in Rust. They differ for
/// the dotless i, for Cherokee, whose small letters are the younger ones, and for letters younger than the
/// server's ICU; then a name that is typed in another case is not found.
#[tokio::test]
async fn names_are_folded_in_sql_as_the_rules_fold_them() {
    let database = empty();
    open_postgres(&database.url()).await;
    // Most characters have neither case nor other forms; of those a sample is enough.
    let is_telling = |character: &char| {
        let code = u32::from(*character);
        let has_case = character.to_lowercase().ne([*character]) || character.to_uppercase().ne([*character]);
        let has_forms = (0x1d400..0x1d800).contains(&code) || (0xf900..=0xffff).contains(&code);
        has_case || has_forms || code < 0x3000 || code.is_multiple_of(64)
    };
    let every = ('\u{21}'..=char::MAX).filter(|character| *character != '@' && is_telling(character));
    let folded = every.filter_map(|character| {
        let contact = rules().username(&format!("a{character}z")).ok()?;
        Some((u32::from(character), contact.canonical().value().replace('\\', "\\\\")))
    });
    let rows: Vec<String> = folded.map(|(code, value)| format!("{code}\t{value}\n")).collect();
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("folded");
    std::fs::write(&file, rows.concat()).unwrap();
    database.sql("create table public.folded (code int, value text)");
    database.sql(&format!("\\copy public.folded from '{}'", file.display()));
    let differing = database.sql(
        "select code from public.folded
         where accounts.canonical_contact('second_login', 'a' || chr(code) || 'z') <> value",
    );
    let is_cherokee = |code: &u32| (0x13a0..=0x13ff).contains(code) || (0xab70..=0xabbf).contains(code);
    let others: Vec<u32> =
        differing.lines().map(|line| line.parse().unwrap()).filter(|code| !is_cherokee(code)).collect();
    println!("{} characters, of which differ, but for Cherokee: {others:x?}", rows.len());
    assert!(rows.len() > 20_000, "{}", rows.len());
    assert!(
        others.iter().filter(|code| **code < 0x1000).all(|code| [0x131, 0x58b, 0x58c, 0x558].contains(code))
    );
    assert!(others.len() < 300, "{}", others.len());
}
