//! Anything outside the contract's form gets the contract's kind of answer: never a 500, and never a
//! closed connection.

use axum::{Router, body::Body, http::Request, routing::get};
use ostiary_server::{app::App, middleware, startup};
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;

use crate::support::{On, Server, canary, refusal, registration, settings};

const ENDPOINTS: [&str; 3] = ["/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/register"];

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[rstest]
#[tokio::test]
async fn strange_bodies_get_a_validation_error_or_a_refusal(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let bodies = [
        r#"{"login": "a\u0000b", "password": "a\u0000b", "refresh_token": "\u0000"}"#.to_owned(),
        r#"{"login": "\ud800", "password": "x"}"#.to_owned(),
        r#"{"login": "\udc00\ud800", "password": "x"}"#.to_owned(),
        r#"{"login": "😀ﷺ", "password": "ẞ𝕏\u202e", "refresh_token": "😀"}"#.to_owned(),
        r#"{"login": 1e999, "password": -1e999, "refresh_token": 1e999}"#.to_owned(),
        r#"{"login": 123456789012345678901234567890, "refresh_token": -0.0}"#.to_owned(),
        r#"{"login": NaN}"#.to_owned(),
        r#"{"login": Infinity}"#.to_owned(),
        format!(r#"{{"login": {}, "refresh_token": {}, "profile": {}}}"#, nested(100), nested(100), nested(100)),
        nested(100),
        nested(30_000),
        format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100)),
        r#"{"login": "x", "login": 1, "refresh_token": "x", "refresh_token": 1}"#.to_owned(),
        "\u{feff}{}".to_owned(),
        "\u{feff}\u{feff}{}".to_owned(),
        " ".to_owned(),
        "\0".to_owned(),
        "[[[[".to_owned(),
        r#"{"second_login": {"$ne": null}, "phone": [[]], "email": {}, "profile": "x", "group_names": [[], {}]}"#.to_owned(),
    ];
    for path in ENDPOINTS {
        for body in &bodies {
            let (status, answer) = refusal(server.post_raw(path, body.clone()).await).await;
            let start: String = body.chars().take(60).collect();
            assert!(matches!(status, 400 | 401 | 422), "{path} {start}: {status} {answer}");
            assert!(!answer["detail"].is_null(), "{path} {start}: {answer}");
        }
        let not_utf8 = refusal(server.post_raw(path, b"{\"login\": \"\xff\xfe\"}".to_vec()).await).await;
        assert_eq!((not_utf8.0, &not_utf8.1["detail"][0]["type"]), (422, &json!("json_invalid")));
    }
}

#[rstest]
#[tokio::test]
async fn of_duplicate_members_the_last_counts(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    server.register("anna").await;
    let body = r#"{"login": "nobody", "password": 1, "login": "anna", "password": "correct horse"}"#;
    assert_eq!(server.post_raw("/api/v1/auth/login", body).await.status(), 200);
}

