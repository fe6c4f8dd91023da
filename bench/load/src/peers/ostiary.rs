//! Ostiary; and the service that it replaces, whose requests are the same.

use serde_json::json;

use super::api::{Api, Call, Session, name, password, text};
use crate::client::Answer;

/// Ostiary.
pub(super) const API: Api = Api { ready: "/readyz", ..REPLACED };

/// The stack of the service that Ostiary replaces.
pub(super) const REPLACED: Api =
    Api { ready: "/health", register, log_in, session, refresh: Some(refresh), me };

fn register(user: usize) -> Call {
    let registration = json!({
        "second_login": name(user), "phone": format!("+7999{user:07}"), "password": password(user),
        "group_names": ["customer"],
    });
    Call::post_json("/api/v1/auth/register", &registration)
}

fn log_in(user: usize) -> Call {
    Call::post_json("/api/v1/auth/login", &json!({"login": name(user), "password": password(user)}))
}

fn session(answer: &Answer) -> Option<Session> {
    Some(Session {
        user: String::new(),
        access: text(answer, "/access_token")?,
        refresh: text(answer, "/refresh_token")?,
    })
}

fn refresh(session: &Session) -> Call {
    Call::post_json("/api/v1/auth/refresh", &json!({"refresh_token": session.refresh}))
}

fn me(session: &Session) -> Call {
    Call::get("/api/v1/auth/me").bearer(&session.access)
}
