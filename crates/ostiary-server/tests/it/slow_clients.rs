//! Thousands of connections that are slow on purpose, and what they do to everybody else.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rstest::rstest;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{
    Process, Tokens, http_client,
    http2::{Http2, kind, post},
    registration,
};

const LOGIN: &str = "/api/v1/auth/login";

/// A test holds as many connections as a server.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A login whose body is to be of this length, and begins with a blank.
fn body_of(length: usize) -> Vec<u8> {
    let head = format!("POST {LOGIN} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    format!("{head}content-length: {length}\r\n\r\n ").into_bytes()
}

/// What a slow client starts with, and what it goes on with, a little at a time. There are five kinds.
fn slow(number: usize) -> (Vec<u8>, &'static [u8]) {
    match number % 5 {
        0 => (b"GET /livez HTTP/1.1\r\nhost: x\r\nx: ".to_vec(), b"y"),
        1 => (body_of(60_000), b" "),
        2 => ("GET /redoc/redoc.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(10).into_bytes(), b""),
        3 => (b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), b""),
        _ => {
            let start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
            let requests = (0..4).flat_map(|number| post(2 * number + 1, LOGIN));
            ([start, requests.collect()].concat(), b"\0\0\x01\0\0\0\0\0\x01 ")
        }
    }
}

/// Keeps `count` slow connections open, and opens those that are closed anew. `open` has how many there are.
async fn keep_slow(address: SocketAddr, count: usize, open: Arc<AtomicUsize>) {
    let mut clients: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
    loop {
        for (number, client) in clients.iter_mut().enumerate() {
            let (start, more) = slow(number);
            let is_open = match client {
                Some(stream) => stream.write_all(more).await.is_ok(),
                None => false,
            };
            if !is_open {
                if client.take().is_some() {
                    open.fetch_sub(1, Ordering::Relaxed);
                }
                // With large buffers a slow reader would be quick for its first megabytes.
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(4 * 1024).unwrap();
                let Ok(mut stream) = socket.connect(address).await else { continue };
                if stream.write_all(&start).await.is_ok() {
                    open.fetch_add(1, Ordering::Relaxed);
                    *client = Some(stream);
                }
            }
            // Each has its turn once a second, one after another.
            if number % 20 == 0 {
                tokio::time::sleep(Duration::from_secs(1) * 20 / u32::try_from(count).unwrap()).await;
            }
        }
    }
}

/// A client that asks one thing after another, each on a connection of its own or on a kept one.
struct Client {
    kept: reqwest::Client,
    /// How often a connection was closed before it was answered: it made room for another.
    repeats: usize,
    tokens: Tokens,
}

impl Client {
    /// How long requests take, for five seconds.
    async fn measure(&mut self, process: &Process) -> Vec<Duration> {
        let mut latencies = Vec::new();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let start = Instant::now();
            while !is_live(process.address).await {
                self.repeats += 1;
            }
            latencies.push(start.elapsed());

            let start = Instant::now();
            let body = json!({ "refresh_token": self.tokens.refresh });
            let url = process.url("/api/v1/auth/refresh");
            // A repeat is given the same successor.
            let answer = loop {
                match self.kept.post(&url).json(&body).send().await {
                    Ok(answer) => break answer,
                    Err(_) => self.repeats += 1,
                }
            };
            self.tokens = Tokens::from(answer).await;
            latencies.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        latencies.sort_unstable();
        latencies
    }
}

/// Asks on a new connection.
async fn is_live(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 200"
}

/// The least of them that so many of a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// 2,000 slow connections, among as many as there may be, or twice as many as there may be.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_connections_leave_others_served(#[values("4096", "1000")] max_connections: &str) {
    const SLOW: usize = 2_000;
    raise_open_files();
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[("MAX_CONNECTIONS", max_connections)]);
    let kept = http_client();
    kept.get(process.url("/redoc/redoc.js")).send().await.unwrap().bytes().await.unwrap();
    let registered = kept.post(process.url("/api/v1/auth/register")).json(&registration("anna")).send();
    let mut client = Client { tokens: Tokens::from(registered.await.unwrap()).await, repeats: 0, kept };

    let alone = client.measure(&process).await;
    let (files, memory) = (process.open_files(), process.memory());
    let open = Arc::new(AtomicUsize::new(0));
    let attack = tokio::spawn(keep_slow(process.address, SLOW, open.clone()));
    // Some are always being opened anew, at their time-outs.
    let wanted = SLOW.min(max_connections.parse().unwrap()) * 9 / 10;
    let start = Instant::now();
    while process.open_files() < wanted {
        assert!(start.elapsed() < Duration::from_mins(1), "only {} are open", process.open_files());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // All have begun once the server comes to rest.
    let mut busy = process.processor_time();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = std::mem::replace(&mut busy, process.processor_time());
        if busy.saturating_sub(before) < Duration::from_millis(200) {
            break;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "the server does not come to rest");
    }
    let beside = client.measure(&process).await;
    let busy = process.processor_time().saturating_sub(busy);
    for (what, latencies) in [("alone", &alone), ("beside slow connections", &beside)] {
        println!(
            "{what}, MAX_CONNECTIONS={max_connections}: {} requests, p50 {:?}, p99 {:?}, slowest {:?}",
            latencies.len(),
            percentile(latencies, 50),
            percentile(latencies, 99),
            latencies.last().unwrap(),
        );
    }
    println!(
        "{} slow connections, {} open files, {} repeats, memory from {} to {} KiB, {busy:?} of processor time in 5 s",
        open.load(Ordering::Relaxed),
        process.open_files(),
        client.repeats,
        memory / 1024,
        process.memory() / 1024,
    );
    assert!(process.open_files() >= wanted, "the attack went on to the end: {}", process.open_files());
    assert!(percentile(&beside, 99) < Duration::from_secs(5), "others are served");

    attack.abort();
    let start = Instant::now();
    while process.open_files() > files + 5 {
        assert!(start.elapsed() < Duration::from_secs(30), "{} files are open still", process.open_files());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.kill();
}

