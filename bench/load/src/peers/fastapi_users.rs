//! FastAPI Users: a token that names a row in the database, and lasts as long as the row; there is no refresh.

use serde_json::json;

use super::api::{Api, Call, Session, email, password, text};
use crate::client::Answer;

pub(super) const API: Api = Api { ready: "/health", register, log_in, session, refresh: None, me };

fn register(user: usize) -> Call {
    Call::post_json("/auth/register", &json!({"email": email(user), "password": password(user)}))
}

fn log_in(user: usize) -> Call {
    Call::post_form("/auth/login", &[("username", &email(user)), ("password", &password(user))])
}

fn session(answer: &Answer) -> Option<Session> {
    Some(Session { access: text(answer, "/access_token")?, ..Session::default() })
}

fn me(session: &Session) -> Call {
    Call::get("/users/me").bearer(&session.access)
}
