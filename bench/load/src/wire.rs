//! One connection of HTTP/1.1, whose client costs hardly more than its system calls: two for each request. For
//! what is asked so often that a client of all HTTP would take the processor from the server that is measured.

use std::net::SocketAddr;

use anyhow::{Context, anyhow, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::Answer;

/// The header of a body in JSON.
pub(crate) const JSON: &str = "content-type: application/json\r\n";
/// How many headers an answer may have.
pub(crate) const MAX_HEADERS: usize = 32;
/// How many bytes an answer may have; those of a token or an account are fewer.
const MAX_ANSWER: usize = 16 * 1024;

/// A connection that is kept open.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    received: Box<[u8]>,
    head: Head,
    /// Where the last answer ends.
    end: usize,
}

/// What the head of an answer says about the rest.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// The status; none before the whole head is there.
    status: Option<u16>,
    end: usize,
    /// The length of the body, if it is known before; it comes in chunks if not (RFC 9112, section 7.1).
    length: Option<usize>,
}

impl Wire {
    /// Connects to a server.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let received = vec![0; MAX_ANSWER].into_boxed_slice();
        Ok(Self { stream, received, head: Head::default(), end: 0 })
    }

    /// Sends a request, head and body, and gives the body of the answer.
    ///
    /// # Errors
    /// If it was answered with anything but 200, or by something else than at most 16 KiB.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        if self.exchange(request).await? != 200 {
            bail!("answered with {}", String::from_utf8_lossy(self.answer()));
        }
        Ok(&self.received[self.head.end..self.end])
    }

    /// Sends a request, head and body, and gives the status of the answer.
    ///
    /// # Errors
    /// If it was not answered by at most 16 KiB.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.head = Head::default();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.received[filled..]).await?;
            if read == 0 {
                bail!("no whole answer: {}", String::from_utf8_lossy(&self.received[..filled]));
            }
            filled += read;
            let received = &self.received[..filled];
            if self.head.status.is_none() {
                self.head = Head::read(received)?;
            }
            if let Some(status) = self.head.status
                && let Some(end) = self.head.end_of_answer(received)?
            {
                self.end = end;
                return Ok(status);
            }
        }
    }

    /// The last answer as it came, head and body.
    #[must_use]
    pub fn answer(&self) -> &[u8] {
        &self.received[..self.end]
    }

    /// The last answer, read.
    ///
    /// # Errors
    /// If there was none.
    pub fn read_answer(&self) -> anyhow::Result<Answer> {
        let mut found = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut found);
        head.parse(self.answer())?;
        let mut headers = HeaderMap::new();
        for header in head.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes())?;
            headers.append(name, HeaderValue::from_bytes(header.value)?);
        }
        let body = &self.answer()[self.head.end..];
        let body =
            if self.head.length.is_some() { body.to_vec() } else { chunks(body)?.unwrap_or_default().0 };
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer { status: head.code.context("no answer")?, headers, body })
    }
}

impl Head {
    fn read(received: &[u8]) -> anyhow::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(end) = head.parse(received)? else { return Ok(Self::default()) };
        let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.map(|length| anyhow::Ok(str::from_utf8(length.value)?.parse()?)).transpose()?;
        Ok(Self { status: head.code, end, length })
    }

    fn end_of_answer(&self, received: &[u8]) -> anyhow::Result<Option<usize>> {
        match self.length {
            Some(length) => Ok(Some(self.end + length).filter(|end| *end <= received.len())),
            None => Ok(chunks(&received[self.end..])?.map(|(_, length)| self.end + length)),
        }
    }
}

/// What chunks hold, and how long they are; nothing as long as the last is not there.
fn chunks(mut received: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let length = received.len();
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(received).map_err(|_| anyhow!("no chunk"))?;
        let httparse::Status::Complete((begin, size)) = size else { return Ok(None) };
        let end = begin + usize::try_from(size)?;
        let Some(rest) = received.get(end + 2..) else { return Ok(None) };
        body.extend_from_slice(&received[begin..end]);
        received = rest;
        if size == 0 {
            return Ok(Some((body, length - rest.len())));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_read_once_the_last_is_there() {
        let whole = b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(chunks(&whole[..length]).unwrap(), None, "{length}");
        }
        assert_eq!(chunks(whole).unwrap(), Some((b"hello!".to_vec(), whole.len())));
        assert!(chunks(b"no chunk\r\n").is_err());
    }

    #[test]
    fn a_head_says_where_the_answer_ends() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let head = Head::read(answer).unwrap();
        assert_eq!((head.status, head.length), (Some(200), Some(2)));
        assert_eq!(head.end_of_answer(answer).unwrap(), Some(answer.len()));
        assert_eq!(head.end_of_answer(&answer[..answer.len() - 1]).unwrap(), None);
        assert_eq!(Head::read(&answer[..10]).unwrap().status, None);
    }
}
