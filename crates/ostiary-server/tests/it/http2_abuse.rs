//! HTTP/2 as attackers speak it. Whatever they send, the process stays small, and other clients are served.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::{
    Process, http_client,
    http2::{
        END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Http2, PROTOCOL_ERROR, Received, frame, get, head, kind,
        post,
    },
};

/// Connections that attack at once.
const ATTACKERS: usize = 4;

/// How much the process may grow in an attack. It was 2 to 20 MiB; without bounds it is hundreds.
const GROWTH: usize = 64 * 1024 * 1024;

const LOGIN: &str = "/api/v1/auth/login";

/// Lets attackers attack at once, and asks as another client meanwhile. Gives what each attack comes to.
async fn attacked<T: Send + 'static>(
    name: &str,
    settings: &[(&str, &str)],
    attack: impl AsyncFn(SocketAddr) -> T + Clone + 'static,
) -> Vec<T> {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), settings);
    let http = http_client();
    let live = async || {
        let start = Instant::now();
        assert_eq!(http.get(process.url("/livez")).send().await.unwrap().status(), 200);
        start.elapsed()
    };
    live().await;
    let before = process.memory();
    let local = tokio::task::LocalSet::new();
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|_| {
            let (attack, address) = (attack.clone(), process.address);
            local.spawn_local(async move { attack(address).await })
        })
        .collect();
    let start = Instant::now();
    let (results, latencies, most) = local
        .run_until(async {
            let (mut latencies, mut most) = (Vec::new(), before);
            while !attackers.iter().all(tokio::task::JoinHandle::is_finished) || latencies.len() < 10 {
                latencies.push(live().await);
                most = most.max(process.memory());
                assert!(start.elapsed() < Duration::from_mins(1), "the attack does not end");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut results = Vec::new();
            for attacker in attackers {
                results.push(attacker.await.unwrap());
            }
            (results, latencies, most)
        })
        .await;
    let slowest = latencies.iter().max().unwrap();
    let grown = most.saturating_sub(before);
    println!(
        "{name}: {:?}, memory from {} to {} KiB, {} other requests, the slowest in {slowest:?}",
        start.elapsed(),
        before / 1024,
        most / 1024,
        latencies.len(),
    );
    assert!(grown < GROWTH, "{name}: grown by {grown} bytes");
    assert!(*slowest < Duration::from_secs(5), "{name}: others waited {slowest:?}");
    process.kill();
    results
}

/// Floods with what `make` makes; gives how many were sent, and what came back.
async fn flood(address: SocketAddr, count: u32, make: impl Fn(u32) -> Vec<u8>) -> (u32, Received) {
    let mut client = Http2::connect(address, &[]).await;
    let sent = client.flood(count, make).await;
    (sent, client.close().await)
}

/// The stream of a client's request of this number.
const fn stream(number: u32) -> u32 {
    2 * number + 1
}

#[tokio::test]
async fn floods_of_frames_that_belong_to_no_request_are_worked_off_or_ended() {
    const COUNT: u32 = 50_000;
    let settings = |_| frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    attacked("SETTINGS", &[], async move |address| flood(address, COUNT, settings).await).await;
    let ping = |_| frame(kind::PING, 0, 0, &[0; 8]);
    attacked("PING", &[], async move |address| flood(address, COUNT, ping).await).await;
    let priority = |number| frame(kind::PRIORITY, 0, stream(number), &[0; 5]);
    attacked("PRIORITY", &[], async move |address| flood(address, COUNT, priority).await).await;
    let unknown = |_| frame(0xbe, 0, 0, &[0; 100]);
    attacked("unknown frames", &[], async move |address| flood(address, COUNT, unknown).await).await;
}

/// CVE-2023-44487.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let make = |number| {
        let reset = frame(kind::RST_STREAM, 0, stream(number), &[0, 0, 0, 8]);
        [get(stream(number), "/livez"), reset].concat()
    };
    let ended = attacked("rapid reset", &[], async move |address| flood(address, 10_000, make).await).await;
    for (sent, received) in ended {
        assert_eq!(received.goaway, Some(ENHANCE_YOUR_CALM), "after {sent}: {received:?}");
    }
}

