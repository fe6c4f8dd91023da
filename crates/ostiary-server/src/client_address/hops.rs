//! The hops of one line of a header, the nearest first; `None` for one that does not parse.
//!
//! A comma ends a hop even where a quoted string goes on. An address has no comma, and the pieces of such a
//! string have a quote too many or too few, so they do not parse. Therefore no text on the left, whatever
//! it opens and does not close, has a say in how a hop on its right is read.

use std::net::{IpAddr, SocketAddr};

/// The hops of a line of `X-Forwarded-For`: addresses, with or without ports.
pub(super) fn x_forwarded_for(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    elements(line).map(|element| address(element?))
}

/// The hops of a line of `Forwarded`: the parameter `for` of each (RFC 7239, section 4).
pub(super) fn forwarded(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    elements(line).map(|element| forwarded_for(element?))
}

fn elements(line: &[u8]) -> impl Iterator<Item = Option<&str>> {
    line.rsplit(|&byte| byte == b',').map(|element| Some(trim(str::from_utf8(element).ok()?)))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The address in `for=192.0.2.43;proto=http`. Blanks around the semicolons are let pass, since proxies
/// write them; so are addresses that ought to be in quotes.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut client = None;
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (name, after) = trim(pairs).split_once('=')?;
        let (value, after) = value(after)?;
        if !name.bytes().all(is_of_token) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && client.replace(address(value)?).is_some() {
            return None;
        }
        let after = trim(after);
        rest = after.strip_prefix(';');
        if rest.is_none() && !after.is_empty() {
            return None;
        }
    }
    client
}

/// The value that `text` begins with, as it is written, and what comes after it.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (!value.contains(['"', '\\'])).then_some((value, after));
    };
    let mut is_escaped = false;
    let end = quoted.find(|character| {
        let closes = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        closes
    })?;
    Some((&quoted[..end], &quoted[end + 1..]))
}

/// Whether a token may have this byte (RFC 9110, section 5.6.2).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `192.0.2.43`, `192.0.2.43:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    // The standard library reads the index of an interface, which means something on one machine only.
    if text.contains('%') {
        return None;
    }
    let in_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match in_brackets {
        Some(text) => IpAddr::V6(text.parse().ok()?),
        None => text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))?,
    };
    Some(address.to_canonical())
}
