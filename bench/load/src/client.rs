//! Connections to a server, kept open between requests, and cheap: the generator shares the server's cores.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

/// How long anything is waited for: longer than the server takes for it (`REQUEST_TIMEOUT`).
pub const TIMEOUT: Duration = Duration::from_secs(40);

/// The status of a request that was not answered.
pub const NO_ANSWER: u16 = 0;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code; [`NO_ANSWER`] if there was none.
    pub status: u16,
    /// The header.
    pub headers: HeaderMap,
    /// The body; null if it is no JSON.
    pub body: Value,
}

/// A way to one server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connections: Connections,
}

#[derive(Debug)]
enum Connections {
    /// As many as there are requests at a time.
    Http1(Mutex<Vec<http1::SendRequest<Full<Bytes>>>>),
    /// A fixed number, in turns.
    Http2 { slots: Vec<tokio::sync::Mutex<Option<http2::SendRequest<Full<Bytes>>>>>, next: AtomicUsize },
}

impl Client {
    /// A client of HTTP/1.1, which opens a connection when none is free.
    #[must_use]
    pub const fn http1(address: SocketAddr) -> Self {
        Self { address, connections: Connections::Http1(Mutex::new(Vec::new())) }
    }

    /// A client of HTTP/2 with `connections` connections, each of which carries as many requests at a time as
    /// the server allows; more wait.
    #[must_use]
    pub fn http2(address: SocketAddr, connections: usize) -> Self {
        let slots = (0..connections).map(|_| tokio::sync::Mutex::new(None)).collect();
        Self { address, connections: Connections::Http2 { slots, next: AtomicUsize::new(0) } }
    }

    /// Where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Posts JSON, with the header `Ostiary-Device` if there is a value for it.
    pub async fn post(&self, path: &str, body: &Value, device: Option<&str>) -> Answer {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(device) = device {
            request = request.header("ostiary-device", device);
        }
        self.ask(request, Bytes::from(body.to_string())).await
    }

    /// Gets what is at a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path), Bytes::new()).await
    }

    /// Asks anything: a request for a path, to which the name of the host is added.
    pub async fn ask(&self, request: http::request::Builder, body: Bytes) -> Answer {
        let answered = tokio::time::timeout(TIMEOUT, self.try_to_ask(request, body)).await;
        match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Answer { status: NO_ANSWER, headers: HeaderMap::new(), body: Value::Null },
        }
    }

    async fn try_to_ask(&self, request: http::request::Builder, body: Bytes) -> anyhow::Result<Answer> {
        let request = request.header(header::HOST, self.address.to_string()).body(Full::new(body))?;
        match &self.connections {
            Connections::Http1(idle) => {
                let mut sender = self.free_connection(idle).await?;
                let answer = read(sender.send_request(request).await?).await?;
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                Ok(answer)
            }
            Connections::Http2 { slots, next } => {
                let request = self.with_authority(request)?;
                let slot = &slots[next.fetch_add(1, Ordering::Relaxed) % slots.len()];
                let mut sender = self.shared_connection(slot).await?;
                sender.ready().await?;
                read(sender.send_request(request).await?).await
            }
        }
    }

    /// With the address in the URI, which HTTP/2 takes it from. HTTP/1.1 names the path alone (RFC 9112,
    /// section 3.2.1), and not every server understands more.
    fn with_authority(&self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Request<Full<Bytes>>> {
        *request.uri_mut() = format!("http://{}{}", self.address, request.uri()).parse()?;
        Ok(request)
    }

    async fn free_connection(
        &self,
        idle: &Mutex<Vec<http1::SendRequest<Full<Bytes>>>>,
    ) -> anyhow::Result<http1::SendRequest<Full<Bytes>>> {
        loop {
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = free else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let (sender, connection) = http1::handshake(self.connect().await?).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn shared_connection(
        &self,
        slot: &tokio::sync::Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
    ) -> anyhow::Result<http2::SendRequest<Full<Bytes>>> {
        let mut slot = slot.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let (sender, connection) = http2::handshake(TokioExecutor::new(), self.connect().await?).await?;
        tokio::spawn(connection);
        *slot = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(&self) -> anyhow::Result<TokioIo<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    }
}

async fn read(response: http::Response<hyper::body::Incoming>) -> anyhow::Result<Answer> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}
