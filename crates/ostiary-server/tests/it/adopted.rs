//! A database that is somebody else's: Ostiary serves from it, changes nothing that it did not make, and says
//! what it cannot do.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Place, Server, Tokens, command, refusal, registration};

mod self_service;

/// Everything that somebody else has made: definitions, and rows where there should be no new ones.
fn theirs(place: &Place) -> String {
    let database = place.postgres();
    let definitions = database.sql(
        "select string_agg(definition, E'\\n' order by definition) from (
             select pg_get_functiondef(oid) from pg_proc
             where pronamespace in ('accounts'::regnamespace, 'shop'::regnamespace)
                 or proname in ('create_refresh_token', 'consume_refresh_token')
             union all
             select table_schema || '.' || table_name || '.' || column_name || ' ' || data_type
             from information_schema.columns
             where table_schema in ('accounts', 'shop') or table_name = 'refresh_tokens'
             union all
             select schemaname || '.' || tablename || ' ' || indexdef from pg_indexes
             where schemaname in ('accounts', 'shop') or tablename = 'refresh_tokens'
         ) as everything (definition)",
    );
    definitions + &database.sql("select * from auth.refresh_tokens order by 1")
}

#[tokio::test]
async fn nothing_that_is_somebody_elses_is_made_or_changed() {
    let place = std::sync::Arc::new(Place::new(On::Adopted));
    let before = theirs(&place);
    let server = Server::start_in(place.clone(), &[]).await;
    let token = server.register("anna").await.refresh;
    Tokens::from(server.refresh(&token).await).await;
    Tokens::from(server.login("anna", "correct horse").await).await;
    assert_eq!(theirs(&place), before);
    let kept = place
        .postgres()
        .sql("select public_id = (select user_id from auth.sessions limit 1), mobile from shop.people");
    assert!(kept.starts_with("t|+7999"), "{kept}");
    assert_eq!(place.query::<i64>("select count(*) from sessions"), 2);
    assert_eq!(place.query::<i64>("select count(*) from audit_events where user_id is not null"), 2);
}

/// The other service reads what is written here.
#[tokio::test]
async fn what_is_handed_over_is_what_the_replaced_service_gave() {
    let server = Server::start(On::Adopted).await;
    server.place.postgres().sql(
        "create table shop.payloads (data jsonb);
         alter function accounts.create_user_with_relations(jsonb) rename to create_user;
         create function accounts.create_user_with_relations(data jsonb) returns table (id uuid, nickname text)
         language plpgsql as $$
         begin insert into shop.payloads values (data); return query select * from accounts.create_user(data); end $$",
    );
    let mut body = registration("AnnA");
    body["email"] = Value::Null;
    Tokens::from(server.post("/api/v1/auth/register", &body).await).await;
    let payload: Value =
        serde_json::from_str(&server.place.postgres().sql("select data from shop.payloads")).unwrap();
    let members: Vec<&String> = payload.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 6, "{members:?}");
    assert_eq!(payload["second_login"], "AnnA", "a name stays as it is typed");
    assert_eq!((&payload["phone"], &payload["email"]), (&body["phone"], &Value::Null));
    assert_eq!((&payload["profile"], &payload["group_names"]), (&body["profile"], &json!(["customer"])));
    assert!(
        payload["password_hash"].as_str().unwrap().starts_with("$2b$12$"),
        "the other service verifies it"
    );
}

#[tokio::test]
async fn a_name_is_looked_up_as_it_is_typed_and_then_folded() {
    let server = Server::start(On::Adopted).await;
    let people = "insert into shop.people (nickname, secret) values";
    let hash = "$2b$12$TxZc2ZpIWeoDt6Odx0SkmepB8DExVVjWmVpMohAL3SVe8DmdmUf9u";
    server.execute(&format!("{people} ('Anna', '{hash}'), ('boris', '{hash}')"));
    for (login, status) in [("Anna", 200), (" Anna ", 200), ("anna", 401), ("boris", 200), ("BORIS", 200)] {
        assert_eq!(server.login(login, "correct horse").await.status(), status, "{login}");
    }
    server.execute("update shop.people set blocked = true");
    assert_eq!(server.login("boris", "correct horse").await.status(), 401);
}

#[tokio::test]
async fn an_endpoint_whose_function_is_missing_says_which() {
    let place = std::sync::Arc::new(Place::new(On::Adopted));
    place.execute(
        "drop function accounts.create_user_with_relations(jsonb); drop function auth.consume_refresh_token(text)",
    );
    let server = Server::start_in(place, &[]).await;
    let answer = server.post("/api/v1/auth/register", &registration("anna")).await;
    let missing =
        json!({"detail": "The database has no function accounts.create_user_with_relations(jsonb)"});
    assert_eq!(refusal(answer).await, (501, missing));
    let unknown = server.refresh(&"A".repeat(86)).await;
    assert_eq!(refusal(unknown).await, (401, json!({"detail": "Invalid refresh token"})));
}

