//! Limits on guessing passwords, on each store, counted in memory and in Redis.

use std::{net::Ipv4Addr, sync::Arc};

use futures_util::future::join_all;
use jiff::SignedDuration;
use ostiary_harness::redis::Redis;
use reqwest::Response;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, PASSWORD, Place, Server, Tokens, canary, refusal, registration};

mod equal_answers;
mod known_devices;
mod page;
mod redis_arithmetic;
mod redis_faults;
mod unlocking;

/// Where guesses are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    InMemory,
    InRedis,
}

/// A server behind a proxy that says where requests come from, and the Redis that it counts in.
struct Limited {
    server: Server,
    redis: Option<Redis>,
}

impl Limited {
    async fn start(on: On, counted: Counted) -> Self {
        Self::start_with(on, counted, &[]).await
    }

    async fn start_with(on: On, counted: Counted, more: &[(&str, &str)]) -> Self {
        let redis = (counted == Counted::InRedis).then(Redis::start);
        let server = node(&Arc::new(Place::new(on)), redis.as_ref(), more).await;
        Self { server, redis }
    }

    /// Another node on the same data, which counts in the same Redis.
    async fn another_node(&self) -> Server {
        node(&self.server.place, self.redis.as_ref(), &[]).await
    }
}

async fn node(place: &Arc<Place>, redis: Option<&Redis>, more: &[(&str, &str)]) -> Server {
    let port = redis.map(|redis| redis.port().to_string());
    // A machine that runs many tests is slow, and counts are to be exact.
    let mut settings = vec![("RATE_LIMITS", "on"), ("TRUSTED_PROXIES", "127.0.0.1"), ("REDIS_TIMEOUT", "10")];
    settings.extend(redis.map(|redis| ("REDIS_HOST", redis.host())));
    settings.extend(port.as_deref().map(|port| ("REDIS_PORT", port)));
    settings.extend_from_slice(more);
    Server::start_in(Arc::clone(place), &settings).await
}

/// An address of an attacker who has many.
fn address(number: u32) -> String {
    Ipv4Addr::from(0xC612_0000 + number).to_string()
}

impl Server {
    /// A login from an address, perhaps on a device that is known by its token.
    async fn login_from(&self, address: &str, login: &str, password: &str, device: Option<&str>) -> Response {
        canary::plant("password", password);
        let request = self.http.post(self.url("/api/v1/auth/login")).header("x-forwarded-for", address);
        let request = match device {
            Some(token) => request.header("ostiary-device", token),
            None => request,
        };
        request.json(&json!({ "login": login, "password": password })).send().await.unwrap()
    }

    async fn fail(&self, login: &str) -> (u16, Option<u64>) {
        status(&self.login(login, "wrong horse").await)
    }
}

/// The status of an answer, and its `Retry-After`.
fn status(answer: &Response) -> (u16, Option<u64>) {
    let retry_after =
        answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), retry_after)
}

fn seconds(count: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap())
}

/// Registers a user with all three contacts, and gives those.
async fn register(server: &Server, username: &str) -> [String; 3] {
    let body = registration(username);
    Tokens::from(server.post("/api/v1/auth/register", &body).await).await;
    ["second_login", "phone", "email"].map(|member| body[member].as_str().unwrap().to_owned())
}

#[rstest]
#[tokio::test]
async fn failures_follow_the_documented_schedule_for_known_and_unknown_users_alike(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let Limited { server, redis: _redis } = Limited::start(on, counted).await;
    register(&server, "anna").await;
    for login in ["anna", "nobody", "\u{0}"] {
        for _ in 0..5 {
            assert_eq!(server.fail(login).await, (401, None), "{login}");
        }
        for delay in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert_eq!(server.fail(login).await, (429, Some(delay)), "{login}");
            // Half of it has passed: the rest is left.
            server.clock.advance(seconds(delay - 1));
            assert_eq!(server.fail(login).await, (429, Some(1)), "{login}");
            server.clock.advance(seconds(1));
            assert_eq!(server.fail(login).await, (401, None), "{login} after {delay} s");
        }
    }
}

#[rstest]
#[tokio::test]
async fn who_has_to_wait_is_told_the_same_whether_the_password_is_right_or_the_user_exists(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Limited { server, .. } = Limited::start(on, Counted::InMemory).await;
    register(&server, "anna").await;
    for login in ["anna", "nobody"] {
        for _ in 0..5 {
            server.fail(login).await;
        }
    }
    let expected = (429, json!({"detail": "Too many attempts"}));
    for (login, password) in [("anna", PASSWORD), ("anna", "wrong horse"), ("nobody", PASSWORD)] {
        let answer = server.login(login, password).await;
        assert_eq!(status(&answer), (429, Some(1)));
        assert_eq!(refusal(answer).await, expected, "{login}");
    }
}

#[rstest]
#[tokio::test]
async fn failures_at_three_identifiers_from_many_addresses_count_as_those_of_one_user(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    // A limit that counts 180 as they are, and locks nothing on the way.
    let more = [("LOGIN_FREE_FAILURES", "100"), ("LOGIN_MAX_DELAY", "1"), ("TOTAL_FAILURES", "1000")];
    let Limited { server, redis: _redis } = Limited::start_with(on, counted, &more).await;
    let names = register(&server, "anna").await;
    for number in 0..180 {
        let name = &names[number % 3];
        let from = address(u32::try_from(number).unwrap());
        if number >= 100 {
            assert_eq!(status(&server.login_from(&from, name, "wrong horse", None).await), (429, Some(1)));
            server.clock.advance(seconds(1));
        }
        assert_eq!(status(&server.login_from(&from, name, "wrong horse", None).await).0, 401, "{number}");
    }
    // Somebody else has failures of their own.
    assert_eq!(server.fail("nobody").await, (401, None));
}

