//! A system that allows few open files.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Process, http_client};

/// A client that only connects, as often as asked, and keeps trying until it is answered.
fn served_within(process: &Process, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        let mut stream = TcpStream::connect(process.address).unwrap();
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut answer = [0; 12];
        let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
        if asked.is_ok() && stream.read_exact(&mut answer).is_ok() {
            return &answer == b"HTTP/1.1 200";
        }
    }
    false
}

/// It starts with what it has, says so, and lets nobody be kept out.
#[test]
fn with_few_open_files_it_serves_fewer_connections_and_says_what_to_do() {
    let directory = TempDir::new().unwrap();
    let process = Process::start_with_open_files(directory.path(), 128, &[]);
    let idle: Vec<_> = (0..200).map(|_| TcpStream::connect(process.address).unwrap()).collect();
    assert!(served_within(&process, Duration::from_secs(10)));
    assert!(process.open_files() < 128, "{}", process.open_files());
    drop(idle);
    let (_, log) = process.end_by(Signal::TERM);
    assert!(!log.contains("no connection could be accepted"), "{log}");
    assert_eq!(log.matches("MAX_CONNECTIONS allows are taken").count(), 1, "{log}");
}

/// Where there are fewer than it needs for itself, it runs out of them: it must not spin, nor fill the log, and it
/// goes on by closing connections that wait.
#[tokio::test]
async fn out_of_open_files_it_does_not_spin_and_still_serves() {
    let directory = TempDir::new().unwrap();
    let process = Process::start(directory.path(), &[]);
    let own = process.open_files();
    process.kill();
    // Half of it is for connections, which is more than it can spare.
    let count = u32::try_from(own + own / 4).unwrap();
    let process = Process::start_with_open_files(directory.path(), count, &[]);
    let before = process.processor_time();
    let idle: Vec<_> = (0..100).map(|_| TcpStream::connect(process.address).unwrap()).collect();
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(3));
    let busy = process.processor_time().saturating_sub(before);
    println!("{count} open files, {own} of its own: busy for {busy:?} in {:?} out of files", start.elapsed());
    assert!(busy < Duration::from_secs(1), "it spins: {busy:?}");
    assert!(served_within(&process, Duration::from_secs(20)));
    drop(idle);
    assert!(served_within(&process, Duration::from_secs(20)));
    assert_eq!(http_client().get(process.url("/readyz")).send().await.unwrap().status(), 200);
    let (_, log) = process.end_by(Signal::TERM);
    let lines = log.matches("no connection could be accepted").count();
    assert!((1..=4).contains(&lines), "{log}");
    assert!(log.contains("os error 24"), "{log}");
}
