//! What every test that uses the harness relies on.

use std::net::TcpStream;

use ostiary_harness::{
    pgbouncer::PgBouncer,
    postgres::{Cluster, shared},
    redis::Redis,
};

#[test]
fn a_shared_database_answers_and_is_gone_afterwards() {
    let database = shared().database();
    assert_eq!(database.sql("select current_database()"), database.name());
    let error = database.try_sql("select * from nothing").expect_err("there is no such table");
    assert!(error.contains("42P01"), "{error}");

    let looker = shared().database();
    let count = format!("select count(*) from pg_database where datname = '{}'", database.name());
    assert_eq!(looker.sql(&count), "1");
    drop(database);
    assert_eq!(looker.sql(&count), "0");
}

#[test]
fn a_copy_of_a_template_has_what_the_template_has() {
    let key = format!("a template of process {}", std::process::id());
    let make = |url: &str| {
        let name = url.rsplit('/').next().expect("a URL ends in the database");
        assert!(name.starts_with("ostiary_half_"), "{name}");
        let statement = "create table colours as select 'blue' as colour";
        let done = std::process::Command::new("psql").args(["-Xq", "-d", url, "-c", statement]).status();
        assert!(done.expect("psql is there").success());
    };
    let first = shared().database_from(&key, make);
    let second = shared().database_from(&key, |_| panic!("it is there"));
    first.sql("delete from colours");
    assert_eq!(second.sql("select colour from colours"), "blue");
}

#[test]
fn what_a_cluster_has_confirmed_outlives_a_crash_and_comes_through_pgbouncer() {
    let cluster = Cluster::start(&[("work_mem", "5MB")]);
    assert_eq!(cluster.sql("postgres", "show work_mem"), "5MB");
    cluster.sql("postgres", "create table colours as select 'blue' as colour");
    cluster.restart_immediate();
    assert_eq!(cluster.sql("postgres", "select colour from colours"), "blue");

    cluster.stop();
    cluster.start_again();
    let bouncer = PgBouncer::before("127.0.0.1", cluster.port());
    for url in [bouncer.url("postgres"), cluster.url("postgres"), cluster.socket_url("postgres")] {
        let query = ["-XAtq", "-c", "select colour from colours", "-d", &url];
        let output = std::process::Command::new("psql").args(query).output().expect("psql is there");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "blue\n", "{output:?}");
    }
}

#[test]
fn a_line_for_who_may_connect_counts_at_once() {
    let cluster = Cluster::start(&[]);
    cluster.prepend_hba("host all all 127.0.0.1/32 reject");
    let query = ["-Xqc", "select 1", "-d", &cluster.url("postgres")];
    let output = std::process::Command::new("psql").args(query).output().expect("psql is there");
    assert!(String::from_utf8_lossy(&output.stderr).contains("rejects"), "{output:?}");
    assert_eq!(cluster.sql("postgres", "select 1"), "1");
}

#[test]
fn a_redis_answers_forgets_when_it_is_told_to_and_is_gone_afterwards() {
    let (redis, other) = (Redis::start(), Redis::start());
    assert_eq!(redis.ask("PING"), "+PONG");
    assert_eq!(redis.ask("SET colour blue"), "+OK");
    assert_eq!((redis.ask("DBSIZE"), other.ask("DBSIZE")), (":1".to_owned(), ":0".to_owned()));
    redis.flush();
    assert_eq!(redis.ask("DBSIZE"), ":0");

    let address = (redis.host(), redis.port());
    drop(redis);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
    assert_eq!(other.ask("PING"), "+PONG");
}
