//! More connections than there may be: those that only wait make room for those that come.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get, routing::post};
use bytes::Bytes;
use ostiary_server::listener::{self, ConnectionLimits, ConnectionMetrics};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Far more than the buffers of a connection hold.
const LARGE: usize = 64 * 1024 * 1024;

const MINUTE: Duration = Duration::from_mins(1);

/// A listener alone, with handlers that take as long as a test wants.
struct Listening {
    address: SocketAddr,
    /// Each permit lets a request to `/work` end.
    done: Arc<Semaphore>,
    serving: JoinHandle<bool>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Listening {
    async fn for_connections(max_connections: usize) -> Self {
        let done = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&done);
        let work = get(async move || gate.acquire().await.unwrap().forget());
        let router = Router::new()
            .route("/", get(async || "served"))
            .route("/work", work)
            .route("/body", post(async |body: Bytes| body))
            .route("/large", get(async || Bytes::from(vec![0; LARGE])));
        let limits = ConnectionLimits {
            header_timeout: MINUTE,
            idle_timeout: MINUTE,
            max_connections,
            drain_timeout: Duration::ZERO,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, stop) = (ConnectionMetrics::default(), CancellationToken::new());
        let serving = tokio::spawn(listener::serve(listener, router, limits, connections, stop));
        Self { address, done, serving }
    }

    /// A connection that has sent `text`, which the server has taken in.
    async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// What comes first: the start of an answer, or nothing from a connection that was closed.
async fn first_bytes(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 12];
    let length = timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.expect("no answer");
    String::from_utf8_lossy(&bytes[..length.unwrap_or(0)]).into_owned()
}

const SERVED: &str = "HTTP/1.1 200";

#[tokio::test]
async fn a_connection_that_waits_for_its_client_makes_room_whatever_it_waits_for() {
    let listening = Listening::for_connections(1).await;
    for (what, text) in [
        ("its first byte", ""),
        ("the rest of a head", "GET / HTTP/1.1\r\nhost"),
        ("a body", "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"),
        ("the rest of a body", "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345"),
        (
            "the rest of a chunk",
            "POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nff\r\n1",
        ),
        ("a reader", &request("/large")),
        ("many readers", &request("/large").repeat(100)),
        ("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n"),
        ("HTTP/2's settings", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let _waiting = listening.connect(text).await;
        let mut newcomer = listening.connect(&request("/")).await;
        assert_eq!(first_bytes(&mut newcomer).await, SERVED, "one waits for {what}");
    }
}

#[tokio::test]
async fn the_one_that_has_waited_the_longest_goes_first() {
    let listening = Listening::for_connections(3).await;
    let mut first = listening.connect("").await;
    let mut second = listening.connect("").await;
    let mut third = listening.connect("").await;
    // It waits anew from here.
    first.write_all(request("/").as_bytes()).await.unwrap();
    assert_eq!(first_bytes(&mut first).await, SERVED);

    let mut newcomer = listening.connect(&request("/")).await;
    assert_eq!(first_bytes(&mut newcomer).await, SERVED);
    assert_eq!(first_bytes(&mut second).await, "", "the second had waited the longest");
    for open in [&mut first, &mut third] {
        let mut byte = [0; 1000];
        while let Ok(length) = timeout(Duration::from_millis(50), open.read(&mut byte)).await {
            assert_ne!(length.unwrap(), 0, "it was closed");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_at_work_is_not_closed_and_a_newcomer_waits_for_it() {
    let listening = Listening::for_connections(2).await;
    let mut working =
        [listening.connect(&request("/work")).await, listening.connect(&request("/work")).await];
    let mut newcomer = listening.connect(&request("/")).await;
    let mut byte = [0];
    let waiting = timeout(Duration::from_millis(300), newcomer.peek(&mut byte)).await;
    assert!(waiting.is_err(), "there is no room");
    listening.done.add_permits(1);
    assert_eq!(first_bytes(&mut newcomer).await, SERVED);
    listening.done.add_permits(1);
    for stream in &mut working {
        assert_eq!(first_bytes(stream).await, SERVED);
    }
}

/// A flood of connections that only wait, ten times as many as there may be, keeps nobody out.
#[tokio::test]
async fn clients_are_served_while_all_places_are_taken_again_and_again() {
    let listening = Listening::for_connections(50).await;
    let mut flood = Vec::new();
    for number in 0..500 {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        let text =
            ["", "GET / HT", "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n1"][number % 3];
        stream.write_all(text.as_bytes()).await.unwrap();
        flood.push(stream);
        if number % 50 == 49 {
            let mut client = TcpStream::connect(listening.address).await.unwrap();
            client.write_all(request("/").as_bytes()).await.unwrap();
            assert_eq!(first_bytes(&mut client).await, SERVED, "after {number}");
        }
    }
}
