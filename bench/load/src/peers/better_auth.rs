//! Better Auth: a session in the database, named by a signed cookie that stays the same.

use http::header;
use serde_json::json;

use super::api::{Api, Call, Session, email, name, password};
use crate::client::Answer;

pub(super) const API: Api =
    Api { ready: "/api/auth/ok", register, log_in, session, refresh: Some(refresh), me };

/// Whoever shows a cookie has to say where they come from: `baseURL` of `server.js`.
const ORIGIN: &str = "http://bench.example";

fn register(user: usize) -> Call {
    let registration = json!({"name": name(user), "email": email(user), "password": password(user)});
    Call::post_json("/api/auth/sign-up/email", &registration)
}

fn log_in(user: usize) -> Call {
    Call::post_json("/api/auth/sign-in/email", &json!({"email": email(user), "password": password(user)}))
}

fn session(answer: &Answer) -> Option<Session> {
    let cookie = answer.headers.get(header::SET_COOKIE)?.to_str().ok()?.split(';').next()?;
    Some(Session { access: cookie.to_owned(), ..Session::default() })
}

fn refresh(session: &Session) -> Call {
    Call::post("/api/auth/get-session").with(header::COOKIE, &session.access).with(header::ORIGIN, ORIGIN)
}

fn me(session: &Session) -> Call {
    Call::get("/api/auth/get-session").with(header::COOKIE, &session.access)
}
