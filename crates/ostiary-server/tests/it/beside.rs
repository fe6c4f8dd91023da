//! The replaced service beside Ostiary, on a database that Ostiary made: its four functions, called exactly as
//! that service calls them.

use ostiary_core::refresh_token::ForeignToken;
use rstest::rstest;
use serde_json::{Value, json};
use tokio_postgres::{
    Client, GenericClient, NoTls,
    types::{Json, ToSql, Type},
};
use uuid::Uuid;

use crate::support::{On, Server, Tokens, canary, refusal, registration};

/// Written by passlib 1.7.4 with bcrypt 4.0.1: `bcrypt.using(rounds=12).hash("correct horse")`.
const HASH: &str = "$2b$12$TxZc2ZpIWeoDt6Odx0SkmepB8DExVVjWmVpMohAL3SVe8DmdmUf9u";

/// A refresh token as the replaced service makes them, and what it keeps of it.
fn foreign_token(seed: char) -> (String, String) {
    let token = seed.to_string().repeat(85) + "A";
    canary::plant("token of the replaced service", &token);
    let hash = ForeignToken::parse(&token).unwrap().hash();
    (token, hash.as_str().to_owned())
}

/// The replaced service: what it asks of the database. As its driver does, it leaves the types of parameters to
/// the database, and gives an id as text where that is what the function takes.
struct OldService(Client);

