//! The address of a client: what only a trusted proxy may say, and nobody from farther away.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use ostiary_server::client_address::{TrustedProxies, client_address as address_of};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who is trusted, and connects.
const TRUSTED: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];
const PROXIES: [&str; 3] = ["10.0.0.1", "fd00::1", "::ffff:10.0.0.2"];
/// Who is not, and connects.
const STRANGERS: [&str; 3] = ["192.0.2.200", "2001:db8::9", "::ffff:11.0.0.1"];
/// Whom a trusted proxy saw, as it writes it.
const SEEN: [(&str, &str); 2] = [("198.51.100.7", "198.51.100.7"), ("2001:db8::7", "\"[2001:db8::7]:4711\"")];

/// Reads lines of headers, as they are and as what a client wrote before a trusted proxy did.
pub fn client_address(data: &[u8]) {
    let trusted = TRUSTED.map(|network| network.parse().expect("a network")).into_iter().collect();
    let headers = headers(data);
    for peer in STRANGERS.map(parse) {
        assert_eq!(
            address_of(&trusted, peer, &headers),
            peer.to_canonical(),
            "a stranger's word does not count"
        );
    }
    for peer in PROXIES.map(parse) {
        let address = address_of(&trusted, peer, &headers);
        assert_eq!(address, address.to_canonical());
        if !is_trusted(address) {
            check_claims_farther_left(&trusted, peer, &headers, address);
        }
        check_seen(&trusted, peer, data);
    }
}

/// Whatever stands to the left of the hop that counts changes nothing, in the same line or in one before it.
fn check_claims_farther_left(trusted: &TrustedProxies, peer: IpAddr, headers: &HeaderMap, address: IpAddr) {
    let claims: Vec<HeaderValue> = headers.values().cloned().collect();
    for name in [FORWARDED, X_FORWARDED_FOR] {
        let lines: Vec<_> = headers.get_all(&name).iter().cloned().collect();
        let Some((first, others)) = lines.split_first() else { continue };
        for claim in &claims {
            let longer = joined(claim.as_bytes(), first.as_bytes()).expect("a comma may stand in a header");
            let in_line = [&[longer], others].concat();
            let before = [std::slice::from_ref(claim), &lines].concat();
            for lines in [in_line, before] {
                let claimed = address_of(trusted, peer, &with_lines(headers, &name, &lines));
                assert_eq!(claimed, address, "{name}: {lines:?}");
            }
        }
    }
}

/// Whatever a client claims, the address that the proxy saw is the one.
fn check_seen(trusted: &TrustedProxies, peer: IpAddr, claim: &[u8]) {
    let Ok(claim) = HeaderValue::from_bytes(claim) else { return };
    for (seen, written) in SEEN {
        let by_standard = format!("for={written};proto=https, for=\"10.1.1.1\"");
        let by_custom = format!("{}, 10.1.1.1", written.trim_matches('"'));
        for (name, hops) in [(FORWARDED, by_standard), (X_FORWARDED_FOR, by_custom)] {
            let in_line = joined(claim.as_bytes(), hops.as_bytes()).expect("a comma may stand in a header");
            let hops = HeaderValue::try_from(hops).expect("hops are plain text");
            for lines in [vec![in_line], vec![claim.clone(), hops]] {
                let headers = with_lines(&HeaderMap::new(), &name, &lines);
                assert_eq!(address_of(trusted, peer, &headers), parse(seen), "{name}: {lines:?}");
            }
        }
    }
}

/// The lines of `data` that are one of the two headers; the name may be cut to its first letter.
fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = match parts.next().and_then(<[u8]>::first) {
            Some(b'F' | b'f') => FORWARDED,
            Some(b'X' | b'x') => X_FORWARDED_FOR,
            _ => continue,
        };
        if let Some(value) = parts.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok()) {
            headers.append(name, value);
        }
    }
    headers
}

fn with_lines(headers: &HeaderMap, name: &HeaderName, lines: &[HeaderValue]) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(name);
    for line in lines {
        headers.append(name, line.clone());
    }
    headers
}

fn joined(claim: &[u8], hops: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&[claim, b", ", hops].concat()).ok()
}

fn is_trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

fn parse(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
