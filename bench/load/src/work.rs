//! What is asked of a server as quickly as it answers: refreshes, and what tells of a session.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::task::JoinSet;

use crate::{
    client::TIMEOUT,
    wire::{self, JSON, Wire},
};

const REFRESH: &str = "/api/v1/auth/refresh";
pub(crate) const ME: &str = "/api/v1/auth/me";
pub(crate) const INTROSPECT: &str = "/api/v1/auth/introspect";

/// Refreshes a second, each connection on sessions of its own in turn. The successors take the place of the
/// tokens that were spent.
///
/// # Errors
/// If there are fewer tokens than connections, or one is not answered with 200.
pub async fn refresh(
    address: SocketAddr,
    refresh_tokens: &mut Vec<String>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    let count = refresh_tokens.len();
    anyhow::ensure!(count >= connections, "{count} sessions for {connections} connections");
    let asking = (0..connections)
        .map(|number| {
            let left = refresh_tokens.len() / (connections - number);
            Refreshing(refresh_tokens.drain(..left).collect())
        })
        .collect();
    let (rate, asked) = closed(address, asking, duration).await?;
    refresh_tokens.extend(asked.into_iter().flat_map(|refreshing| refreshing.0));
    Ok(rate)
}

/// Logins a second, by these requests in turn.
///
/// # Errors
/// If there are fewer requests than connections, or one is not answered with 200.
pub async fn log_in(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    repeat(address, requests.into_iter(), connections, duration).await
}

/// Questions for the account of a user a second, with the access tokens in turn.
///
/// # Errors
/// If there is no token, or one is not answered with 200.
pub async fn me(
    address: SocketAddr,
    access_tokens: &[String],
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    repeat(address, access_tokens.iter().map(|token| request_of_me(token)), connections, duration).await
}

/// Questions of a service a second, whether access tokens are good; of these in turn.
///
/// # Errors
/// If there is no token, or one is not answered with 200.
pub async fn introspect(
    address: SocketAddr,
    credential: &str,
    access_tokens: &[String],
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    let requests = access_tokens.iter().map(|token| request_of_introspect(credential, token));
    repeat(address, requests, connections, duration).await
}

/// As [`me`] asks.
#[must_use]
pub fn request_of_me(access_token: &str) -> Vec<u8> {
    wire::get(ME, &format!("authorization: Bearer {access_token}\r\n"))
}

/// As [`introspect`] asks; `credential` is what `ostiary service create` printed.
#[must_use]
pub fn request_of_introspect(credential: &str, access_token: &str) -> Vec<u8> {
    let headers =
        format!("authorization: Bearer {credential}\r\ncontent-type: application/x-www-form-urlencoded\r\n");
    wire::post(INTROSPECT, &headers, &format!("token={access_token}"))
}

/// Access tokens of the first `count` sessions, which are refreshed for that.
///
/// # Errors
/// If there are fewer sessions, or one is not answered with 200.
pub async fn access_tokens(
    address: SocketAddr,
    refresh_tokens: &mut [String],
    count: usize,
) -> anyhow::Result<Vec<String>> {
    /// As many as share a wait for the disk.
    const CONNECTIONS: usize = 16;
    let sessions = refresh_tokens.get_mut(..count).context("too few sessions")?;
    let mut asking = JoinSet::new();
    for (place, tokens) in sessions.chunks(count.div_ceil(CONNECTIONS).max(1)).enumerate() {
        let mut tokens = tokens.to_vec();
        asking.spawn(async move {
            let mut wire = Wire::open(address).await?;
            let mut access_tokens = Vec::with_capacity(tokens.len());
            for token in &mut tokens {
                let body = wire.ask(&request_of_refresh(token)).await?;
                access_tokens.push(text_of(body, "access_token")?.to_owned());
                text_of(body, "refresh_token")?.clone_into(token);
            }
            anyhow::Ok((place, tokens, access_tokens))
        });
    }
    let mut asked = asking.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    asked.sort_by_key(|(place, ..)| *place);
    let (mut successors, mut access_tokens) = (Vec::new(), Vec::new());
    for (_, tokens, of_access) in asked {
        successors.extend(tokens);
        access_tokens.extend(of_access);
    }
    sessions.clone_from_slice(&successors);
    Ok(access_tokens)
}

