//! HTTP/1 as attackers speak it: requests that two servers would read in two ways, and requests without end.

use std::time::Duration;

use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{On, Process, Server, http_client};

const SECOND: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

/// Sends bytes and reads until the server closes the connection, or says nothing for a while.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(server.address).await.unwrap().into_split();
    // The server may close before it has all of it.
    let sending = async { writer.write_all(bytes).await };
    let reading = async {
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(Ok(length)) = timeout(Duration::from_millis(500), reader.read(&mut piece)).await {
            if length == 0 {
                break;
            }
            answer.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::join!(sending, reading).1
}

/// The statuses of the answers in `text`.
fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(start, found)| text.get(start + found.len()..)?.get(..3))
        .collect()
}

/// The head of a login with these lines, whose body follows.
fn login(lines: &str) -> String {
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}\r\n\r\n"
    )
}

/// What one server takes for a body another takes for the next request. Whoever sends such a thing is refused,
/// and the connection with it.
#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused_with_all_that_follows() {
    let server = Server::start(On::Sqlite).await;
    for (what, lines, body) in [
        ("two lengths", "content-length: 2\r\ncontent-length: 3", "{} "),
        ("a list of lengths", "content-length: 2, 3", "{} "),
        ("a length with a sign", "content-length: +2", "{}"),
        ("a negative length", "content-length: -2", "{}"),
        ("a hexadecimal length", "content-length: 0x2", "{}"),
        ("no length", "content-length: ", ""),
        ("a huge length", "content-length: 99999999999999999999", "{}"),
        ("an unknown coding", "transfer-encoding: identity", "{}"),
        ("nearly chunked", "transfer-encoding: xchunked", "2\r\n{}\r\n0\r\n\r\n"),
        ("chunked before another", "transfer-encoding: chunked, identity", "2\r\n{}\r\n0\r\n\r\n"),
        ("a folded line", "x: a\r\n b\r\ncontent-length: 2", "{}"),
        ("a folded coding", "transfer-encoding:\r\n chunked", "2\r\n{}\r\n0\r\n\r\n"),
        ("a blank before the colon", "content-length : 2", "{}"),
        ("a blank before a name", " content-length: 2", "{}"),
        ("a bare carriage return", "x: a\rcontent-length: 2", "{}"),
        ("a null character", "x: \0\r\ncontent-length: 2", "{}"),
    ] {
        let text = exchange(&server, format!("{}{body}{SECOND}", login(lines)).as_bytes()).await;
        assert_eq!(statuses(&text), ["400"], "{what}: {text}");
    }
    let old = login("transfer-encoding: chunked").replace("HTTP/1.1", "HTTP/1.0");
    let text = exchange(&server, format!("{old}0\r\n\r\n{SECOND}").as_bytes()).await;
    assert_eq!(text.matches(" 400 ").count(), 1, "{text}");
    assert_eq!(server.get("/livez").await.status(), StatusCode::OK);
}

/// A length beside chunks does not count, and the connection ends with the request (RFC 9112, section 6.3).
#[tokio::test]
async fn after_a_request_with_a_length_and_chunks_the_connection_is_closed() {
    let server = Server::start(On::Sqlite).await;
    for lines in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let text = exchange(&server, format!("{}0\r\n\r\n{SECOND}", login(lines)).as_bytes()).await;
        assert!(matches!(statuses(&text)[..], ["400" | "422"]), "{text}");
    }
}

#[tokio::test]
async fn chunks_that_are_no_chunks_are_refused_with_all_that_follows() {
    let server = Server::start(On::Sqlite).await;
    let extensions = format!("1;{}\r\n", "x".repeat(20_000));
    let many_extensions = format!("1;{}\r\n{{\r\n", "x".repeat(500)).repeat(100);
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let long_trailer = format!("2\r\n{{}}\r\n0\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    for (what, body) in [
        ("a size that overflows", "fffffffffffffffff\r\n{}"),
        ("a size that is no number", "xyz\r\n{}\r\n0\r\n\r\n"),
        ("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
        ("a size that is too small", "1\r\n{}\r\n0\r\n\r\n"),
        ("a long extension", &extensions),
        ("long extensions", &many_extensions),
        ("many trailers", &trailers),
        ("a long trailer", &long_trailer),
    ] {
        let request = format!("{}{body}{SECOND}", login("transfer-encoding: chunked"));
        let text = exchange(&server, request.as_bytes()).await;
        assert!(matches!(statuses(&text)[..], [] | ["400" | "408" | "422"]), "{what}: {text}");
    }
    assert_eq!(server.get("/livez").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let server = Server::start(On::Sqlite).await;
    for (what, head, expected) in [
        (
            "a long value",
            format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(70_000)),
            "431",
        ),
        ("a long name", format!("GET /livez HTTP/1.1\r\n{}: y\r\n\r\n", "x".repeat(70_000)), "431"),
        ("many lines", format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)), "431"),
        ("a long path", format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000)), "431"),
        ("a long method", format!("{} / HTTP/1.1\r\nhost: x\r\n\r\n", "X".repeat(70_000)), "431"),
        ("a line without end", "x".repeat(70_000), "431"),
    ] {
        let text = exchange(&server, head.as_bytes()).await;
        assert_eq!(statuses(&text), [expected], "{what}: {text}");
    }
}

#[tokio::test]
async fn a_thousand_requests_in_one_go_are_answered_in_their_order() {
    let server = Server::start(On::Sqlite).await;
    let requests: Vec<String> = (0..1_000)
        .map(|number| {
            let path = ["/livez", "/openapi.json", "/nope"][number % 3];
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-request-id: number-{number}\r\n\r\n")
        })
        .collect();
    let text = exchange(&server, requests.concat().as_bytes()).await;
    let ids = text.lines().filter_map(|line| line.strip_prefix("x-request-id: number-"));
    let ids: Vec<usize> = ids.map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_that_asks_whether_to_go_on_is_told_so() {
    let server = Server::start(On::Sqlite).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = login("content-length: 2\r\nexpect: 100-continue\r\nconnection: close");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    timeout(Duration::from_secs(10), stream.read_exact(&mut told)).await.unwrap().unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
}

/// Large answers that nobody takes are not piled up.
#[tokio::test]
async fn a_client_that_asks_and_does_not_read_costs_little_and_is_closed_in_time() {
    const CLIENTS: usize = 50;
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[("IDLE_TIMEOUT", "2")]);
    let http = http_client();
    // The page's script is made when it is first asked for.
    http.get(process.url("/redoc/redoc.js")).send().await.unwrap().bytes().await.unwrap();
    let (before, files) = (process.memory(), process.open_files());
    let mut clients = Vec::new();
    for path in
        ["/redoc/redoc.js", "/docs/swagger-ui-bundle.js", "/openapi.json"].iter().cycle().take(CLIENTS)
    {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.repeat(200).as_bytes()).await.unwrap();
        clients.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let during = process.memory();
    println!("{CLIENTS} clients that do not read: memory from {} to {} KiB", before / 1024, during / 1024);
    assert!(during.saturating_sub(before) < 64 * 1024 * 1024, "{before} {during}");
    assert_eq!(http.get(process.url("/livez")).send().await.unwrap().status(), 200);
    let mut waited = 0;
    while process.open_files() > files + 5 {
        assert!(waited < 100, "{} files are open", process.open_files());
        waited += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    process.kill();
}