/// So many more bodies on each connection that begin and go no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_whose_bodies_never_come_are_given_up_the_oldest_first() {
    /// With 16 streams each, more than have room.
    const CONNECTIONS: usize = 300;
    raise_open_files();
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    let before = process.memory();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Http2::connect(process.address, &[]).await;
        let requests: Vec<u8> = (0..16).flat_map(|number| post(2 * number + 1, LOGIN)).collect();
        client.send(&requests).await.unwrap();
        clients.push(client);
    }
    let live = http_client().get(process.url("/livez")).send().await.unwrap();
    assert_eq!(live.status(), 200);
    println!(
        "{CONNECTIONS} times 16 streams: memory from {} to {} KiB",
        before / 1024,
        process.memory() / 1024
    );
    assert!(process.memory() - before < 140 * 1024 * 1024);
    let answers = |client: &Http2| client.so_far().count(kind::HEADERS);
    let start = Instant::now();
    while answers(&clients[0]) < 16 {
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", clients[0].so_far());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(answers(clients.last().unwrap()), 0, "the newest are awaited");
    process.kill();
}

/// Bodies that never end hold what all of them may, not what each may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_end_hold_a_bounded_memory_and_keep_nobody_out() {
    /// With 60,000 bytes each they would hold 180 MB.
    const BODIES: usize = 3_000;
    raise_open_files();
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    let http = http_client();
    let registered = http.post(process.url("/api/v1/auth/register")).json(&registration("anna")).send();
    let tokens = Tokens::from(registered.await.unwrap()).await;
    let before = process.memory();
    let bytes = [body_of(65_000), vec![b' '; 60_000]].concat();
    let mut bodies = Vec::new();
    for _ in 0..BODIES {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        bodies.push(stream);
    }
    let after = process.memory();
    println!("{BODIES} bodies of 60,000 bytes: memory from {} to {} KiB", before / 1024, after / 1024);
    assert!(after - before < 140 * 1024 * 1024, "{before} {after}");
    let body = json!({ "refresh_token": tokens.refresh });
    let answer = http.post(process.url("/api/v1/auth/refresh")).json(&body).send().await.unwrap();
    Tokens::from(answer).await;
    // The oldest was given up; the newest is still awaited.
    let mut answer = [0; 12];
    bodies[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    let newest = bodies.last_mut().unwrap();
    let is_silent = tokio::time::timeout(Duration::from_millis(200), newest.peek(&mut answer)).await.is_err();
    assert!(is_silent, "it is awaited");
    process.kill();
}