#[rstest]
#[tokio::test]
async fn a_profile_takes_any_json_that_both_stores_can_keep_up_to_its_limits(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    let with_profile = |name: &str, profile: Value| {
        let mut body = registration(name);
        body["profile"] = profile;
        body
    };
    let mut deep = json!(1);
    for _ in 0..14 {
        deep = json!([deep]);
    }
    for (name, profile) in [
        ("empty", json!({})),
        ("deep", json!({"a": deep})),
        ("odd", json!({"": [1.5e300, "😀", -0.0]})),
        ("long", json!({"a": "x".repeat(16 * 1024 - 8)})),
    ] {
        let answer = server.post("/api/v1/auth/register", &with_profile(name, profile)).await;
        assert_eq!(answer.status(), 200, "{name}");
    }
    let too_deep = json!({"a": [[deep]]});
    for (profile, kind) in [
        (too_deep, "nesting_too_deep"),
        (json!({"a": {"b": "x\u{0}"}}), "null_character"),
        (json!({"x\u{0}": 1}), "null_character"),
        (serde_json::from_str(r#"{"x": [1e1001]}"#).unwrap(), "number_out_of_range"),
        (serde_json::from_str(r#"{"x": 1e-2147483648}"#).unwrap(), "number_out_of_range"),
        (json!({"a": "x".repeat(16 * 1024 - 7)}), "object_too_large"),
    ] {
        let answer = server.post("/api/v1/auth/register", &with_profile("refused", profile)).await;
        let (status, body) = refusal(answer).await;
        let error = &body["detail"][0];
        assert_eq!((status, &error["type"], &error["loc"]), (422, &json!(kind), &json!(["body", "profile"])));
        assert_eq!(error.get("input"), None);
    }
}

#[rstest]
#[tokio::test]
async fn no_validation_error_repeats_a_password(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let secret = "a-password-that-is-nowhere-to-be-seen";
    canary::plant("password", secret);
    for body in [
        json!({ "password": secret }),
        json!({ "password": [secret], "login": 1 }),
        json!([{ "password": secret }]),
        json!({ "group_names": [{ "password": secret }] }),
        json!({ "login": { "password": secret }, "refresh_token": { "password": secret }, "password": { "a": secret } }),
    ] {
        for path in ENDPOINTS {
            let (status, answer) = refusal(server.post(path, &body).await).await;
            assert_eq!(status, 422);
            assert!(!answer.to_string().contains(secret), "{path}: {answer}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn bodies_over_the_limit_get_413_and_are_read_to_their_end(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let exact = format!(r#"{{"login": "{}"}}"#, "x".repeat(65_536 - 13));
    assert_eq!(exact.len(), 65_536);
    assert_eq!(server.post_raw("/api/v1/auth/login", exact.clone()).await.status(), 400);
    let million_keys = {
        let members: Vec<String> = (0..1_000_000).map(|number| format!("\"k{number}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    for body in [format!("{exact} "), "x".repeat(1_000_000), million_keys] {
        let length = body.len();
        let answer = refusal(server.post_raw("/api/v1/auth/login", body).await).await;
        assert_eq!(answer, (413, json!({"detail": "Request body too large"})), "{length}");
    }
    let many_keys: Vec<String> = (0..5_000).map(|number| format!("\"k{number}\":1")).collect();
    let answer = server.post_raw("/api/v1/auth/login", format!("{{{}}}", many_keys.join(","))).await;
    assert_eq!(answer.status(), 422);
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for more in
        ["content-length: 1000000000\r\n\r\n", "content-length: 70000\r\nexpect: 100-continue\r\n\r\n"]
    {
        let answer = exchange(&server, &format!("{head}{more}")).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[rstest]
#[tokio::test]
async fn other_content_types_are_not_taken_for_json(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for content_type in [
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/x/y+json",
        "application/x-json+xml",
        "multipart/form-data",
        ";;;",
        "application/",
    ] {
        let request = server.http.post(server.url(ENDPOINTS[0])).header("content-type", content_type);
        let (status, body) = refusal(request.body("{}").send().await.unwrap()).await;
        assert_eq!(
            (status, &body["detail"][0]["type"]),
            (422, &json!("model_attributes_type")),
            "{content_type}"
        );
    }
    let none = server.http.post(server.url(ENDPOINTS[0])).body("{}").send().await.unwrap();
    assert_eq!(none.status(), 422);
    for content_type in ["APPLICATION/JSON", "application/problem+json", "application/json;charset=koi8-r"] {
        let request = server.http.post(server.url(ENDPOINTS[0])).header("content-type", content_type);
        let answer = request.body(r#"{"login": "x", "password": "y"}"#).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{content_type}");
    }
}

#[rstest]
#[tokio::test]
async fn strange_paths_are_not_found(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for path in [
        "/%",
        "/%zz",
        "/api/v1/auth/login%",
        "/api/v1/auth/%00",
        "/docs/%",
        "/docs/%ff%fe",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/",
        "/api/v1/auth/login%2f",
        "/a?%",
    ] {
        let answer =
            exchange(&server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(
            answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "),
            "{path}: {answer}"
        );
        assert!(answer.contains("\r\n\r\n{\"detail\":"), "{path}: {answer}");
    }
}

#[rstest]
#[tokio::test]
async fn requests_that_are_not_http_are_refused_and_the_server_goes_on(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    for bytes in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"]
    {
        let answer = exchange(&server, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
    }
    let many_headers = "x: y\r\n".repeat(2_000);
    let answer = exchange(&server, &format!("GET /livez HTTP/1.1\r\n{many_headers}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.get("/livez").await.status(), StatusCode::OK);
}

/// Every class of answer has the headers, and a request id; one that a proxy gave is kept if it is plain.
#[rstest]
#[tokio::test]
async fn every_answer_has_security_headers_and_a_request_id(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for path in [
        "/livez",
        "/readyz",
        "/nope",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/api/v1/auth/login",
        "/docs/",
    ] {
        let answer = server.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
        assert!(
            answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'")
        );
        assert_eq!(answer.headers()["x-request-id"].len(), 36, "{path}");
    }
    for (given, kept) in
        [("trace-1.2_3", true), ("a b", false), ("x\"y", false), (&"x".repeat(65), false), ("", false)]
    {
        let answer =
            server.http.get(server.url("/livez")).header("x-request-id", given).send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"].to_str().unwrap() == given, kept, "{given:?}");
    }
}

/// Sends bytes and reads until the server closes the connection.
async fn exchange(server: &Server, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is as good as a close.
    let _reset = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_panic_costs_one_request_and_is_answered_like_any_failure() {
    let directory = tempfile::TempDir::new().unwrap();
    let settings = settings(directory.path(), &[]);
    let started = startup::start(&settings).await.unwrap();
    let app = App::new(started.ostiary, started.limiter_metrics, &settings);
    let panicking = get(async || -> &'static str { panic!("on purpose") });
    let router =
        middleware::around(Router::new().route("/panic", panicking).route("/", get(async || "well")), app);
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request("/panic")).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert!(answer.headers().contains_key("x-request-id"));
    let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    assert_eq!(body, r#"{"detail":"Internal Server Error"}"#);
    assert_eq!(router.oneshot(request("/")).await.unwrap().status(), 200);
}
