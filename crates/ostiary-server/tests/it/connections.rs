//! Connections: time-outs, their number, the end.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{On, Server};

const HEAD: &str = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

/// Reads until the server closes the connection; says how long that took.
async fn until_closed(stream: &mut TcpStream) -> (String, Duration) {
    let start = Instant::now();
    let mut answer = Vec::new();
    let _reset =
        timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("it is closed");
    (String::from_utf8_lossy(&answer).into_owned(), start.elapsed())
}

/// Reads one answer.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.contains("\r\n\r\n") || !text.ends_with('}') {
        let mut bytes = [0; 4096];
        let length = timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(length > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    text
}

#[rstest]
#[tokio::test]
async fn a_body_that_never_ends_gets_408(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, &[("BODY_TIMEOUT", "0.2")]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let (text, _) = until_closed(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 408 ") && text.ends_with(r#"{"detail":"Request Timeout"}"#), "{text}");
    assert!(text.contains("connection: close"), "{text}");
}

#[rstest]
#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{HEAD}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    }
    assert_eq!(server.get("/livez").await.status(), 200);
}

/// A byte now and then does not keep a head alive.
#[rstest]
#[tokio::test]
async fn a_head_that_comes_slowly_is_cut_off(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, &[("HEADER_TIMEOUT", "0.3"), ("IDLE_TIMEOUT", "30")]).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let (text, took) = until_closed(&mut silent).await;
    assert!(text.is_empty() && took >= Duration::from_millis(250), "{text} {took:?}");

    let (mut reader, mut writer) = TcpStream::connect(server.address).await.unwrap().into_split();
    let trickle = async {
        for byte in HEAD.bytes().cycle() {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let read = async {
        let mut answer = Vec::new();
        let _reset = reader.read_to_end(&mut answer).await;
    };
    let start = Instant::now();
    timeout(Duration::from_secs(10), async {
        tokio::select! { () = trickle => {}, () = read => {} }
    })
    .await
    .unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// An idle connection may rest longer than a head may take.
#[rstest]
#[tokio::test]
async fn an_idle_connection_is_kept_for_the_next_request_and_closed_at_its_time(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start_with(on, &[("HEADER_TIMEOUT", "0.2"), ("IDLE_TIMEOUT", "3")]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    // The second request's head comes in part: that is due at the shorter time.
    stream.write_all(b"GET /liv").await.unwrap();
    let (text, took) = until_closed(&mut stream).await;
    assert!(text.is_empty() && took < Duration::from_millis(2500), "{text} {took:?}");

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(&mut stream).await;
    let (_, took) = until_closed(&mut stream).await;
    assert!(took >= Duration::from_millis(2500), "{took:?}");
}

#[rstest]
#[tokio::test]
async fn a_request_that_takes_too_long_gets_503(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, &[("REQUEST_TIMEOUT", "0.2"), ("BODY_TIMEOUT", "5")]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let (text, _) = until_closed(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1"), "{text}");
}

#[rstest]
#[tokio::test]
async fn several_requests_in_one_packet_are_answered_in_turn(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{}{last}", request.repeat(9)).as_bytes()).await.unwrap();
    let (text, _) = until_closed(&mut stream).await;
    assert_eq!(text.matches("HTTP/1.1 200 ").count(), 10);
}

/// Stopping: what is in flight finishes, new connections are refused, idle ones are closed.
#[rstest]
#[tokio::test]
async fn stopping_finishes_what_is_in_flight(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    server.register("anna").await;
    let (address, stopping) = (server.address, server.stopping());
    let body = json!({"login": "anna", "password": "correct horse"}).to_string();
    let mut in_flight = TcpStream::connect(address).await.unwrap();
    let head = format!("{HEAD}content-length: {}\r\n\r\n", body.len());
    in_flight.write_all(head.as_bytes()).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    answer(&mut idle).await;
    // The head is read before the stop: a request is in flight.
    tokio::task::yield_now().await;
    assert_eq!(server.get("/livez").await.status(), 200);

    let stopped = tokio::spawn(server.stop());
    stopping.cancelled().await;
    until_closed(&mut idle).await;
    assert!(TcpStream::connect(address).await.is_err(), "new connections are refused");
    in_flight.write_all(body.as_bytes()).await.unwrap();
    let (text, _) = until_closed(&mut in_flight).await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("refresh_token"), "{text}");
    assert!(stopped.await.unwrap().0, "all requests finished");
}

#[rstest]
#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_off_at_the_drain_time_out(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start_with(on, &[("DRAIN_TIMEOUT", "0.2")]).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(format!("{HEAD}content-length: 100\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(server.get("/livez").await.status(), 200);
    let (drained, _) = timeout(Duration::from_secs(5), server.stop()).await.unwrap();
    assert!(!drained);
}