/// Without `accounts.is_active` a session lasts until its end; with it, until its user is disabled.
#[tokio::test]
async fn a_directory_that_can_say_who_is_active_ends_the_sessions_of_others() {
    let server = Server::start(On::Adopted).await;
    let token = server.register("anna").await.refresh;
    server.execute("update shop.people set blocked = true");
    let token = Tokens::from(server.refresh(&token).await).await.refresh;
    server.execute(
        "create function accounts.is_active(person uuid) returns boolean language plpgsql stable as
         $$ begin return exists (select from shop.people where public_id = person and not blocked); end $$",
    );
    assert_eq!(server.refresh(&token).await.status(), 401);
    server.execute("update shop.people set blocked = false");
    Tokens::from(server.refresh(&token).await).await;
}

/// Functions may take more than they are given, and texts of other types.
#[tokio::test]
async fn functions_of_other_shapes_are_called_as_sql_would_call_them() {
    let place = std::sync::Arc::new(Place::new(On::Adopted));
    place.execute(
        "create function accounts.is_active(person uuid, strictly boolean default true)
         returns boolean language plpgsql stable as
         $$ begin return exists (select from shop.people where public_id = person and not blocked); end $$;
         alter function accounts.get_active_user_contact_by_value(text) rename to find;
         create function accounts.get_active_user_contact_by_value(varchar)
         returns table (user_id varchar, password_hash varchar, contact_id bigint) language sql volatile as
         $$ select user_id::varchar, password_hash::varchar, contact_id from accounts.find($1) $$",
    );
    let server = Server::start_in(place, &[]).await;
    server.register("anna").await;
    let token = Tokens::from(server.login("anna", "correct horse").await).await.refresh;
    server.execute("update shop.people set blocked = true");
    assert_eq!(server.refresh(&token).await.status(), 401);
}

/// A look-up that takes its time holds up nobody else.
#[tokio::test]
async fn a_slow_look_up_leaves_the_rest_alone() {
    let server = std::sync::Arc::new(Server::start(On::Adopted).await);
    let token = server.register("anna").await.refresh;
    server.execute(
        "alter function accounts.get_active_user_contact_by_value(text) rename to find;
         create function accounts.get_active_user_contact_by_value(login text)
         returns table (contact_id bigint, user_id uuid, password_hash text) language plpgsql as
         $$ begin perform pg_sleep(0.5); return query select * from accounts.find(login); end $$",
    );
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..7 {
        let server = server.clone();
        logins.spawn(async move { server.login("anna", "correct horse").await.status().as_u16() });
    }
    let begin = std::time::Instant::now();
    assert_eq!(server.get("/readyz").await.status(), 200);
    Tokens::from(server.refresh(&token).await).await;
    assert!(begin.elapsed() < std::time::Duration::from_millis(450), "{:?}", begin.elapsed());
    assert!(logins.join_all().await.into_iter().all(|status| status == 200 || status == 503));
}

#[tokio::test]
async fn weak_hashes_are_replaced_where_the_directory_can() {
    let place = std::sync::Arc::new(Place::new(On::Adopted));
    let replace = "create function accounts.replace_password_hash(person uuid, old text, new text)
         returns boolean language plpgsql as $$
         begin
             update shop.people set secret = new where public_id = person and secret = old;
             return found;
         end $$";
    let weak = "$2b$04$zTlXdrHQ5yVkxzNvX8YVxuK8Us4hdSlpYuUYnqBNwHNyl8yXkdBJu";
    let server = Server::start_in(place.clone(), &[]).await;
    server.register("anna").await;
    let strong = server.place.postgres().sql("select secret from shop.people");
    server.execute(&format!("update shop.people set secret = '{weak}'"));
    // The hash is of another password: it stays.
    assert_eq!(server.login("anna", "wrong horse").await.status(), 401);
    assert_eq!(server.place.postgres().sql("select secret from shop.people"), weak);
    server.execute(&format!("update shop.people set secret = '{strong}'"));
    let argon2 = Server::start_in(place.clone(), &[("PASSWORD_SCHEME", "argon2id")]).await;
    Tokens::from(argon2.login("anna", "correct horse").await).await;
    assert_eq!(
        server.place.postgres().sql("select secret from shop.people"),
        strong,
        "it cannot be replaced"
    );
    server.execute(replace);
    let argon2 = Server::start_in(place, &[("PASSWORD_SCHEME", "argon2id")]).await;
    Tokens::from(argon2.login("anna", "correct horse").await).await;
    assert!(server.place.postgres().sql("select secret from shop.people").starts_with("$argon2id$"));
}

