//! Registration and login beyond the contract's cases.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Server, Tokens, refusal, registration};

fn invalid() -> (u16, Value) {
    (401, json!({"detail": "Invalid credentials"}))
}

async fn register(server: &Server, change: impl FnOnce(&mut Value)) -> (u16, Value) {
    let mut body = registration("anna");
    change(&mut body);
    refusal(server.post("/api/v1/auth/register", &body).await).await
}

fn first_error(answer: &(u16, Value)) -> (u16, &str, &Value) {
    (answer.0, answer.1["detail"][0]["type"].as_str().unwrap_or_default(), &answer.1["detail"][0]["loc"])
}

#[rstest]
#[tokio::test]
async fn whoever_registers_in_one_spelling_logs_in_by_another(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let answer = register(&server, |body| {
        body["second_login"] = "Анна-7".into();
        body["phone"] = "8 (916) 765-43-21".into();
        body["email"] = "Anna@Example.COM".into();
    });
    assert_eq!(answer.await.0, 200);
    for login in ["анна-7", "АННА-7", " Анна-7 ", "+79167654321", "8-916-765-43-21", "anna@example.com"]
    {
        assert_eq!(server.login(login, "correct horse").await.status(), 200, "{login}");
    }
}

#[rstest]
#[tokio::test]
async fn a_contact_in_another_spelling_is_taken_too(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let first = registration("anna");
    server.post("/api/v1/auth/register", &first).await;
    let phone = first["phone"].as_str().unwrap().replace("+7", "8");
    for (member, value) in [("second_login", "ANNA"), ("phone", &phone), ("email", "ANNA@EXAMPLE.com")] {
        let mut second = registration("boris");
        second[member] = value.into();
        let answer = refusal(server.post("/api/v1/auth/register", &second).await).await;
        assert_eq!(answer, (400, json!({"detail": format!("{member} already exists")})));
    }
}

#[rstest]
#[tokio::test]
async fn names_that_could_be_taken_for_another_kind_are_refused(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    for username in ["a@b", "89161234567", "+7 916 123-45-67", "a\u{0}b", "ab\u{202e}c", "a\u{200b}b"] {
        let answer = register(&server, |body| body["second_login"] = username.into()).await;
        assert_eq!(
            first_error(&answer),
            (422, "username_invalid", &json!(["body", "second_login"])),
            "{answer:?}"
        );
    }
    for phone in ["not a number", "+0000000000", "+99912345678901"] {
        let answer = register(&server, |body| body["phone"] = phone.into()).await;
        assert_eq!(first_error(&answer), (422, "phone_invalid", &json!(["body", "phone"])), "{answer:?}");
    }
    for email in ["a@b..co", "a..b@example.com", "a@-b.com"] {
        let answer = register(&server, |body| body["email"] = email.into()).await;
        assert_eq!(first_error(&answer), (422, "email_invalid", &json!(["body", "email"])), "{answer:?}");
    }
}

#[rstest]
#[tokio::test]
async fn common_passwords_are_refused_without_repeating_them(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    for password in ["password", "12345678", "anna@example.com", "qwertyuiop"] {
        let answer = register(&server, |body| body["password"] = password.into()).await;
        assert_eq!(first_error(&answer), (422, "password_too_common", &json!(["body", "password"])));
        assert!(answer.1["detail"][0].get("input").is_none());
    }
    let lax = Server::start_with(on, &[("PASSWORD_MIN_SCORE", "0")]).await;
    assert_eq!(register(&lax, |body| body["password"] = "password".into()).await.0, 200);
    let strict = Server::start_with(on, &[("PASSWORD_MIN_SCORE", "4")]).await;
    let answer = register(&strict, |_| ()).await;
    assert_eq!(first_error(&answer).1, "password_too_common");
}

#[rstest]
#[tokio::test]
async fn a_common_password_is_reported_beside_everything_else_in_the_order_of_the_fields(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let answer = register(&server, |body| {
        body["email"] = "x".into();
        body["password"] = "password".into();
        body["group_names"] = json!([]);
    });
    let (_, body) = answer.await;
    let kinds: Vec<&str> =
        body["detail"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["string_pattern_mismatch", "password_too_common", "too_short"]);
}

