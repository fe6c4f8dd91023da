//! How a service is asked to register, to log in, to refresh, and who somebody is.

use bytes::Bytes;
use http::{HeaderName, Method, Request, header};
use serde_json::Value;

use crate::{
    client::{Answer, Client},
    wire,
};

/// What one service answers to, in the order in which its clients come to it.
#[derive(Debug)]
pub(super) struct Api {
    /// The path that answers 200 once the service is ready.
    pub ready: &'static str,
    /// Registers the user of this number.
    pub register: fn(usize) -> Call,
    /// Logs them in.
    pub log_in: fn(usize) -> Call,
    /// The session that a login or a refresh gives.
    pub session: fn(&Answer) -> Option<Session>,
    /// Refreshes a session, where the service has that.
    pub refresh: Option<fn(&Session) -> Call>,
    /// Asks whose session it is.
    pub me: fn(&Session) -> Call,
}

/// What a client keeps of a login. What a service does not have is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// The user's id, where a path contains it.
    pub user: String,
    /// What is shown with each request: an access token or a cookie.
    pub access: String,
    /// What is shown to refresh.
    pub refresh: String,
}

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, String)>,
    body: String,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: Vec::new(), body: String::new() }
    }

    /// A post of nothing.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    pub(super) fn post_json(path: impl Into<String>, body: &Value) -> Self {
        let call = Self { body: body.to_string(), ..Self::post(path) };
        call.with(header::CONTENT_TYPE, "application/json")
    }

    /// A post of a form, of names and values that need no encoding.
    pub(super) fn post_form(path: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = Self { body: fields.join("&"), ..Self::post(path) };
        call.with(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With an access token (RFC 6750).
    pub(super) fn bearer(self, token: &str) -> Self {
        self.with(header::AUTHORIZATION, format!("Bearer {token}"))
    }

    /// The request as it goes down a connection of HTTP/1.1.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let headers = self
            .headers
            .iter()
            .fold(String::new(), |all, (name, value)| all + name.as_str() + ": " + value + "\r\n");
        match self.method {
            Method::POST => wire::post(&self.path, &headers, &self.body),
            _ => wire::get(&self.path, &headers),
        }
    }

    pub(super) async fn send(self, client: &Client) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        client.ask(request, Bytes::from(self.body)).await
    }
}

/// What the names and addresses of all users begin with.
pub(super) const NAME: &str = "user0";

/// The name of a user; all are of one length.
pub(super) fn name(user: usize) -> String {
    format!("{NAME}{user:04}")
}

/// The address of a user.
pub(super) fn email(user: usize) -> String {
    format!("{}@example.com", name(user))
}

/// The password of a user: letters and digits alone, so that a form need not encode it.
pub(super) fn password(user: usize) -> String {
    format!("correcthorse{user:05}")
}

/// A member of an answer's body.
pub(super) fn text(answer: &Answer, pointer: &str) -> Option<String> {
    Some(answer.body.pointer(pointer)?.as_str()?.to_owned())
}
