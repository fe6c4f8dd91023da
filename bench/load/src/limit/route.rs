//! A route that gives one answer from memory to whoever asks: what HTTP costs where nothing is behind it. It has
//! the server's libraries, threads and allocator, and a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use anyhow::Context;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
    routing::{get, post},
    serve::ListenerExt,
};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    wire::MAX_HEADERS,
    work::{INTROSPECT, ME},
};

/// A process with the route.
#[derive(Debug)]
pub struct Route {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Route {
    /// Starts `program`, this package's binary, with an answer as it came from a server.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: &Path, answer: &[u8]) -> anyhow::Result<Self> {
        let directory = TempDir::new()?;
        let file = directory.path().join("answer");
        fs::write(&file, answer)?;
        let mut command = Command::new(program);
        command.arg("route").arg("--answer").arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output is piped")?).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                // It has ended, or soon will.
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("the route does not start")
            }
        }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the process does: says on the standard output where it listens, and answers until it is killed.
///
/// # Errors
/// If the file has no answer, or there is no port.
pub fn serve(answer: &Path) -> anyhow::Result<()> {
    let answer = Arc::new(Answer::read(&fs::read(answer)?)?);
    let handler = async move || answer.response();
    let router = Router::new().route(ME, get(handler.clone())).route(INTROSPECT, post(handler));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        // As the server has it. It may fail only for a connection that is gone.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, router).await?;
        Ok(())
    })
}

/// An answer in memory.
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// An answer of status 200 as it came. What every answer has by itself is left out of its headers.
    fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        const BY_ITSELF: [HeaderName; 2] = [header::CONTENT_LENGTH, header::DATE];
        let mut found = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut found);
        let head_end = match head.parse(bytes)? {
            httparse::Status::Complete(head_end) => head_end,
            httparse::Status::Partial => anyhow::bail!("no whole answer"),
        };
        let mut headers = HeaderMap::new();
        for header in head.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes())?;
            if !BY_ITSELF.contains(&name) {
                headers.append(name, HeaderValue::from_bytes(header.value)?);
            }
        }
        Ok(Self { headers, body: Bytes::copy_from_slice(&bytes[head_end..]) })
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }
}
