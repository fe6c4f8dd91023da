//! Known devices, as clients see them: a cookie for browsers, a header and a member for others who ask for it.

use std::convert::Infallible;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Response},
};
use ostiary_core::login::LoggedIn;

use super::schemas::TokenResponse;
use crate::app::App;

/// What a client says about its device: the word `request`, a device token, or both with a comma between.
const DEVICE: HeaderName = HeaderName::from_static("ostiary-device");
/// A word that a client without a token asks for one with.
const REQUEST: &str = "request";
/// Of this origin alone, and only over TLS (RFC 6265bis §4.1.3.2).
const COOKIE: &str = "__Host-ostiary-device";
/// Current browsers send it with every request (Fetch Metadata §2), and nothing else does.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The device that a request comes from.
pub(super) struct Device {
    /// The token of an earlier login on it.
    token: Option<String>,
    /// How the next one is given.
    gets: Gets,
    /// For how many seconds it is good.
    max_age: i64,
}

/// How a client is given its device token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// As a member of the answer.
    Member,
    /// As a cookie.
    Cookie,
    /// Not at all: clients of the replaced service get what they know.
    Nothing,
}

impl FromRequestParts<App> for Device {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let max_age = app.ostiary.policy.known_device_lifetime.as_secs();
        let words: Vec<_> = words(&parts.headers, &DEVICE, ',').collect();
        let in_header = words.iter().copied().find(|word| !word.eq_ignore_ascii_case(REQUEST));
        let in_cookie = words_of_cookie(&parts.headers);
        let gets = if words.iter().any(|word| word.eq_ignore_ascii_case(REQUEST)) {
            Gets::Member
        } else if words.is_empty() && (parts.headers.contains_key(FETCH_SITE) || in_cookie.is_some()) {
            Gets::Cookie
        } else {
            Gets::Nothing
        };
        Ok(Self { token: in_header.or(in_cookie).map(str::to_owned), gets, max_age })
    }
}

/// The words in all headers of a name; none, if they are not plain text.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName, divider: char) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(move |value| value.split(divider)).map(str::trim).filter(|word| !word.is_empty())
}

fn words_of_cookie(headers: &HeaderMap) -> Option<&str> {
    words(headers, &header::COOKIE, ';').find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='))
}

impl Device {
    /// The token of an earlier login on it; whether it is good is for the rules to say.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The answer to a client that has just logged in.
    pub(super) fn answer(&self, LoggedIn { tokens, device_token }: LoggedIn) -> Response {
        let answer = TokenResponse::from(tokens);
        match self.gets {
            Gets::Nothing => Json(answer).into_response(),
            Gets::Member => Json(answer.with_device_token(device_token.expose())).into_response(),
            Gets::Cookie => {
                let cookie = format!(
                    "{COOKIE}={}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Strict",
                    device_token.expose(),
                    self.max_age
                );
                let cookie = HeaderValue::try_from(cookie).expect("a token is of base64's letters");
                (AppendHeaders([(header::SET_COOKIE, cookie)]), Json(answer)).into_response()
            }
        }
    }
}
