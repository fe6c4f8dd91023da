//! Devices on which a user has logged in before, which nobody elsewhere can lock out.

use super::*;

/// Logs in and asks for a device token.
async fn device_of(server: &Server, login: &str) -> String {
    let answer = server.login_from("203.0.113.1", login, PASSWORD, Some("request")).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    let token = body["device_token"].as_str().unwrap().to_owned();
    canary::plant("device token", &token);
    token
}

#[rstest]
#[case(On::Sqlite, Counted::InMemory)]
#[case(On::Postgres, Counted::InRedis)]
#[tokio::test]
async fn an_attacker_who_fails_a_thousand_times_does_not_lock_the_owner_out(
    #[case] on: On,
    #[case] counted: Counted,
) {
    let more = [("LOGIN_MAX_DELAY", "60")];
    let Limited { server, redis: _redis } = Limited::start_with(on, counted, &more).await;
    register(&server, "anna").await;
    let device = device_of(&server, "anna").await;
    for number in 0..1_000 {
        let answer = server.login_from(&address(number), "anna", "wrong horse", None).await;
        assert_eq!(answer.status(), 401, "{number}");
        server.clock.advance(seconds(60));
    }
    // The password is shut elsewhere by now, and that looks like a wrong one.
    let elsewhere = server.login_from(&address(1_001), "anna", PASSWORD, None).await;
    assert_eq!(refusal(elsewhere).await, (401, json!({"detail": "Invalid credentials"})));
    let own = server.login_from(&address(1_002), "anna", PASSWORD, Some(&device)).await;
    assert_eq!(own.status(), 200);
    // Which opened it elsewhere too.
    assert_eq!(server.login_from(&address(1_003), "anna", PASSWORD, None).await.status(), 200);
    let events: i64 = server.query("select count(*) from audit_events where action = 'password_locked'");
    assert_eq!(events, 1);
    let events: i64 = server.query("select count(*) from audit_events where action = 'password_unlocked'");
    assert_eq!(events, 1);
}

#[rstest]
#[tokio::test]
async fn a_known_device_has_failures_of_its_own_and_for_its_user_alone(
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let Limited { server, redis: _redis } = Limited::start(On::Sqlite, counted).await;
    register(&server, "anna").await;
    register(&server, "boris").await;
    let device = device_of(&server, "anna").await;
    let guess = async |login: &str, device: Option<&str>| {
        status(&server.login_from("203.0.113.1", login, "wrong horse", device).await)
    };
    for _ in 0..5 {
        assert_eq!(guess("anna", None).await, (401, None));
    }
    assert_eq!(guess("anna", None).await, (429, Some(1)));
    for _ in 0..5 {
        assert_eq!(guess("anna", Some(&device)).await, (401, None));
    }
    assert_eq!(guess("anna", Some(&device)).await, (429, Some(1)));
    // Anna's device is nobody's at Boris's account.
    for _ in 0..3 {
        assert_eq!(guess("boris", Some(&device)).await, (401, None));
    }
    for _ in 0..2 {
        assert_eq!(guess("boris", None).await, (401, None));
    }
    assert_eq!(guess("boris", Some(&device)).await, (429, Some(1)));
}

#[tokio::test]
async fn a_hundred_failures_shut_the_password_on_a_known_device_too() {
    let more = [("LOGIN_MAX_DELAY", "1"), ("LOGIN_LOCK_AFTER", "10")];
    let Limited { server, .. } = Limited::start_with(On::Sqlite, Counted::InMemory, &more).await;
    register(&server, "anna").await;
    let (stolen, other) = (device_of(&server, "anna").await, device_of(&server, "anna").await);
    for _ in 0..10 {
        let answer = server.login_from("203.0.113.1", "anna", "wrong horse", Some(&stolen)).await;
        assert_eq!(answer.status(), 401);
        server.clock.advance(seconds(1));
    }
    assert_eq!(server.login_from("203.0.113.1", "anna", PASSWORD, Some(&stolen)).await.status(), 401);
    assert_eq!(server.login_from("203.0.113.1", "anna", PASSWORD, Some(&other)).await.status(), 200);
    assert_eq!(server.login_from("203.0.113.1", "anna", PASSWORD, None).await.status(), 200);
}

