//! Whose address counts: the socket's, or the one that trusted proxies vouch for.
//!
//! A request may claim any address in `Forwarded` (RFC 7239) and `X-Forwarded-For`. What counts is only
//! what a proxy of the operator's own wrote, and those write at the right-hand end: so the hops are read
//! from there, and nothing is read to the left of the first that is no trusted proxy. Whatever is in doubt
//! is the socket's address, so a strange header may merge clients into one, and never lets one go unwatched.

use std::{iter, net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use ipnet::IpNet;

mod hops;

use hops::{forwarded, x_forwarded_for};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word counts about the addresses of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<TrustedProxy>);

/// One of the networks, or addresses, of [`TrustedProxies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

impl FromStr for TrustedProxy {
    type Err = String;

    /// Reads an address (`10.0.0.7`) or a network (`10.0.0.0/8`, `fd00::/8`).
    ///
    /// # Errors
    /// If it is neither, or if a network has bits set outside its prefix, which is more often a slip than
    /// meant; the text says what is wrong with which value.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let network: IpNet =
            text.parse().map_err(|_| format!("{text:?} is no address and no network such as 10.0.0.0/8"))?;
        if network.trunc() != network {
            let (whole, address) = (network.trunc(), network.addr());
            return Err(format!("{text:?} is an address within a network: write {whole} or {address}"));
        }
        Ok(Self(canonical(network)))
    }
}

/// A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) as one of IPv4, since addresses are compared
/// as such.
fn canonical(network: IpNet) -> IpNet {
    /// Bits in front of the IPv4 address (RFC 4291, section 2.5.5.2).
    const MAPPED: u8 = 96;
    let mapped = match network {
        IpNet::V6(network) => network.addr().to_ipv4_mapped(),
        IpNet::V4(_) => None,
    };
    mapped
        .zip(network.prefix_len().checked_sub(MAPPED))
        .and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok())
        .unwrap_or(network)
}

impl FromIterator<TrustedProxy> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = TrustedProxy>>(proxies: I) -> Self {
        Self(proxies.into_iter().collect())
    }
}

impl TrustedProxies {
    /// Whether the word of `address`, in its canonical form, counts.
    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|TrustedProxy(network)| network.contains(&address))
    }

    /// The client at the far end of `hops`, the nearest first: the first that is no trusted proxy, or the
    /// farthest proxy if all are. `None` if a hop on the way does not parse, or if there is none.
    fn client(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut farthest = None;
        for hop in hops {
            let address = hop?;
            farthest = Some(address);
            if !self.contains(address) {
                break;
            }
        }
        farthest
    }
}

/// The address of the client that a request of `peer` is for.
///
/// It is that of `peer`, unless `peer` is a trusted proxy. Then it is what the header `Forwarded` or
/// `X-Forwarded-For` says: of its hops, all lines of the header one after another, the right-most that is
/// no trusted proxy; or the left-most if all are. If a hop up to there does not parse (`unknown`, `_hidden`,
/// a quote that is not closed), the address is that of `peer`; what is farther left is not looked at.
///
/// If both headers are there, they must name the same client, or the address is that of `peer`: a proxy that
/// appends to one of them only lets the other through as the client wrote it.
///
/// IPv4-mapped addresses of IPv6 become IPv4. It never fails, and takes time in proportion to the headers'
/// length, which the listener limits.
#[must_use]
pub fn client_address(trusted: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    let by_standard = headers
        .contains_key(FORWARDED)
        .then(|| trusted.client(nearest_first(headers, &FORWARDED).flat_map(forwarded)));
    let by_custom = headers
        .contains_key(X_FORWARDED_FOR)
        .then(|| trusted.client(nearest_first(headers, &X_FORWARDED_FOR).flat_map(x_forwarded_for)));
    let client = match (by_standard, by_custom) {
        (Some(one), Some(other)) => one.filter(|_| one == other),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => None,
    };
    client.unwrap_or(peer)
}

/// Whether a request seems to come through a proxy of the operator's own that is not trusted, so that all of its
/// clients are taken for one: a peer in a private network that says for whom it asks.
#[must_use]
pub fn is_from_forgotten_proxy(trusted: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> bool {
    let peer = peer.to_canonical();
    let is_near = match peer {
        IpAddr::V4(address) => address.is_private() || address.is_loopback(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    };
    is_near
        && !trusted.contains(peer)
        && (headers.contains_key(FORWARDED) || headers.contains_key(X_FORWARDED_FOR))
}

/// The lines of a header, the last first.
fn nearest_first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    iter::from_fn(move || lines.next_back()).map(HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests;
