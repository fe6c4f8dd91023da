//! Databases that were filled, as a server sees them.

use ostiary_bench::{
    client::Client,
    seed::{PASSWORD, Seeded, username},
    server::Server,
    wire::Wire,
    work::request_of_me,
};
use serde_json::{Value, json};

use crate::{USERS, seeded, server};

async fn assert_seeded_users_are_as_if_they_had_registered(postgres: bool) {
    let (database, Seeded { users, sessions, refresh_tokens }) = seeded(postgres).await;
    assert_eq!((users, sessions, refresh_tokens.len()), (USERS, 2 * USERS, 2 * USERS / 10));
    let running = Server::start_on(&database, &server(), &[]).unwrap();
    let client = Client::http1(running.address);

    let names = [username(42), "8 (998) 000-00-42".to_owned(), "Seed0000042@example.com".to_owned()];
    for login in names {
        let answer =
            client.post("/api/v1/auth/login", &json!({"login": login, "password": PASSWORD}), None).await;
        assert_eq!(answer.status, 200, "{login}: {}", answer.body);
        let mut wire = Wire::open(running.address).await.unwrap();
        let token = answer.body["access_token"].as_str().unwrap();
        let me: Value = serde_json::from_slice(wire.ask(&request_of_me(token)).await.unwrap()).unwrap();
        assert_eq!(me["contacts"].as_array().unwrap().len(), 3, "{me}");
        assert_eq!((&me["groups"], &me["profile"]["first_name"]), (&json!(["customer"]), &json!("Anna")));
    }

    for token in &refresh_tokens {
        let answer = client.post("/api/v1/auth/refresh", &json!({"refresh_token": token}), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    drop(running);

    let report = database.run(&server(), &["doctor"]).unwrap();
    let sessions = sessions + 3;
    let expected =
        if postgres { format!("sessions {sessions}") } else { format!("{users} users, {sessions} sessions") };
    assert!(report.contains(&expected) && !report.contains("BAD"), "{report}");
}

#[tokio::test]
async fn seeded_users_are_as_if_they_had_registered_on_sqlite() {
    assert_seeded_users_are_as_if_they_had_registered(false).await;
}

#[tokio::test]
async fn seeded_users_are_as_if_they_had_registered_on_postgres() {
    assert_seeded_users_are_as_if_they_had_registered(true).await;
}
