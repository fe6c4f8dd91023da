//! Whatever a client does with a password or a token, it is in no log, no answer and no database.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use ostiary_core::refresh_token::ForeignToken;
use reqwest::{Method, RequestBuilder, StatusCode};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{On, Place, Process, Tokens, canary::Canaries, http_client, registration};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const ENDPOINTS: [&str; 3] = [REGISTER, LOGIN, REFRESH];

/// What is registered with; of 22 characters or more, and without a sign that would be written in another way.
const CANARY: &str = "canary-of-a-good-password";
const WRONG_CANARY: &str = "canary-of-a-wrong-password";
/// In the form of the replaced service's tokens.
const FOREIGN_CANARY: &str =
    "canary-for-a-token-of-the-replaced-service-which-has-never-issued-such-a-strange-thing";

/// The binary, who asks it, and what it must not show.
struct Subject {
    process: Process,
    http: reqwest::Client,
    canaries: Canaries,
}

impl Subject {
    fn start(place: &Place) -> Self {
        let settings = place.settings();
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
        // A spent token is refused at once.
        let ours = [
            ("LOG_LEVEL", "trace"),
            ("LOG_FORMAT", "json"),
            ("REFRESH_GRACE_SECONDS", "0"),
            ("METRICS_LISTEN", "127.0.0.1:0"),
        ];
        let settings: Vec<_> = settings.chain(ours).collect();
        let process = Process::start(place.path(), &settings);
        Self { process, http: http_client(), canaries: Canaries::default() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.process.url(path))
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    async fn tokens(&mut self, path: &str, body: &Value) -> Tokens {
        let tokens = Tokens::from(self.post(path, body).send().await.unwrap()).await;
        self.canaries.plant("access token", &tokens.access);
        self.canaries.plant("refresh token", &tokens.refresh);
        tokens
    }

    /// Sends a request that gets no tokens. Its answer has no canary either.
    async fn refused(&self, request: RequestBuilder) -> StatusCode {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert_ne!(status, StatusCode::OK);
        let headers = format!("{:?}", answer.headers());
        let text = format!("{headers}\n{}", answer.text().await.unwrap());
        self.canaries.assert_none_in("an answer", &text);
        status
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.process.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// What comes until the server closes the connection.
    fn answer(&self, mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        // A reset is as good as an answer.
        let _reset = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.canaries.assert_none_in("an answer", &text);
        text
    }
}

fn account() -> Value {
    let mut body = registration("anna");
    body["password"] = CANARY.into();
    body
}

#[rstest]
#[tokio::test]
async fn no_secret_is_logged_answered_or_kept(#[values(On::Sqlite, On::Postgres, On::Adopted)] on: On) {
    assert!(ForeignToken::parse(FOREIGN_CANARY).is_some());
    let place = Place::new(on);
    let mut subject = Subject::start(&place);
    for secret in [CANARY, WRONG_CANARY, FOREIGN_CANARY] {
        subject.canaries.plant("secret of a client", secret);
    }
    let first = subject.tokens(REGISTER, &account()).await;
    let second = subject.tokens(LOGIN, &json!({ "login": "anna", "password": CANARY })).await;
    let third = subject.tokens(REFRESH, &json!({ "refresh_token": first.refresh })).await;
    let spent = [&first.access, &second.access, &third.access, &first.refresh].map(String::as_str);
    for secret in [CANARY, WRONG_CANARY, FOREIGN_CANARY].into_iter().chain(spent) {
        in_bodies(&subject, secret).await;
        in_places_that_an_answer_repeats(&subject, secret).await;
        around_the_body(&subject, secret).await;
        in_what_is_no_request(&subject, secret);
    }
    while_the_store_fails(&mut subject, &place, &second).await;
    on_a_known_device(&mut subject).await;

    let figures = subject.process.ready["metrics"].as_str().unwrap();
    let figures = subject.http.get(figures).send().await.unwrap().text().await.unwrap();
    assert!(figures.contains("ostiary_limits_guesses_admitted_total"), "{figures}");
    subject.canaries.assert_none_in("the figures", &figures);
    let (code, log) = subject.process.end_by(Signal::TERM);
    assert_eq!(code, Some(0));
    for line in ["a request failed in the store", "\"answered\"", "h2::"] {
        assert!(log.contains(line), "it is verbose: {line} is not in\n{log}");
    }
    subject.canaries.assert_none_in("the log", &log);
    for personal in ["example.com", "+7999", "$argon2id$", "$2b$"] {
        assert!(!log.contains(personal), "{personal} is in the log");
    }
    let kept = String::from_utf8_lossy(&place.everything()).into_owned();
    assert!(kept.contains("anna@example.com"), "this is where everything is");
    subject.canaries.assert_none_in("the database", &kept);
}

/// In the right members and in wrong ones, in bodies that are whole and that are not.
async fn in_bodies(subject: &Subject, secret: &str) {
    if secret != CANARY {
        let login = json!({ "login": "anna", "password": secret });
        assert_eq!(subject.refused(subject.post(LOGIN, &login)).await, 401);
        assert_eq!(subject.refused(subject.post(REFRESH, &json!({ "refresh_token": secret }))).await, 401);
    }
    for body in [json!({ "login": secret, "password": secret }), json!({ "login": secret })] {
        subject.refused(subject.post(LOGIN, &body)).await;
    }
    for path in ENDPOINTS {
        for body in [
            json!({ "login": 1, "refresh_token": 1, "password": secret }),
            json!({ "password": [secret] }),
            json!({ "login": { "password": secret }, "refresh_token": { "password": secret } }),
            json!([{ "password": secret }]),
        ] {
            assert_eq!(subject.refused(subject.post(path, &body)).await, 422);
        }
        for broken in [
            secret.to_owned(),
            format!(r#"{{"password": "{secret}", "refresh_token": "{secret}""#),
            format!(r#"{{"password": "{secret}\ud800"}}"#),
            format!(r#"{{"{secret}": }}"#),
        ] {
            let request = subject.request(Method::POST, path).header("content-type", "application/json");
            assert_eq!(subject.refused(request.body(broken)).await, 422);
        }
    }
    for (member, value) in [("second_login", json!(1)), ("phone", json!("1")), ("group_names", json!([]))] {
        let mut body = account();
        body["password"] = secret.into();
        body[member] = value;
        assert_eq!(subject.refused(subject.post(REGISTER, &body)).await, 422, "{member}");
    }
}

/// The contract has answers repeat what is wrong, the name of an unknown group, and the query of a path that is
/// elsewhere; they go to whoever has sent it. The log has it not.
async fn in_places_that_an_answer_repeats(subject: &Subject, secret: &str) {
    for (member, value) in [
        ("second_login", json!([secret])),
        ("phone", json!(format!("{secret}, {secret}"))),
        ("email", json!(secret)),
        ("profile", json!(secret)),
        ("group_names", json!([secret])),
    ] {
        let mut body = account();
        body[member] = value;
        let status = subject.post(REGISTER, &body).send().await.unwrap().status();
        assert!(status == 400 || status == 422, "{member}: {status}");
    }
    for path in ENDPOINTS {
        let text = subject.request(Method::POST, path).body(format!("password={secret}"));
        assert_eq!(text.send().await.unwrap().status(), 422);
        for body in [json!({ "token": secret }), json!({ "refresh_token": [secret] }), json!(secret)] {
            assert_eq!(subject.post(path, &body).send().await.unwrap().status(), 422);
        }
        let elsewhere = subject.request(Method::POST, &format!("{path}/?token={secret}"));
        assert_eq!(elsewhere.send().await.unwrap().status(), 307);
    }
}

/// In the path, the query and headers. The name of a client is kept, so none is there.
async fn around_the_body(subject: &Subject, secret: &str) {
    for path in [format!("/{secret}"), format!("/docs/{secret}"), format!("{REFRESH}/{secret}")] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            subject.refused(subject.request(method, &path)).await;
        }
    }
    for path in ENDPOINTS {
        let queried = format!("{path}?token={secret}&password={secret}");
        subject.refused(subject.request(Method::GET, &queried)).await;
        subject.refused(subject.post(&queried, &json!({}))).await;
        let request = subject.post(path, &json!({})).bearer_auth(secret).header("x-api-key", secret);
        subject.refused(request.header("cookie", format!("refresh_token={secret}"))).await;
        let request = subject.post(path, &json!({})).header("ostiary-device", secret);
        subject.refused(request.header("cookie", format!("__Host-ostiary-device={secret}"))).await;
        let request = subject.post(path, &json!({})).header("authorization", format!("Basic {secret}"));
        subject.refused(request.header("referer", format!("https://example.com/?code={secret}"))).await;
        let request = subject.request(Method::POST, path).header("content-type", secret);
        subject.refused(request.header("x-forwarded-for", secret).body("{}")).await;
    }
}

/// In requests that break off, that are none, and over HTTP/2, of which more is logged.
fn in_what_is_no_request(subject: &Subject, secret: &str) {
    let post = format!("POST {REFRESH} HTTP/1.1\r\nhost: x\r\n");
    for bytes in [
        format!("{post}content-length: 1000\r\n\r\n{{\"refresh_token\": \"{secret}"),
        format!("{post}transfer-encoding: chunked\r\n\r\n{secret}"),
        format!("{post}authorization: Bearer {secret}\r\n"),
        format!("{post}authorization {secret}\r\n\r\n"),
        format!("GET /?token={secret} HTTP/9.9\r\n\r\n"),
        secret.to_owned(),
    ] {
        let stream = subject.send(bytes.as_bytes());
        // The server may have closed it already.
        let _closed = stream.shutdown(Shutdown::Write);
        subject.answer(stream);
    }
    let answer = subject.answer(subject.send(&http2_request(secret)));
    assert!(answer.contains("Invalid refresh token"), "{answer}");
}

/// A refresh with `secret` in its path, its header and its body, and then a farewell (RFC 9113, RFC 7541 §6.2.2).
fn http2_request(secret: &str) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let field = |name: &str, value: &str| {
        [&[0], &*length(name), name.as_bytes(), &*length(value), value.as_bytes()].concat()
    };
    let path = format!("{REFRESH}?token={secret}");
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", &path)];
    let fields = head.into_iter().chain([("content-type", "application/json"), ("authorization", secret)]);
    let fields: Vec<u8> = fields.flat_map(|(name, value)| field(name, value)).collect();
    let body = format!(r#"{{"refresh_token": "x", "password": "{secret}"}}"#);
    let (end_of_fields, end_of_stream) = (4, 1);
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, end_of_fields, 1, &fields),
        frame(0, end_of_stream, 1, body.as_bytes()),
        frame(7, 0, 0, &[0; 8]),
    ]
    .concat()
}

/// The length of a text in HPACK: in seven bits, or in what follows them (RFC 7541 §5.1).
fn length(text: &str) -> Vec<u8> {
    let low_bits = |number: usize| u8::try_from(number % 128).unwrap();
    match text.len() {
        short @ ..127 => vec![low_bits(short)],
        long => vec![127, 128 + low_bits(long - 127), low_bits((long - 127) / 128)],
    }
}

/// A device token is given, and given back.
async fn on_a_known_device(subject: &mut Subject) {
    let login = subject.post(LOGIN, &json!({ "login": "anna", "password": CANARY }));
    let answer = login.header("ostiary-device", "request").send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let token = answer["device_token"].as_str().unwrap();
    for (name, given) in [("access token", "access_token"), ("refresh token", "refresh_token")] {
        subject.canaries.plant(name, answer[given].as_str().unwrap());
    }
    subject.canaries.plant("device token", token);
    let login = subject.post(LOGIN, &json!({ "login": "anna", "password": WRONG_CANARY }));
    assert_eq!(subject.refused(login.header("ostiary-device", token)).await, 401);
}

/// A table is away, so that every request that is right fails in the store.
async fn while_the_store_fails(subject: &mut Subject, place: &Place, tokens: &Tokens) {
    let refresh = json!({ "refresh_token": tokens.refresh });
    let mut another = registration("boris");
    another["password"] = CANARY.into();
    place.execute("alter table sessions rename to sessions_elsewhere");
    for (path, body) in [
        (REGISTER, another),
        (LOGIN, json!({ "login": "anna", "password": CANARY })),
        (REFRESH, refresh.clone()),
    ] {
        assert_eq!(subject.refused(subject.post(path, &body)).await, 500, "{path}");
    }
    place.execute("alter table sessions_elsewhere rename to sessions");
    subject.tokens(REFRESH, &refresh).await;
}