impl OldService {
    async fn on(server: &Server) -> Self {
        let url = server.place.postgres().url();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    /// Registers what was typed, and issues a refresh token, in one transaction.
    async fn register(&mut self, payload: &Value, token_hash: &str) -> Result<Uuid, String> {
        let transaction = self.0.transaction().await.unwrap();
        let sql = "SELECT * FROM accounts.create_user_with_relations($1::jsonb)";
        let made = transaction.query_one(sql, &[&Json(payload)]).await;
        let row = made.map_err(|error| error.as_db_error().unwrap().message().to_owned())?;
        let user_id: Uuid = row.get("id");
        issue_with(&transaction, user_id, token_hash, "2099-01-01T00:00:00").await;
        transaction.commit().await.unwrap();
        Ok(user_id)
    }

    async fn find(&self, login: &str) -> Option<(Uuid, String)> {
        let sql = "SELECT * FROM accounts.get_active_user_contact_by_value($1)";
        let row = self.0.query_opt(sql, &[&login]).await.unwrap()?;
        Some((row.get("user_id"), row.get("password_hash")))
    }

    async fn issue(&self, user_id: Uuid, token_hash: &str, expires_at: &str) {
        issue_with(&self.0, user_id, token_hash, expires_at).await;
    }

    async fn consume(&self, token_hash: &str) -> Option<String> {
        let row = self.0.query_one("SELECT auth.consume_refresh_token($1)::text", &[&token_hash]).await;
        row.unwrap().get(0)
    }
}

async fn issue_with(client: &impl GenericClient, user_id: Uuid, token_hash: &str, expires_at: &str) {
    let statement = client.prepare("SELECT auth.create_refresh_token($1, $2, $3)").await.unwrap();
    let text = user_id.to_string();
    let id: &(dyn ToSql + Sync) = if statement.params()[0] == Type::UUID { &user_id } else { &text };
    client.query(&statement, &[id, &token_hash, &expires_at]).await.unwrap();
}

fn payload(username: &str) -> Value {
    json!({
        "second_login": username, "phone": null, "email": null, "profile": {"first_name": "Anna"},
        "group_names": ["customer", "courier"], "password_hash": HASH,
    })
}

fn invalid() -> (u16, Value) {
    (401, json!({"detail": "Invalid refresh token"}))
}

#[tokio::test]
async fn a_user_whom_the_replaced_service_registered_logs_in_here_in_any_spelling() {
    let server = Server::start_with(On::Postgres, &[("PASSWORD_SCHEME", "bcrypt")]).await;
    let mut old = OldService::on(&server).await;
    let mut body = payload("AnnA");
    body["phone"] = "8 (999) 123-45-67".into();
    body["email"] = "Anna@Example.com".into();
    old.register(&body, &foreign_token('a').1).await.unwrap();
    for login in ["AnnA", "anna", "ANNA", "anna@example.com", "+79991234567", "8 999 123 45 67"] {
        Tokens::from(server.login(login, "correct horse").await).await;
    }
    assert_eq!(
        server.query::<String>("select password_hash from users"),
        HASH,
        "the other service reads it too"
    );
    let typed = "select string_agg(typed, ' ' order by kind) from contacts";
    assert_eq!(server.query::<String>(typed), "Anna@Example.com 8 (999) 123-45-67 AnnA");
    let groups = "select string_agg(group_name, ' ' order by group_name) from memberships";
    assert_eq!(server.query::<String>(groups), "courier customer");
}

#[tokio::test]
async fn a_user_who_registered_here_logs_in_at_the_replaced_service() {
    let server = Server::start_with(On::Postgres, &[("PASSWORD_SCHEME", "bcrypt")]).await;
    let mut body = registration("Straße");
    body["email"] = Value::Null;
    Tokens::from(server.post("/api/v1/auth/register", &body).await).await;
    let old = OldService::on(&server).await;
    for login in ["Straße", "STRASSE", "strasse"] {
        let (_, hash) = old.find(login).await.unwrap_or_else(|| panic!("{login} is not found"));
        assert!(hash.starts_with("$2b$12$"), "{hash}");
    }
    server.register("boris").await;
    assert!(old.find("Boris").await.is_some());
    assert_eq!(old.find("boris@example.com").await, old.find("Boris").await);
    assert_eq!(old.find("nobody").await, None);
    server.execute("update users set active = false");
    assert_eq!(old.find("boris").await, None);
}

#[tokio::test]
async fn a_contact_is_one_users_whichever_service_registers() {
    let server = Server::start(On::Postgres).await;
    server.register("anna").await;
    let mut old = OldService::on(&server).await;
    let error = old.register(&payload("ANNA"), &foreign_token('a').1).await.unwrap_err();
    assert!(error.contains("second_login already exists"), "{error}");
    let mut unknown = payload("boris");
    unknown["group_names"] = json!(["customer", "nope"]);
    let error = old.register(&unknown, &foreign_token('b').1).await.unwrap_err();
    assert!(error.contains("Group nope not found"), "{error}");
    assert_eq!(server.query::<i64>("select count(*) from users"), 1);
    assert_eq!(server.query::<i64>("select count(*) from refresh_tokens"), 0);
}

#[rstest]
#[tokio::test]
async fn a_refresh_token_of_the_replaced_service_becomes_a_session(
    #[values(On::Postgres, On::PgBouncer, On::Adopted)] on: On,
) {
    let server = Server::start(on).await;
    let mut old = OldService::on(&server).await;
    let (token, hash) = foreign_token('a');
    let user_id = old.register(&payload("anna"), &hash).await.unwrap();

    // All who hold the token are given the same session while nobody has used it.
    let racers = (0..8).map(|_| server.refresh(&token));
    let mut first = Vec::new();
    for racer in racers {
        first.push(Tokens::from(racer.await).await.refresh);
    }
    first.dedup();
    assert_eq!(first.len(), 1);
    assert_eq!(server.query::<i64>("select count(*) from sessions"), 1);
    let owner = "select user_id::text from sessions";
    assert_eq!(server.query::<String>(owner), user_id.to_string());
    assert_eq!(old.consume(&hash).await, None, "it is spent for the other service too");

    let second = Tokens::from(server.refresh(&first[0]).await).await.refresh;
    // The session has gone on: whoever comes with the old token now holds a copy.
    assert_eq!(refusal(server.refresh(&token).await).await, invalid());
    assert_eq!(refusal(server.refresh(&second).await).await, invalid());
    let events = "select string_agg(action, ' ' order by action) from audit_events where user_id is not null";
    assert_eq!(server.query::<String>(events), "refresh_token_exchanged refresh_token_reused");
}

#[tokio::test]
async fn a_refresh_token_of_the_replaced_service_that_is_not_good_is_refused() {
    let server = Server::start(On::Postgres).await;
    let mut old = OldService::on(&server).await;
    let (token, hash) = foreign_token('a');
    let user_id = old.register(&payload("anna"), &hash).await.unwrap();
    assert_eq!(old.consume(&hash).await, Some(user_id.to_string()));
    assert_eq!(refusal(server.refresh(&token).await).await, invalid(), "spent at the other service");

    let (expired, hash) = foreign_token('b');
    old.issue(user_id, &hash, "2020-01-01T00:00:00+00:00").await;
    assert_eq!(refusal(server.refresh(&expired).await).await, invalid(), "expired");

    assert_eq!(refusal(server.refresh(&foreign_token('c').0).await).await, invalid(), "unknown");

    let (disabled, hash) = foreign_token('d');
    old.issue(user_id, &hash, "2099-01-01T00:00:00+00:00").await;
    server.execute("update users set active = false");
    assert_eq!(refusal(server.refresh(&disabled).await).await, invalid(), "of a disabled user");
    assert_eq!(server.query::<i64>("select count(*) from sessions"), 0);
}

/// What an old client sends for nothing is nothing, and what is no number stays what it is.
#[tokio::test]
async fn what_the_replaced_service_leaves_empty_is_left_out() {
    let server = Server::start(On::Postgres).await;
    let mut old = OldService::on(&server).await;
    for (name, phone) in [("anna", ""), ("boris", " "), ("clara", "no phone"), ("dora", "none")] {
        let mut body = payload(name);
        body["phone"] = phone.into();
        body["email"] = "".into();
        body["group_names"] = Value::Null;
        old.register(&body, &foreign_token(name.chars().next().unwrap()).1).await.unwrap();
    }
    let phones = "select string_agg(value, ', ' order by value) from contacts where kind = 'phone'";
    assert_eq!(server.query::<String>(phones), "no phone, none");
    assert_eq!(server.query::<i64>("select count(*) from contacts"), 6);
}

/// Two users with each other's names, again and again at once: one is told that they are taken, and neither
/// waits for the other for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_that_cross_do_not_block_each_other() {
    let server = std::sync::Arc::new(Server::start(On::Postgres).await);
    let mut clients = tokio::task::JoinSet::new();
    for crossed in [false, true] {
        let server = server.clone();
        clients.spawn(async move {
            let mut old = OldService::on(&server).await;
            for number in 0..200 {
                let (one, other) = (format!("a{number}@example.com"), format!("b{number}@example.com"));
                let (name, email) = if crossed { (other, one) } else { (one, other) };
                let mut body = payload(&name);
                body["email"] = email.into();
                let refused =
                    old.register(&body, &format!("{crossed}{number}")).await.err().unwrap_or_default();
                assert!(refused.is_empty() || refused.ends_with("already exists"), "{refused}");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(server.query::<i64>("select count(*) from users"), 200);
}

/// On two nodes at once, again and again: one session each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_exchanges_of_one_token_on_two_nodes_all_get_one_session() {
    let first = Server::start(On::Postgres).await;
    let second = Server::start_in(first.place.clone(), &[]).await;
    let nodes = std::sync::Arc::new([first, second]);
    let mut old = OldService::on(&nodes[0]).await;
    let user_id = old.register(&payload("anna"), &foreign_token('_').1).await.unwrap();
    for (round, seed) in ('a'..='t').enumerate() {
        let (token, hash) = foreign_token(seed);
        old.issue(user_id, &hash, "2099-01-01T00:00:00+00:00").await;
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..16 {
            let (nodes, token) = (nodes.clone(), token.clone());
            racers.spawn(async move { Tokens::from(nodes[racer % 2].refresh(&token).await).await.refresh });
        }
        let mut tokens = racers.join_all().await;
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "round {round}");
    }
    assert_eq!(nodes[0].query::<i64>("select count(*) from sessions"), 20);
}
