//! One connection of HTTP/1.1, whose client costs hardly more than its system calls: two for each request. For
//! what is asked so often that a client of all HTTP would take the processor from the server that is measured.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many headers an answer may have.
pub(crate) const MAX_HEADERS: usize = 32;
/// How many bytes an answer may have; those of a token or an account are fewer.
const MAX_ANSWER: usize = 16 * 1024;

/// A connection that is kept open.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    received: Box<[u8]>,
    /// Where the head of the last answer ends, and its body.
    head_end: usize,
    end: usize,
}

impl Wire {
    /// Connects to a server.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: vec![0; MAX_ANSWER].into_boxed_slice(), head_end: 0, end: 0 })
    }

    /// Sends a request, head and body, and gives the body of the answer.
    ///
    /// # Errors
    /// If it was answered with anything but 200, or by something else than at most 16 KiB of a known length.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request).await?;
        (self.head_end, self.end) = (0, 0);
        let mut filled = 0;
        while self.head_end == 0 || filled < self.end {
            let read = self.stream.read(&mut self.received[filled..]).await?;
            if read == 0 {
                bail!("no whole answer: {}", String::from_utf8_lossy(&self.received[..filled]));
            }
            filled += read;
            if self.head_end == 0 {
                self.read_head(filled)?;
            }
        }
        Ok(&self.received[self.head_end..self.end])
    }

    /// The last answer as it came, head and body.
    #[must_use]
    pub fn answer(&self) -> &[u8] {
        &self.received[..self.end]
    }

    /// Finds out where the answer ends, if its head is there.
    fn read_head(&mut self, filled: usize) -> anyhow::Result<()> {
        let received = &self.received[..filled];
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_end) = head.parse(received)? else { return Ok(()) };
        if head.code != Some(200) {
            bail!("answered with {}", String::from_utf8_lossy(received));
        }
        let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length: usize = str::from_utf8(length.context("no length of the body")?.value)?.parse()?;
        (self.head_end, self.end) = (head_end, head_end + length);
        Ok(())
    }
}

/// A request without a body.
#[must_use]
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n").into_bytes()
}

/// A request with a body; `headers` end in a line break each.
#[must_use]
pub fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: bench\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
