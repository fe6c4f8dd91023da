//! Answers that a client keeps, and asks again whether they are still so (RFC 9110 §13).

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ostiary_core::secret::{hex, sha256};
use serde::Serialize;

/// The tag of an answer: the same as long as its body is.
pub(super) struct Tagged {
    body: Vec<u8>,
    tag: String,
}

impl Tagged {
    pub(super) fn new(body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("an answer has a JSON form");
        let tag = format!("\"{}\"", hex(&sha256(&body)[..16]));
        Self { body, tag }
    }

    /// Whether the client has this already, by its `If-None-Match`.
    pub(super) fn is_known_to(&self, client: &HeaderMap) -> bool {
        let tags = client.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
        let mut tags = tags.flat_map(|tags| tags.split(','));
        // Compared weakly, as RFC 9110 §13.1.2 has it.
        tags.any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == self.tag)
    }

    /// 200, or 304 to a client that has it already; `cache_control` says how long it need not ask.
    pub(super) fn answer(self, client: &HeaderMap, cache_control: &str) -> Response {
        let is_known = self.is_known_to(client);
        let cache_control = HeaderValue::try_from(cache_control).expect("a directive is plain text");
        let tag = HeaderValue::try_from(self.tag).expect("a tag is hexadecimal");
        let headers = [(header::CACHE_CONTROL, cache_control), (header::ETAG, tag)];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}