#[rstest]
#[tokio::test]
async fn guesses_at_once_get_no_more_tries_than_there_are(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let limited = Limited::start(on, counted).await;
    let server = &limited.server;
    let other = limited.another_node().await;
    // Without Redis each node has its own count.
    let nodes = if counted == Counted::InRedis { vec![server, &other] } else { vec![server] };
    let names = register(server, "anna").await;
    let guesses = (0..64).map(|number: usize| {
        let from = address(u32::try_from(number).unwrap());
        let (node, name) = (nodes[number % nodes.len()], &names[number % 3]);
        async move { node.login_from(&from, name, "wrong horse", None).await.status().as_u16() }
    });
    let answers = join_all(guesses).await;
    assert_eq!(answers.iter().filter(|&&status| status == 401).count(), 5, "{answers:?}");
    // On a busy machine those who wait for the five may be sent away first.
    assert!(answers.iter().all(|status| [401, 429, 503].contains(status)), "{answers:?}");
}

/// Of many logins at once with the right password none is refused because of the others.
#[rstest]
#[tokio::test]
async fn a_user_who_logs_in_many_times_at_once_is_let_in_each_time(
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let Limited { server, redis: _redis } = Limited::start(On::Sqlite, counted).await;
    register(&server, "anna").await;
    let answers = join_all((0..24).map(|_| server.login("anna", PASSWORD))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    // On a busy machine it may not come to all of them, but none of them is taken for a guess.
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|&&status| status == 200).count() > 5, "{statuses:?}");
}

#[rstest]
#[tokio::test]
async fn a_success_ends_the_failures_before(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let Limited { server, redis: _redis } = Limited::start(on, counted).await;
    let [username, phone, email] = register(&server, "anna").await;
    for _ in 0..3 {
        for name in [&username, &phone, &email, &username] {
            assert_eq!(server.fail(name).await, (401, None));
        }
        assert_eq!(server.login(&email, PASSWORD).await.status(), 200);
    }
}

#[rstest]
#[tokio::test]
async fn an_address_and_all_addresses_together_have_limits_of_their_own(
    #[values(Counted::InMemory, Counted::InRedis)] counted: Counted,
) {
    let more = [
        ("ADDRESS_FAILURES", "3"),
        ("ADDRESS_FAILURES_PER_MINUTE", "6"),
        ("TOTAL_FAILURES", "6"),
        ("TOTAL_FAILURES_PER_MINUTE", "60"),
    ];
    let Limited { server, redis: _redis } = Limited::start_with(On::Sqlite, counted, &more).await;
    register(&server, "anna").await;
    let guess =
        async |from: &str, name: &str| status(&server.login_from(from, name, "wrong horse", None).await);
    // An IPv6 network of 64 bits is one address.
    for number in 1..=3 {
        assert_eq!(guess(&format!("2001:db8::{number}"), &format!("user-{number}")).await, (401, None));
    }
    assert_eq!(guess("2001:db8::4", "user-4").await, (429, Some(10)));
    // A success is no failure, and gives nothing back.
    assert_eq!(status(&server.login_from("2001:db8:1::1", "anna", PASSWORD, None).await).0, 200);
    assert_eq!(guess("2001:db8::4", "user-4").await, (429, Some(10)));
    for number in 5..=7 {
        assert_eq!(guess(&address(number), "user-5").await, (401, None));
    }
    assert_eq!(guess(&address(8), "user-8").await, (429, Some(1)));
    server.clock.advance(seconds(1));
    assert_eq!(guess(&address(8), "user-8").await, (401, None));
    server.clock.advance(seconds(9));
    assert_eq!(guess("2001:db8::4", "user-4").await, (401, None));
    assert_eq!(guess("2001:db8::4", "user-4").await, (429, Some(10)));
}

#[tokio::test]
async fn limits_that_are_off_limit_nothing() {
    let server = Server::start_with(On::Sqlite, &[("RATE_LIMITS", "off")]).await;
    for _ in 0..30 {
        assert_eq!(server.fail("nobody").await, (401, None));
    }
}

/// Whoever has an access token may not guess the password with it for ever, and cannot keep its owner from trying.
#[rstest]
#[tokio::test]
async fn the_current_password_is_not_guessed_for_ever_either(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Limited { server, .. } = Limited::start(on, Counted::InMemory).await;
    let stolen = server.register("anna").await;
    let own = Tokens::from(server.login("anna", PASSWORD).await).await;
    let change = async |tokens: &Tokens, current: &str| {
        let body: Value = json!({ "current_password": current, "new_password": "another horse" });
        canary::plant("password", "another horse");
        let request =
            server.http.post(server.url("/api/v1/auth/password/change")).bearer_auth(&tokens.access);
        status(&request.json(&body).send().await.unwrap())
    };
    for _ in 0..5 {
        assert_eq!(change(&stolen, "wrong horse").await, (400, None));
    }
    assert_eq!(change(&stolen, PASSWORD).await, (429, Some(1)));
    let delete = server.http.delete(server.url("/api/v1/auth/me")).bearer_auth(&stolen.access);
    let delete = delete.json(&json!({ "current_password": PASSWORD }));
    assert_eq!(status(&delete.send().await.unwrap()), (429, Some(1)));
    assert_eq!(change(&own, PASSWORD).await.0, 204);
}
