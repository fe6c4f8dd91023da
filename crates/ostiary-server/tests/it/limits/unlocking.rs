//! A password that was shut after too many failures, and the ways in which it is opened again.

use std::process::Command;

use super::*;

const LOCK_SOON: [(&str, &str); 2] = [("LOGIN_LOCK_AFTER", "6"), ("LOGIN_MAX_DELAY", "1")];

async fn lock(server: &Server, login: &str) {
    for _ in 0..6 {
        assert_eq!(server.fail(login).await, (401, None));
        server.clock.advance(seconds(1));
    }
    assert_eq!(server.login(login, PASSWORD).await.status(), 401);
    server.clock.advance(seconds(1));
}

/// Runs a command of the binary beside the server.
fn run(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostiary"));
    command.env_clear().args(arguments).envs(server.place.settings());
    command.env("DATA_DIR", server.place.path().join("data")).env("ENV_FILE", "/dev/null");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[rstest]
#[tokio::test]
async fn an_operator_unlocks_a_password_and_the_failures_before_do_not_count(
    #[values(On::Sqlite, On::Postgres, On::Adopted)] on: On,
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let Limited { server, redis: _redis } = Limited::start_with(on, counted, &LOCK_SOON).await;
    register(&server, "anna").await;
    lock(&server, "anna").await;
    // The clock of the server is the test's, and has not moved since 2026.
    let (code, text) = run(&server, &["user", "unlock", "anna"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("is unlocked"), "{text}");
    for _ in 0..5 {
        assert_eq!(server.fail("anna").await, (401, None));
    }
    server.clock.advance(seconds(1));
    assert_eq!(server.login("anna", PASSWORD).await.status(), 200);

    let (code, text) = run(&server, &["user", "unlock", "ANNA@example.com"]);
    assert!(on == On::Adopted || code == Some(0), "{text}");
    assert!(on == On::Adopted || text.contains("was not locked"), "{text}");
    let (code, text) = run(&server, &["user", "unlock", "nobody"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("there is no active user nobody"), "{text}");
}

#[rstest]
#[tokio::test]
async fn a_changed_password_is_open(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Limited { server, .. } = Limited::start_with(on, Counted::InMemory, &LOCK_SOON).await;
    let tokens = server.register("anna").await;
    lock(&server, "anna").await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another horse" });
    let request = server.http.post(server.url("/api/v1/auth/password/change")).bearer_auth(&tokens.access);
    assert_eq!(request.json(&body).send().await.unwrap().status(), 204);
    server.clock.advance(seconds(1));
    assert_eq!(server.login("anna", "another horse").await.status(), 200);
}

#[rstest]
#[tokio::test]
async fn a_lock_holds_on_all_nodes_and_after_a_restart(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Limited { server, .. } = Limited::start_with(on, Counted::InMemory, &LOCK_SOON).await;
    register(&server, "anna").await;
    lock(&server, "anna").await;
    let (_, place) = server.stop().await;
    let server = node(&place, None, &[]).await;
    assert_eq!(server.login("anna", PASSWORD).await.status(), 401);
}

/// The store is away when the password should be shut: the next failure shuts it.
#[tokio::test]
async fn a_lock_that_could_not_be_written_is_written_by_the_next_failure() {
    let Limited { server, .. } = Limited::start_with(On::Sqlite, Counted::InMemory, &LOCK_SOON).await;
    register(&server, "anna").await;
    server.execute(
        "create trigger fault before insert on password_locks begin select raise(abort, 'fault'); end",
    );
    for _ in 0..7 {
        assert_eq!(server.fail("anna").await, (401, None));
        server.clock.advance(seconds(1));
    }
    assert_eq!(server.query::<i64>("select count(*) from password_locks"), 0);
    server.execute("drop trigger fault");
    assert_eq!(server.fail("anna").await, (401, None));
    server.clock.advance(seconds(1));
    assert_eq!(server.login("anna", PASSWORD).await.status(), 401);
}