#[rstest]
#[tokio::test]
async fn the_length_of_a_password_is_counted_in_characters(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    for (password, kind) in [
        ("\u{1f40e}".repeat(7), "string_too_short"),
        ("e\u{301}".repeat(3), "string_too_short"),
        ("correct horse ".repeat(19), "string_too_long"),
        ("correct\0horse".to_owned(), "null_character"),
    ] {
        let answer = register(&server, |body| body["password"] = password.clone().into()).await;
        assert_eq!(first_error(&answer), (422, kind, &json!(["body", "password"])), "{password}");
    }
    let longest: String = "correct horse battery staple ".repeat(9).chars().take(256).collect();
    for (name, password) in [
        ("horses", "\u{1f40e}\u{1f42e}\u{1f416}\u{1f411}\u{1f413}\u{1f986}\u{1f408}\u{1f415}"),
        ("longest", longest.as_str()),
    ] {
        let mut body = registration(name);
        body["password"] = password.into();
        assert_eq!(server.post("/api/v1/auth/register", &body).await.status(), 200, "{name}");
        assert_eq!(server.login(name, password).await.status(), 200, "{name}");
        let shorter: String = password.chars().take(password.chars().count() - 1).collect();
        assert_eq!(refusal(server.login(name, &shorter).await).await, invalid());
        assert_eq!(refusal(server.login(name, &format!("{password}x")).await).await, invalid());
    }
}

#[rstest]
#[tokio::test]
async fn hashes_of_the_replaced_service_log_in_and_are_replaced_once(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    server.register("anna").await;
    // Written by passlib 1.7.4 with bcrypt 4.0.1: `bcrypt.using(rounds=12).hash("correct horse")`.
    let old = "$2b$12$TxZc2ZpIWeoDt6Odx0SkmepB8DExVVjWmVpMohAL3SVe8DmdmUf9u";
    server.execute(&format!("update users set password_hash = '{old}'"));
    assert_eq!(server.login("anna", "wrong horse").await.status(), 401);
    assert_eq!(server.query::<String>("select password_hash from users"), old);
    assert_eq!(server.login("anna", "correct horse").await.status(), 200);
    let new: String = server.query("select password_hash from users");
    assert!(new.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{new}");
    assert_eq!(server.login("anna", "correct horse").await.status(), 200);
    assert_eq!(server.query::<String>("select password_hash from users"), new);
}

#[rstest]
#[tokio::test]
async fn under_bcrypt_passwords_that_it_would_cut_are_refused(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("PASSWORD_SCHEME", "bcrypt")]).await;
    let answer = register(&server, |body| body["password"] = "correct horse ".repeat(6).into()).await;
    assert_eq!(first_error(&answer).1, "password_too_long");
    server.register("anna").await;
    assert!(server.query::<String>("select password_hash from users").starts_with("$2b$12$"));
    assert_eq!(server.login("anna", "correct horse").await.status(), 200);
}

#[rstest]
#[tokio::test]
async fn a_corrupt_or_absent_hash_is_a_failed_login(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("RATE_LIMITS", "off")]).await;
    server.register("anna").await;
    for hash in [
        "''",
        "'x'",
        "'$argon2id$v=19$m=19456,t=2,p=1$'",
        "'$2b$12$short'",
        "'$argon2id$v=19$m=4000000,t=2,p=1$c29tZXNhbHQ$AAAA'",
        "null",
    ] {
        server.execute(&format!("update users set password_hash = {hash}"));
        assert_eq!(refusal(server.login("anna", "correct horse").await).await, invalid(), "{hash}");
    }
}