/// CVE-2025-8671: the client errs so that the server resets the stream.
#[tokio::test]
async fn making_the_server_reset_ends_the_connection() {
    let make = |number| {
        let too_much = frame(kind::WINDOW_UPDATE, 0, stream(number), &[0x7f, 0xff, 0xff, 0xff]);
        [post(stream(number), LOGIN), too_much].concat()
    };
    let ended =
        attacked("made you reset", &[], async move |address| flood(address, 10_000, make).await).await;
    for (sent, received) in ended {
        assert_eq!(received.goaway, Some(ENHANCE_YOUR_CALM), "after {sent}: {received:?}");
        assert!(received.count(kind::RST_STREAM) <= 1_100, "{received:?}");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let make = |number: u32| {
        // A literal header, never indexed, of which every frame brings another.
        let field = [&[0x10, 1, b'a', 100][..], &[b'x'; 100]].concat();
        match number {
            0 => frame(kind::HEADERS, 0, 1, &head(false, "/livez")),
            _ => frame(kind::CONTINUATION, 0, 1, &field),
        }
    };
    let ended = attacked("CONTINUATION", &[], async move |address| flood(address, 50_000, make).await).await;
    let empty = |number| match number {
        0 => frame(kind::HEADERS, 0, 1, &head(false, "/livez")),
        _ => frame(kind::CONTINUATION, 0, 1, &[]),
    };
    let also =
        attacked("empty CONTINUATION", &[], async move |address| flood(address, 50_000, empty).await).await;
    for (sent, received) in ended.into_iter().chain(also) {
        assert!(sent < 50_000, "{received:?}");
        assert!(matches!(received.goaway, Some(ENHANCE_YOUR_CALM | PROTOCOL_ERROR)), "{received:?}");
    }
}

#[tokio::test]
async fn floods_of_small_data_frames_end_the_connection_or_are_read() {
    let empty = |number| match number {
        0 => post(1, LOGIN),
        _ => frame(kind::DATA, 0, 1, &[]),
    };
    let ended = attacked("empty DATA", &[], async move |address| flood(address, 50_000, empty).await).await;
    for (sent, received) in ended {
        assert!(sent < 50_000 && received.goaway == Some(ENHANCE_YOUR_CALM), "{sent} {received:?}");
    }
    let small = |number| match number {
        0 => post(1, LOGIN),
        _ => frame(kind::DATA, 0, 1, b" "),
    };
    attacked("DATA of a byte", &[], async move |address| flood(address, 50_000, small).await).await;
}

/// A reader whose window is closed holds no more than its streams, and only until the idle time-out.
#[tokio::test]
async fn a_client_that_lets_no_answer_through_is_closed_in_time() {
    let settings = [("IDLE_TIMEOUT", "1")];
    let ended = attacked("a window of 0", &settings, async |address| {
        let mut client = Http2::connect(address, &[(4, 0)]).await;
        let requests: Vec<u8> = (0..200).flat_map(|number| get(stream(number), "/redoc/redoc.js")).collect();
        client.send(&requests).await.unwrap();
        client.until_closed(Duration::from_secs(20)).await
    })
    .await;
    for received in ended {
        let received = received.expect("it is closed");
        assert_eq!(received.count(kind::DATA), 0, "{received:?}");
        assert_eq!(received.count(kind::HEADERS), 16, "no more streams than are allowed: {received:?}");
        assert_eq!(received.count(kind::RST_STREAM), 184, "the others are refused: {received:?}");
    }
}

/// Four kilobytes, named by one byte each time (CVE-2016-6581): a head is as large as what it stands for.
#[tokio::test]
async fn a_head_that_is_small_only_in_transit_is_refused() {
    let make = |number| {
        let value = [b'x'; 3_900];
        // An indexed literal; the length is 127 and, in sevens of bits, 3,773.
        let entry = [&[0x40, 1, b'a', 0x7f, 0xbd, 29][..], &value].concat();
        let many = [head(false, "/livez"), entry, vec![0xbe; 12_000]].concat();
        frame(kind::HEADERS, END_STREAM | END_HEADERS, stream(number), &many)
    };
    let ended = attacked("HPACK bomb", &[], async move |address| flood(address, 200, make).await).await;
    for (sent, received) in ended {
        assert!(received.goaway.is_some(), "after {sent}: {received:?}");
    }
}

/// Neither the start of a connection nor signs of life are a request.
#[tokio::test]
async fn a_connection_without_requests_is_closed_in_time_whatever_else_it_sends() {
    let settings = [("HEADER_TIMEOUT", "1"), ("IDLE_TIMEOUT", "1")];
    let pinged = async |address, first: Vec<u8>| {
        let mut client = Http2::connect(address, &[]).await;
        client.send(&first).await.unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20)
            && client.send(&frame(kind::PING, 0, 0, &[0; 8])).await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    };
    let started = async move |address| pinged(address, Vec::new()).await;
    let idle = async move |address| pinged(address, get(1, "/livez")).await;
    for took in attacked("PING before a request", &settings, started).await {
        assert!((Duration::from_millis(500)..Duration::from_secs(10)).contains(&took), "{took:?}");
    }
    for took in attacked("PING after a request", &settings, idle).await {
        assert!((Duration::from_millis(500)..Duration::from_secs(10)).contains(&took), "{took:?}");
    }
    let silent = attacked("the preface alone", &settings, async |address| {
        Http2::connect(address, &[]).await.until_closed(Duration::from_secs(20)).await
    });
    assert!(silent.await.iter().all(Option::is_some), "it is closed");
}