/// What a foreign function raises: a message that the client is meant to read, or a defect.
#[rstest]
#[case("E'mobile already exists\\nask for another'", 400, "mobile already exists")]
#[case("'Shop not found'", 400, "Shop not found")]
#[case("'the shop burns, mail anna@example.com'", 500, "Internal Server Error")]
#[tokio::test]
async fn an_error_of_a_foreign_function_is_passed_on_if_it_is_for_the_client(
    #[case] message: &str,
    #[case] status: u16,
    #[case] detail: &str,
) {
    let server = Server::start(On::Adopted).await;
    server.execute(&format!(
        "create or replace function accounts.create_user_with_relations(data jsonb)
         returns table (id uuid, nickname text) language plpgsql
         as $$ begin raise exception '%', {message}; end $$"
    ));
    let answer = server.post("/api/v1/auth/register", &registration("anna")).await;
    assert_eq!(refusal(answer).await, (status, json!({ "detail": detail })));
    assert_eq!(server.query::<i64>("select count(*) from sessions"), 0);
}

/// Whatever a foreign function has done is undone when there is no account for the session.
#[tokio::test]
async fn a_function_that_returns_no_account_leaves_nothing_behind() {
    let server = Server::start(On::Adopted).await;
    server.execute(
        "create or replace function accounts.create_user_with_relations(data jsonb)
         returns table (id uuid, nickname text) language plpgsql
         as $$ begin insert into shop.people (nickname) values (data ->> 'second_login'); end $$",
    );
    let answer = server.post("/api/v1/auth/register", &registration("anna")).await;
    assert_eq!(refusal(answer).await.0, 500);
    assert_eq!(server.place.postgres().sql("select count(*) from shop.people"), "0");
}

/// A login tells nobody who is there, whatever words the directory has for it.
#[tokio::test]
async fn an_error_of_the_look_up_is_not_passed_on() {
    let server = Server::start(On::Adopted).await;
    server.execute(
        "create or replace function accounts.get_active_user_contact_by_value(contact text)
         returns table (contact_id bigint, user_id uuid, password_hash text) language plpgsql
         as $$ begin raise exception 'User % not found', contact; end $$",
    );
    let answer = refusal(server.login("anna", "correct horse").await).await;
    assert_eq!(answer, (500, json!({"detail": "Internal Server Error"})));
}

#[test]
fn functions_that_cannot_be_called_are_named_at_the_start() {
    for (change, named) in [
        (
            "drop function accounts.create_user_with_relations(jsonb);
             create function accounts.create_user_with_relations(name text, phone text) returns uuid
             language sql as 'select gen_random_uuid()'",
            "accounts.create_user_with_relations(jsonb)",
        ),
        (
            "drop function accounts.get_active_user_contact_by_value(text);
             create function accounts.get_active_user_contact_by_value(text) returns table (id uuid, password text)
             language sql as 'select null::uuid, null::text'",
            "accounts.get_active_user_contact_by_value(text)",
        ),
        (
            "drop function accounts.get_active_user_contact_by_value(text);
             create function accounts.get_active_user_contact_by_value(text)
             returns table (user_id bigint, password_hash text) language sql as 'select 1::bigint, null::text'",
            "accounts.get_active_user_contact_by_value(text)",
        ),
        (
            "create function accounts.is_active(bigint) returns boolean language sql as 'select true'",
            "accounts.is_active(uuid)",
        ),
    ] {
        let place = Place::new(On::Adopted);
        place.execute(change);
        let (code, error) = start_and_fail(&place, &[]);
        assert_eq!(code, 1);
        assert!(error.contains(named) && error.contains("docs/adopting.md"), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_not_replaced() {
    let server = Server::start(On::Adopted).await;
    let (_, place) = server.stop().await;
    place.execute("drop function accounts.get_active_user_contact_by_value(text)");
    let (code, error) = start_and_fail(&place, &[]);
    assert!(code == 1 && error.contains("accounts.get_active_user_contact_by_value(text)"), "{error}");
    assert_eq!(place.postgres().sql("select count(*) from pg_tables where schemaname = 'accounts'"), "0");
}

/// The binary on the data of `place`, which cannot start: its exit code and what it says.
fn start_and_fail(place: &Place, arguments: &[&str]) -> (i32, String) {
    let settings = place.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = command(place.path(), &settings).args(arguments).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_doctor_lists_what_is_found_and_what_is_missing() {
    let place = Place::new(On::Adopted);
    let settings = place.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = command(place.path(), &settings).arg("doctor").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "found   accounts.get_active_user_contact_by_value(text) (login)",
        "found   accounts.create_user_with_relations(jsonb) (registration)",
        "missing accounts.is_active(uuid)",
        "missing accounts.replace_password_hash(uuid, text, text)",
        "found   auth.consume_refresh_token(text)",
        "Bcrypt",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(place.postgres().sql("select count(*) from pg_class where relname like 'ostiary%'"), "0");
}
