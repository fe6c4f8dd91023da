//! `PocketBase`: a JWT that is exchanged for a newer one as long as it is good; nothing is written for it.

use http::header;
use serde_json::json;

use super::api::{Api, Call, Session, email, password, text};
use crate::client::Answer;

pub(super) const API: Api =
    Api { ready: "/api/health", register, log_in, session, refresh: Some(refresh), me };

fn register(user: usize) -> Call {
    let password = password(user);
    let record = json!({"email": email(user), "password": password, "passwordConfirm": password});
    Call::post_json("/api/collections/users/records", &record)
}

fn log_in(user: usize) -> Call {
    let login = json!({"identity": email(user), "password": password(user)});
    Call::post_json("/api/collections/users/auth-with-password", &login)
}

fn session(answer: &Answer) -> Option<Session> {
    let (user, access) = (text(answer, "/record/id")?, text(answer, "/token")?);
    Some(Session { user, access, ..Session::default() })
}

fn refresh(session: &Session) -> Call {
    Call::post("/api/collections/users/auth-refresh").with(header::AUTHORIZATION, &session.access)
}

/// It has no other way to ask for oneself.
fn me(session: &Session) -> Call {
    Call::get(format!("/api/collections/users/records/{}", session.user))
        .with(header::AUTHORIZATION, &session.access)
}
