//! The body of a request, of which the connection's [`Watch`] knows whether it is still awaited.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::watch::{AwaitedBody, Watch};

/// A body that counts with its [`Watch`] until it has come in full, or nobody wants it any more.
pub(super) struct WatchedBody {
    body: Incoming,
    awaited: Option<AwaitedBody>,
}

impl WatchedBody {
    pub(super) fn new(body: Incoming, watch: &Arc<Watch>) -> Self {
        let awaited = (!body.is_end_stream()).then(|| watch.body());
        Self { body, awaited }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.awaited = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
