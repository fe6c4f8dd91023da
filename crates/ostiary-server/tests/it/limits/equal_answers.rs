//! A login that fails tells nobody why.

use prometheus_client::{encoding::text::encode, registry::Registry};

use super::*;

/// The status, the headers and the body of an answer, without what names the request.
async fn bytes_of(answer: Response) -> String {
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    format!("{}\n{}\n\n{}", answer.status(), headers.join("\n"), answer.text().await.unwrap())
}

/// How many hashes were begun for devices that are not known.
fn hashes(server: &Server) -> u64 {
    let mut registry = Registry::default();
    server.app.ostiary.hasher.metrics().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let name = "ostiary_hash_lane_wait_seconds_count{standing=\"unknown\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[rstest]
#[tokio::test]
async fn unknown_wrong_disabled_without_a_password_and_locked_look_the_same_and_cost_the_same_work(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Limited { server, .. } = Limited::start(on, Counted::InMemory).await;
    for username in ["wrong", "disabled", "without", "locked"] {
        register(&server, username).await;
    }
    let of = |username: &str| {
        format!("id = (select user_id from contacts where value = '{username}' and kind = 'second_login')")
    };
    let no = if on == On::Sqlite { "0" } else { "false" };
    server.execute(&format!("update users set active = {no} where {}", of("disabled")));
    server.execute(&format!("update users set password_hash = null where {}", of("without")));
    let locks = "insert into password_locks (user_id, locked_at)";
    let at = if on == On::Sqlite { "1" } else { "now()" };
    server.execute(&format!("{locks} select id, {at} from users where {}", of("locked")));

    let mut answers = Vec::new();
    let cases = [
        ("wrong", "wrong horse"),
        ("unknown", PASSWORD),
        ("disabled", PASSWORD),
        ("without", PASSWORD),
        ("locked", PASSWORD),
        ("locked", "wrong horse"),
        ("+78121234567", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("\u{0}", PASSWORD),
    ];
    for (login, password) in cases {
        let events = || server.query::<i64>("select count(*) from audit_events");
        let before = (hashes(&server), events());
        answers.push((login, bytes_of(server.login(login, password).await).await));
        let after = (hashes(&server), events());
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{login}");
    }
    assert!(answers[0].1.starts_with("401"), "{}", answers[0].1);
    for (login, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{login}");
    }
}
