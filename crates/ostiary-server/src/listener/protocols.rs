//! How HTTP/1 and HTTP/2 are spoken: how much of anything a client may ask for before it is refused.

use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};

/// The head of a request, in bytes; more is refused (431).
const MAX_HEAD: u16 = u16::MAX;

/// Requests that an HTTP/2 connection may have in flight. What their bodies and answers hold is multiplied
/// by it, and by the number of connections.
const STREAMS: u32 = 16;

/// What may arrive for a stream of HTTP/2 before its handler reads it, in bytes: the standard's own value
/// (RFC 9113, section 6.9.2), about the greatest body that is taken. hyper's is 1 MiB.
const STREAM_WINDOW: u32 = 65_535;

/// The same for all streams of a connection together. hyper's is 1 MiB.
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;

/// How much of an answer is kept for a stream whose client does not read, in bytes. hyper's is 400 KiB.
const SEND_BUFFER: usize = 64 * 1024;

/// How many streams may be reset by their client before their requests have been looked at: beyond it, the
/// connection is closed (CVE-2023-44487, "rapid reset"). h2's own value.
const UNSEEN_RESETS: usize = 20;

/// How many streams the server may have had to reset for a client's errors, in the life of a connection:
/// beyond it, the connection is closed (CVE-2025-8671, "made you reset"). h2's own value; it counts streams
/// over [`STREAMS`] too, which an honest client opens until it has heard of that limit.
const FORCED_RESETS: usize = 1024;

/// Both protocols, with their limits. That a head comes in time is the watch's concern.
///
/// h2 has more limits that cannot be set here: a connection is closed after 100 empty `DATA` frames, after
/// small ones that cost more than they carry, and after as many `CONTINUATION` frames as a head could need.
pub(super) fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(usize::from(MAX_HEAD));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::from(MAX_HEAD))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .max_local_error_reset_streams(FORCED_RESETS);
    builder
}