#[rstest]
#[tokio::test]
async fn all_failures_of_a_login_look_the_same(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    server.register("anna").await;
    server.register("boris").await;
    server.register("clara").await;
    server.execute(
        "update users set active = false where id in (select user_id from contacts where value = 'boris')",
    );
    server.execute("update users set password_hash = null where id in (select user_id from contacts where value = 'clara')");
    let mut answers = Vec::new();
    let long = "x".repeat(300);
    for (login, password) in [
        ("nobody", "correct horse"),
        ("anna", "wrong horse"),
        ("boris", "correct horse"),
        ("clara", "correct horse"),
        ("\0", "correct horse"),
        ("anna", "correct\0horse"),
        ("a@b@c", "correct horse"),
        ("anna", &long),
        (&long, "correct horse"),
    ] {
        let answer = server.login(login, password).await;
        let status = answer.status();
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            .filter(|(name, _)| *name != "date" && *name != "x-request-id")
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort();
        answers.push((status, headers, answer.text().await.unwrap()));
    }
    let first = answers[0].clone();
    assert_eq!((first.0.as_u16(), first.2.as_str()), (401, r#"{"detail":"Invalid credentials"}"#));
    assert!(answers.iter().all(|answer| *answer == first), "{answers:#?}");
}

#[rstest]
#[tokio::test]
async fn a_login_opens_a_session_with_its_audit_event(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    server.register("anna").await;
    server.clock.advance(jiff::SignedDuration::from_millis(1));
    Tokens::from(server.login("anna", "correct horse").await).await;
    let first =
        "select action || ' ' || address from audit_events where user_id is not null order by id limit 1";
    let last = "select action || ' ' || address from audit_events where user_id is not null order by id desc limit 1";
    assert_eq!(server.query::<String>(first), "user_registered 127.0.0.1");
    assert_eq!(server.query::<String>(last), "user_logged_in 127.0.0.1");
    assert_eq!(server.query::<i64>("select count(*) from audit_events where user_id is not null"), 2);
    assert_eq!(server.query::<i64>("select count(*) from sessions"), 2);
}

#[rstest]
#[tokio::test]
async fn more_logins_than_the_lane_can_start_in_time_are_refused_at_once_with_a_time_to_retry(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = std::sync::Arc::new(
        Server::start_with(on, &[("HASH_THREADS", "1"), ("HASH_DEADLINE", "0.05")]).await,
    );
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let server = server.clone();
        clients.spawn(async move {
            let answer = server.login("nobody", "correct horse").await;
            let retry_after =
                answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            (refusal(answer).await, retry_after)
        });
    }
    let answers = tokio::time::timeout(Duration::from_secs(30), clients.join_all()).await.unwrap();
    let busy = ((503, json!({"detail": "Service temporarily unavailable"})), Some("1".to_owned()));
    assert!(answers.contains(&busy), "{answers:?}");
    assert!(answers.contains(&(invalid(), None)), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == busy || *answer == (invalid(), None)), "{answers:?}");
}

/// `EdDSA` tokens carry the name of a key that the key set has, and verify by it.
#[rstest]
#[tokio::test]
async fn tokens_without_a_shared_secret_verify_by_the_published_key(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start_with(on, &[("JWT_SECRET_KEY", "")]).await;
    let token = server.register("anna").await.access;
    let keys: Value = server.get("/.well-known/jwks.json").await.json().await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!((&key["kty"], &key["crv"], &key["use"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig")));
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ED25519,
        decode(key["x"].as_str().unwrap()),
    );
    public.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &decode(parts[2])).unwrap();
    let claims: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1800);
    assert!(claims.get("aud").is_none());
    let sid = claims["sid"].as_str().unwrap();
    let id = if on == On::Sqlite { "lower(hex(id))" } else { "replace(id::text, '-', '')" };
    let session: String = server.query(&format!("select {id} from sessions"));
    assert_eq!(sid.replace('-', ""), session);
}

#[rstest]
#[tokio::test]
async fn a_shared_secret_is_never_published(#[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On) {
    let server = Server::start(on).await;
    let keys: Value = server.get("/.well-known/jwks.json").await.json().await.unwrap();
    assert_eq!(keys, json!({"keys": []}));
}

/// A number is kept digit by digit, however large or small.
#[rstest]
#[tokio::test]
async fn the_numbers_of_a_profile_are_kept_as_they_were_written(
    #[values(On::Sqlite, On::Postgres, On::PgBouncer)] on: On,
) {
    let server = Server::start(on).await;
    let profile = r#"{"a":18446744073709551617,"b":-0,"c":1e400,"d":0.10000000000000000000000001}"#;
    let body = registration("anna").to_string().replace(r#"{"first_name":"anna"}"#, profile);
    assert_eq!(server.post_raw("/api/v1/auth/register", body).await.status(), 200);
    if on == On::Sqlite {
        assert_eq!(server.query::<String>("select profile from users"), profile.replace("1e400", "1e+400"));
    } else {
        // PostgreSQL keeps numbers, not their spelling: exactly those, and no others.
        assert!(server.query::<bool>(&format!("select profile = '{profile}' from users")));
    }
}
