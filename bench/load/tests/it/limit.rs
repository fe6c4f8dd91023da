//! Databases without a server, and answers without a database.

use std::path::Path;

use ostiary_bench::{
    limit::{pgbench, route::Route, sqlite::BareLoop},
    server::Server,
    wire::Wire,
    work::{access_tokens, introspect, me, request_of_introspect, request_of_me},
};

use crate::{CONNECTIONS, SHORT, credential, seeded, server};

#[tokio::test]
async fn pgbench_updates_the_sessions_that_nobody_follows() {
    let (database, mut seeded) = seeded(true).await;
    let cluster = database.cluster().unwrap();
    for connections in [1, 16] {
        assert!(pgbench::updates(cluster, seeded.sessions, connections, SHORT).unwrap() > 0.0);
    }
    let refreshed =
        "select count(*) > 100 from auth.sessions where generation > 0 and refreshed_at > created_at";
    assert_eq!(cluster.sql("postgres", refreshed), "t");
    let running = Server::start_on(&database, &server(), &[]).unwrap();
    let followed = seeded.refresh_tokens.len();
    assert!(access_tokens(running.address, &mut seeded.refresh_tokens, followed).await.is_ok());
}

#[tokio::test]
async fn a_bare_loop_updates_sessions_of_a_copy() {
    let (database, seeded) = seeded(false).await;
    let revoke = "update sessions set revoked_at = created_at, revoked_why = 'logout'
                  where id = (select min(id) from sessions)";
    assert_eq!(rusqlite::Connection::open(database.file()).unwrap().execute(revoke, []).unwrap(), 1);
    let before = std::fs::read(database.file()).unwrap();
    let mut bare_loop = BareLoop::on_copy_of(&database.file()).unwrap();
    for _ in 0..2 {
        assert!(bare_loop.one_by_one(SHORT).unwrap() > 0.0);
        // More than once around, or it would not show that generations are followed.
        let updates = bare_loop.in_groups(SHORT).unwrap() * SHORT.as_secs_f64();
        assert!(updates >= 64.0, "{updates} of {}", seeded.sessions);
    }
    assert!(std::fs::read(database.file()).unwrap() == before);
}

#[tokio::test]
async fn a_file_that_a_server_has_open_is_not_copied() {
    let (database, _) = seeded(false).await;
    let _running = Server::start_on(&database, &server(), &[]).unwrap();
    let error = BareLoop::on_copy_of(&database.file()).unwrap_err().to_string();
    assert!(error.starts_with("a server has "), "{error}");
}

#[tokio::test]
async fn a_route_answers_what_a_server_answered() {
    let (database, mut seeded) = seeded(false).await;
    let credential = credential(&database);
    let running = Server::start_on(&database, &server(), &[]).unwrap();
    let access_tokens = access_tokens(running.address, &mut seeded.refresh_tokens, 4).await.unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_ostiary-bench"));
    let mut wire = Wire::open(running.address).await.unwrap();
    for request in [request_of_me(&access_tokens[0]), request_of_introspect(&credential, &access_tokens[0])] {
        wire.ask(&request).await.unwrap();
        let answer = wire.answer().to_vec();
        let route = Route::start(program, &answer).unwrap();
        let mut to_route = Wire::open(route.address).await.unwrap();
        to_route.ask(&request).await.unwrap();
        assert_eq!(lines(to_route.answer()), lines(&answer));
        assert!(me(route.address, &access_tokens, CONNECTIONS, SHORT).await.unwrap() > 0.0);
        let asked = introspect(route.address, &credential, &access_tokens, CONNECTIONS, SHORT).await;
        assert!(asked.unwrap() > 0.0);
    }
}

/// What an answer says, but for the time, in the order of the text.
fn lines(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let mut lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}