#[tokio::test]
async fn a_device_is_forgotten_after_its_time() {
    let more = [("KNOWN_DEVICE_DAYS", "1"), ("LOGIN_MAX_DELAY", "86400")];
    let Limited { server, .. } = Limited::start_with(On::Sqlite, Counted::InMemory, &more).await;
    register(&server, "anna").await;
    let device = device_of(&server, "anna").await;
    let shut_out = async || {
        for _ in 0..5 {
            server.fail("anna").await;
        }
        assert_eq!(server.fail("anna").await.0, 429);
    };
    shut_out().await;
    let login = async |device: &str| server.login_from("203.0.113.1", "anna", PASSWORD, Some(device)).await;
    assert_eq!(login(&device).await.status(), 200);
    server.clock.advance(seconds(86_400));
    shut_out().await;
    assert_eq!(login(&device).await.status(), 429);
    for strange in ["", "odt_", "request, odt_AAAA", &format!("{device}x"), "a, b, c"] {
        assert_eq!(login(strange).await.status(), 429, "{strange:?}");
    }
}

/// What clients of the replaced service get does not change; browsers are given a cookie, others a member on demand.
#[tokio::test]
async fn a_client_is_given_a_token_in_the_way_that_it_can_use() {
    let Limited { server, .. } = Limited::start(On::Sqlite, Counted::InMemory).await;
    register(&server, "anna").await;
    let login = async |headers: &[(&'static str, &str)]| {
        let mut request = server.http.post(server.url("/api/v1/auth/login"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.json(&json!({ "login": "anna", "password": PASSWORD })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        let body: Value = answer.json().await.unwrap();
        let names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        if let Some(token) = body["device_token"].as_str() {
            canary::plant("device token", token);
        }
        (cookie, names)
    };
    let of_contract = ["access_token", "refresh_token", "token_type"];
    let with_device = ["access_token", "refresh_token", "token_type", "device_token"];
    assert_eq!(login(&[]).await, (None, of_contract.map(str::to_owned).to_vec()));
    assert_eq!(
        login(&[("ostiary-device", "request")]).await,
        (None, with_device.map(str::to_owned).to_vec())
    );

    let (cookie, names) = login(&[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(names, of_contract);
    let cookie = cookie.unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let token = pair.strip_prefix("__Host-ostiary-device=odt_").unwrap();
    canary::plant("device token", token);
    assert_eq!(attributes, "Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=Strict");

    // The cookie makes the device known.
    for _ in 0..5 {
        server.fail("anna").await;
    }
    assert_eq!(server.login("anna", PASSWORD).await.status(), 429);
    let cookies = format!("theme=dark; {pair}; other=1");
    assert!(login(&[("cookie", &cookies)]).await.0.is_some());
    for _ in 0..5 {
        server.fail("anna").await;
    }
    let header = format!("odt_{token}");
    assert_eq!(login(&[("ostiary-device", &header)]).await, (None, of_contract.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_registration_makes_its_device_known() {
    let Limited { server, .. } = Limited::start(On::Sqlite, Counted::InMemory).await;
    let request = server.http.post(server.url("/api/v1/auth/register")).header("ostiary-device", "request");
    let answer: Value = request.json(&registration("anna")).send().await.unwrap().json().await.unwrap();
    let device = answer["device_token"].as_str().unwrap().to_owned();
    canary::plant("device token", &device);
    for _ in 0..5 {
        server.fail("anna").await;
    }
    assert_eq!(server.login("anna", PASSWORD).await.status(), 429);
    assert_eq!(server.login_from("203.0.113.1", "anna", PASSWORD, Some(&device)).await.status(), 200);
}
