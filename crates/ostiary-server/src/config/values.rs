//! How the text of a setting becomes its value, or a reason why not.

use std::{net::SocketAddr, time::Duration};

/// A setting of which 0 means none.
pub(super) fn unless_zero(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.01..=86_400.0).contains(&seconds) {
        return Err("not between 0.01 and 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.trim()
        .parse()
        .map_err(|_| "not an address and a port such as 127.0.0.1:9464 or [::1]:9464".to_owned())
}

/// An address as the claim `iss` has it, without a slash at its end.
pub(super) fn parse_public_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.trim().parse().map_err(|_| "not an address".to_owned())?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    if !is_web || url.query().is_some() || text.contains(['#', '@']) {
        return Err("not an address such as https://auth.example.com".to_owned());
    }
    Ok(text.trim().trim_end_matches('/').to_owned())
}

pub(super) fn parse_audience(text: &str) -> Result<String, String> {
    let audience = text.trim();
    if audience.is_empty() || audience.chars().any(char::is_control) || audience.len() > 256 {
        return Err("an audience is a text of at most 256 printable characters".to_owned());
    }
    Ok(audience.to_owned())
}

pub(super) fn parse_group(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err("a group needs a name of printable characters".to_owned());
    }
    Ok(name.to_owned())
}
