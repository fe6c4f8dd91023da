//! What a connection is waiting for, and whether it has waited too long.
//!
//! hyper's own header time-out runs while a connection is idle too, so one of 10 s would close a
//! connection that may rest for 60. Here the two are told apart: a request's head is due 10 s after
//! its first byte, and the first byte 60 s after the last request. While a request is in flight its
//! own time-outs hold.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use hyper::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use super::ConnectionLimits;

/// Follows one connection.
pub(super) struct Watch {
    limits: ConnectionLimits,
    state: Mutex<State>,
    told_to_close: Notify,
}

struct State {
    /// Requests whose answer's head is not ready.
    in_flight: usize,
    /// Bodies of requests that have not come in full.
    awaited_bodies: usize,
    /// When it was made, or a request of it last began or ended.
    active_at: Instant,
    /// When the first byte of a request's head came, of which no request has been made yet.
    head_since: Option<Instant>,
    /// HTTP/2 sends frames that belong to no request; it has limits of its own for slow heads.
    is_http2: bool,
    /// Whether it is to make room for others.
    must_close: bool,
}

impl Watch {
    pub(super) fn new(limits: ConnectionLimits, now: Instant) -> Self {
        // A client connects in order to ask: its first head is due at once.
        let state = State {
            in_flight: 0,
            awaited_bodies: 0,
            active_at: now,
            head_since: Some(now),
            is_http2: false,
            must_close: false,
        };
        Self { limits, state: Mutex::new(state), told_to_close: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request until the answer's head is ready. Writing the answer to a client that reads slowly
    /// is idle time.
    pub(super) fn request(self: &Arc<Self>, version: Version) -> InFlight {
        let mut state = self.state();
        state.in_flight += 1;
        state.active_at = Instant::now();
        state.head_since = None;
        state.is_http2 = version == Version::HTTP_2;
        drop(state);
        InFlight(Arc::clone(self))
    }

    /// Counts a request's body until what is returned is dropped.
    pub(super) fn body(self: &Arc<Self>) -> AwaitedBody {
        self.state().awaited_bodies += 1;
        AwaitedBody(Arc::clone(self))
    }

    /// Since when the connection has waited for its client alone: for a request, the rest of one, or until
    /// an answer is taken. `None` if the server has something to do for it.
    pub(super) fn waits_for_client_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.in_flight <= state.awaited_bodies).then_some(state.active_at)
    }

    /// Whether the connection has been told to make room.
    pub(super) fn is_closing(&self) -> bool {
        self.state().must_close
    }

    /// Lets the connection make room for others.
    pub(super) fn close(&self) {
        self.state().must_close = true;
        self.told_to_close.notify_one();
    }

    fn received(&self, now: Instant) {
        let mut state = self.state();
        if state.in_flight == 0 && state.head_since.is_none() && !state.is_http2 {
            state.head_since = Some(now);
        }
    }

    /// When the connection has waited too long, as things are now.
    fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        if state.must_close {
            return Some(state.active_at);
        }
        if state.in_flight > 0 {
            return None;
        }
        let idle = state.active_at + self.limits.idle_timeout;
        Some(state.head_since.map_or(idle, |since| idle.min(since + self.limits.header_timeout)))
    }

    /// Resolves once the connection has waited too long, or is to make room.
    ///
    /// It is to be polled after the connection, each time: what that has done moves the deadline. Where it moves to
    /// a later time, as with each request, the timer is left alone until it has run down: setting one costs more
    /// than all else here.
    pub(super) async fn overdue(&self) {
        let mut told_to_close = pin!(self.told_to_close.notified());
        let mut timer = pin!(tokio::time::sleep(self.limits.header_timeout));
        poll_fn(|cx| {
            // What it says is in the deadline.
            let _is_told = told_to_close.as_mut().poll(cx);
            loop {
                if let Some(deadline) = self.deadline().filter(|deadline| *deadline < timer.deadline()) {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(cx));
                let now = Instant::now();
                match self.deadline() {
                    Some(deadline) if deadline <= now => return Poll::Ready(()),
                    later => timer.as_mut().reset(later.unwrap_or(now + self.limits.idle_timeout)),
                }
            }
        })
        .await;
    }
}

/// A request in flight.
pub(super) struct InFlight(Arc<Watch>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        state.active_at = Instant::now();
        state.head_since = None;
    }
}

/// A body that has not come in full.
pub(super) struct AwaitedBody(Arc<Watch>);

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        self.0.state().awaited_bodies -= 1;
    }
}

/// A stream that tells its [`Watch`] when something arrives.
pub(super) struct WatchedIo<Io> {
    io: Io,
    watch: Arc<Watch>,
}

impl<Io> WatchedIo<Io> {
    pub(super) const fn new(io: Io, watch: Arc<Watch>) -> Self {
        Self { io, watch }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for WatchedIo<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.received(Instant::now());
        }
        result
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for WatchedIo<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