/// Somebody who asks on one connection, as soon as they are answered.
trait Asking: Send + 'static {
    /// The next request.
    fn request(&mut self) -> Vec<u8>;
    /// The body of the answer to it.
    fn answered(&mut self, body: &[u8]) -> anyhow::Result<()>;
}

/// Refreshes sessions in turn, by their tokens.
struct Refreshing(VecDeque<String>);

impl Asking for Refreshing {
    fn request(&mut self) -> Vec<u8> {
        request_of_refresh(self.0.front().map_or("", String::as_str))
    }

    fn answered(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let successor = text_of(body, "refresh_token")?.to_owned();
        self.0.pop_front();
        self.0.push_back(successor);
        Ok(())
    }
}

fn request_of_refresh(refresh_token: &str) -> Vec<u8> {
    wire::post(REFRESH, JSON, &format!(r#"{{"refresh_token":"{refresh_token}"}}"#))
}

/// The text of a member, where it has nothing to be escaped: to read all of the JSON costs more than to find it.
fn text_of<'a>(body: &'a [u8], name: &str) -> anyhow::Result<&'a str> {
    let body = str::from_utf8(body)?;
    let rest = body.split_once(name).and_then(|(_, rest)| rest.strip_prefix("\":\""));
    let text = rest.and_then(|rest| rest.split('"').next());
    text.with_context(|| format!("no {name} in {body}"))
}

/// Asks the same in turn.
struct Repeating {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Asking for Repeating {
    fn request(&mut self) -> Vec<u8> {
        let request = self.requests[self.next].clone();
        self.next = (self.next + 1) % self.requests.len();
        request
    }

    fn answered(&mut self, _body: &[u8]) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Answers a second to these requests, which are dealt out to the connections.
async fn repeat(
    address: SocketAddr,
    requests: impl Iterator<Item = Vec<u8>>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    let mut dealt = vec![Vec::new(); connections];
    for (number, request) in requests.enumerate() {
        dealt[number % connections].push(request);
    }
    anyhow::ensure!(dealt.iter().all(|requests| !requests.is_empty()), "fewer requests than connections");
    let asking = dealt.into_iter().map(|requests| Repeating { requests, next: 0 }).collect();
    Ok(closed(address, asking, duration).await?.0)
}

/// Lets everyone ask on a connection of their own for `duration`, and gives how many answers there were a second.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
async fn closed<A: Asking>(
    address: SocketAddr,
    asking: Vec<A>,
    duration: Duration,
) -> anyhow::Result<(f64, Vec<A>)> {
    let mut connected = Vec::new();
    for one in asking {
        connected.push((Wire::open(address).await?, one));
    }
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for (mut wire, mut one) in connected {
        tasks.spawn(async move {
            let mut count = 0_u64;
            loop {
                let request = one.request();
                one.answered(wire.ask(&request).await?)?;
                if begin.elapsed() >= duration {
                    return anyhow::Ok((count, one));
                }
                count += 1;
            }
        });
    }
    let asked = tokio::time::timeout(duration + TIMEOUT, tasks.join_all()).await;
    let asked = asked.context("some requests were never answered")?;
    let (counts, asked): (Vec<u64>, Vec<A>) =
        asked.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
    Ok((counts.iter().sum::<u64>() as f64 / duration.as_secs_f64(), asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_without_reading_the_others() {
        let body = br#"{"access_token":"ey.J","refresh_token":"ort_1","token_type":"bearer"}"#;
        assert_eq!(text_of(body, "access_token").unwrap(), "ey.J");
        assert_eq!(text_of(body, "refresh_token").unwrap(), "ort_1");
        let error = text_of(body, "id_token").unwrap_err().to_string();
        assert!(error.starts_with("no id_token in {"), "{error}");
    }
}
