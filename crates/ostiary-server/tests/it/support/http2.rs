//! A client of HTTP/2 that writes frames as a test wants them, and reads what comes.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::timeout,
};

/// Kinds of frames (RFC 9113, section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What an error means (RFC 9113, section 7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame as it is sent.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The head of a request for `path`, as HPACK without its dynamic table (RFC 7541): `GET`, or `POST` of JSON.
pub(crate) fn head(is_post: bool, path: &str) -> Vec<u8> {
    // Of the static table: the methods, the scheme http; the names `:path` and `:authority` with a value here.
    let mut block = vec![if is_post { 0x83 } else { 0x82 }, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.bytes());
    block.extend([0x01, 1, b'x']);
    if is_post {
        let json = "application/json";
        block.extend([0x0f, 16, u8::try_from(json.len()).unwrap()]);
        block.extend(json.bytes());
    }
    block
}

/// A request that has no body, whole.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, END_STREAM | END_HEADERS, stream, &head(false, path))
}

/// A request whose body is to come.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS, stream, &head(true, path))
}

/// A connection, and what has come on it.
pub(crate) struct Http2 {
    writer: OwnedWriteHalf,
    received: Arc<Mutex<Received>>,
    reading: JoinHandle<()>,
}

/// What came until the connection was closed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    /// How many frames of each kind.
    pub(crate) frames: HashMap<u8, usize>,
    /// The error of the frame that announced the end.
    pub(crate) goaway: Option<u32>,
}

impl Received {
    pub(crate) fn count(&self, kind: u8) -> usize {
        self.frames.get(&kind).copied().unwrap_or(0)
    }
}

impl Http2 {
    /// Connects, with settings: identifiers and values.
    pub(crate) async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let received = Arc::default();
        let reading = tokio::spawn(receive(reader, Arc::clone(&received)));
        let mut client = Self { writer, received, reading };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [id.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat())
            .collect();
        let start =
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(kind::SETTINGS, 0, 0, &payload)].concat();
        client.send(&start).await.unwrap();
        client
    }

    /// Sends frames. An error means that the server has closed the connection.
    pub(crate) async fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        // A server that has stopped to read must not stop the test.
        match timeout(Duration::from_secs(30), self.writer.write_all(frames)).await {
            Ok(written) => written,
            Err(_) => Err(io::Error::other("it does not read")),
        }
    }

    /// Sends the frames that `make` makes of 0, 1, 2 ..., a hundred at a time, until there are `count` or the server
    /// has enough. Says how many were sent.
    pub(crate) async fn flood(&mut self, count: u32, make: impl Fn(u32) -> Vec<u8>) -> u32 {
        for first in (0..count).step_by(100) {
            let frames: Vec<u8> = (first..first + 100).flat_map(&make).collect();
            if self.reading.is_finished() || self.send(&frames).await.is_err() {
                return first;
            }
        }
        count
    }

    /// What comes until the server closes the connection; `None` if it does not in time.
    pub(crate) async fn until_closed(mut self, limit: Duration) -> Option<Received> {
        timeout(limit, &mut self.reading).await.ok()?.unwrap();
        Some(self.so_far())
    }

    /// What comes until the client closes its side and the server has nothing more to say.
    pub(crate) async fn close(mut self) -> Received {
        let _closed = self.writer.shutdown().await;
        timeout(Duration::from_secs(30), &mut self.reading).await.expect("the server ends").unwrap();
        self.so_far()
    }

    /// What has come until now.
    pub(crate) fn so_far(&self) -> Received {
        self.received.lock().unwrap().clone()
    }
}

async fn receive(mut reader: OwnedReadHalf, received: Arc<Mutex<Received>>) {
    let mut head = [0; 9];
    while reader.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if reader.read_exact(&mut payload).await.is_err() {
            break;
        }
        let mut received = received.lock().unwrap();
        *received.frames.entry(head[3]).or_default() += 1;
        if head[3] == kind::GOAWAY {
            received.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
}
