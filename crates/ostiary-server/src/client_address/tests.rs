use axum::http::HeaderValue;
use proptest::{collection::vec, prelude::*};

use super::*;

const PEER: &str = "10.0.0.1";

fn proxies(text: &str) -> TrustedProxies {
    text.split(',').map(|proxy| proxy.parse::<TrustedProxy>().unwrap()).collect()
}

/// The header lines `name: value`.
fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let lines = lines.iter().map(|(name, value)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    lines.fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name, value);
        headers
    })
}

/// Whose request it is that comes from `10.0.0.1` where all of `10.0.0.0/8` and `fd00::/8` are trusted.
fn client(lines: &[(&str, &str)]) -> String {
    client_address(&proxies("10.0.0.0/8,fd00::/8"), PEER.parse().unwrap(), &headers(lines)).to_string()
}

#[test]
fn x_forwarded_for_names_the_right_most_hop_that_is_no_trusted_proxy() {
    for (value, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9,192.0.2.1,10.9.9.9 , 10.1.1.1", "192.0.2.1"),
        ("unknown, \u{20ac}\", 192.0.2.1", "192.0.2.1"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1, fd00::5", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, ::ffff:10.0.0.5", "192.0.2.1"),
        ("192.0.2.1, [::ffff:a00:5]:80", "192.0.2.1"),
        ("\t192.0.2.1\t", "192.0.2.1"),
    ] {
        assert_eq!(client(&[("x-forwarded-for", value)]), expected, "{value}");
    }
}

#[test]
fn forwarded_names_the_right_most_hop_that_is_no_trusted_proxy() {
    for (value, expected) in [
        ("for=192.0.2.1", "192.0.2.1"),
        ("For=\"192.0.2.1\"", "192.0.2.1"),
        ("for=\"192.0.2.1:4711\";proto=https;by=10.0.0.1", "192.0.2.1"),
        ("proto=https ; FOR=192.0.2.1", "192.0.2.1"),
        ("for=\"[2001:db8::1]\"", "2001:db8::1"),
        ("for=\"[2001:db8::1]:4711\", for=10.4.4.4", "2001:db8::1"),
        ("for=[2001:db8::1]:4711", "2001:db8::1"),
        ("for=203.0.113.9, for=192.0.2.1;host=\"a;b\\\"c\", for=\"[fd00::5]\"", "192.0.2.1"),
        ("for=\"203.0.113.9, for=192.0.2.1", "192.0.2.1"),
        ("for=10.3.3.3, for=10.2.2.2", "10.3.3.3"),
    ] {
        assert_eq!(client(&[("forwarded", value)]), expected, "{value}");
    }
}

#[test]
fn a_hop_that_does_not_parse_leaves_the_address_of_the_socket() {
    for value in [
        "",
        ",",
        "192.0.2.1,",
        "unknown",
        "_hidden",
        "192.0.2.1, unknown",
        "192.0.2.1, unknown, 10.2.2.2",
        "192.0.2",
        "192.0.2.256",
        "0300.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:x",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]:",
        "fe80::1%eth0",
        "fe80::1%1",
        "[fe80::1%1]:80",
        "192.0.2.1 192.0.2.2",
        "\"192.0.2.1\"",
        "192.0.2.1/32",
        "for=192.0.2.1",
        "\u{661}92.0.2.1",
        "-1",
    ] {
        assert_eq!(client(&[("x-forwarded-for", value)]), PEER, "{value}");
    }
    for value in [
        "",
        ";",
        "192.0.2.1",
        "for",
        "for=",
        "for=;",
        "for=\"\"",
        "for=unknown",
        "for=_hidden",
        "by=192.0.2.1",
        "for=192.0.2.1;",
        "for=192.0.2.1;;proto=http",
        ";for=192.0.2.1",
        "for=192.0.2.1;proto",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;for=192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=\"192.0.2.1",
        "for=192.0.2.1\"",
        "for=\"192.0.2.1\"x",
        "for=\"192.0.2.1\\\"",
        "for=\"1\\92.0.2.1\"",
        "for=192.0.2.1;host=\"a",
        "for=192.0.2.1;host=\"a,b\"",
        "for=\"[fe80::1%1]\"",
        "for='192.0.2.1'",
        "for=192.0.2.1 proto=http",
        "f\u{f6}r=192.0.2.1",
        "for=192.0.2.1;h(=x",
        // What a client may have put into the name of the host, which a proxy passes on in quotes.
        "for=192.0.2.1;host=\"x,for=203.0.113.9\"",
        "for=192.0.2.1;host=\"x,for=203.0.113.9;by=\\\"\"",
        "for=192.0.2.1;host=\"x,for=203.0.113.9;by=\\\\\"",
    ] {
        assert_eq!(client(&[("forwarded", value)]), PEER, "{value}");
    }
}

#[test]
fn the_lines_of_a_header_are_read_one_after_another() {
    let line = |value| ("x-forwarded-for", value);
    assert_eq!(client(&[line("203.0.113.9"), line("192.0.2.1")]), "192.0.2.1");
    assert_eq!(client(&[line("203.0.113.9, 192.0.2.1"), line("10.2.2.2"), line("10.3.3.3")]), "192.0.2.1");
    assert_eq!(client(&[line("192.0.2.1"), line("unknown")]), PEER);
    assert_eq!(client(&[line("192.0.2.1"), line("")]), PEER);
    let line = |value| ("forwarded", value);
    assert_eq!(
        client(&[line("for=\"203.0.113.9"), line("for=192.0.2.1"), line("for=10.2.2.2")]),
        "192.0.2.1"
    );
}

#[test]
fn of_two_headers_neither_counts_unless_they_agree() {
    let both = |forwarded, x_forwarded_for| {
        client(&[("forwarded", forwarded), ("x-forwarded-for", x_forwarded_for)])
    };
    assert_eq!(both("for=192.0.2.1", "192.0.2.1"), "192.0.2.1");
    assert_eq!(both("for=\"[::ffff:192.0.2.1]:80\", for=10.2.2.2", "192.0.2.1"), "192.0.2.1");
    assert_eq!(both("for=203.0.113.9", "192.0.2.1"), PEER);
    assert_eq!(both("for=unknown", "192.0.2.1"), PEER);
    assert_eq!(both("for=192.0.2.1", "unknown"), PEER);
    assert_eq!(both("for=unknown", "unknown"), PEER);
    assert_eq!(both("", "192.0.2.1"), PEER);
}

#[test]
fn only_a_trusted_peer_is_asked_and_ipv4_is_the_same_however_it_is_written() {
    let headers = headers(&[("x-forwarded-for", "192.0.2.1")]);
    let address = |trusted: &str, peer: &str| {
        client_address(&proxies(trusted), peer.parse().unwrap(), &headers).to_string()
    };
    assert_eq!(address("10.0.0.0/8", "11.0.0.1"), "11.0.0.1");
    assert_eq!(address("10.0.0.0/8", "::ffff:11.0.0.1"), "11.0.0.1");
    assert_eq!(address("10.0.0.0/8", "::ffff:10.0.0.1"), "192.0.2.1");
    assert_eq!(address("::ffff:10.0.0.0/104", "10.0.0.1"), "192.0.2.1");
    assert_eq!(address("::ffff:10.0.0.1", "10.0.0.1"), "192.0.2.1");
    assert_eq!(address("::1", "::1"), "192.0.2.1");
    assert_eq!(address("::/0", "10.0.0.1"), "10.0.0.1");
    assert_eq!(address("0.0.0.0/0", "10.0.0.1"), "192.0.2.1");
    let nobody = TrustedProxies::default();
    assert_eq!(client_address(&nobody, PEER.parse().unwrap(), &headers).to_string(), PEER);
    assert_eq!(client(&[]), PEER);
}

#[test]
fn a_proxy_that_is_no_network_is_refused_by_name() {
    for (text, part) in [
        ("10.0.0.1/8", "write 10.0.0.0/8 or 10.0.0.1"),
        ("fd00::1/8", "write fd00::/8 or fd00::1"),
        ("10.0.0.0/33", "\"10.0.0.0/33\" is no address"),
        ("10.0.0.0/", "\"10.0.0.0/\" is no address"),
        ("10.0.0", "\"10.0.0\" is no address"),
        ("proxy.internal", "\"proxy.internal\" is no address"),
        ("fe80::1%eth0", "is no address"),
        ("", "\"\" is no address"),
    ] {
        let problem = text.parse::<TrustedProxy>().unwrap_err();
        assert!(problem.contains(part), "{text}: {problem}");
    }
    for text in ["10.0.0.7", " 10.0.0.0/8 ", "0.0.0.0/0", "fd00::/8", "::1", "::1/128"] {
        assert!(text.parse::<TrustedProxy>().is_ok(), "{text}");
    }
}

/// Lines that are near to what is meant, and far from it.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("192.0.2.1"),
        Just("203.0.113.9"),
        Just("10.2.2.2"),
        Just("fd00::5"),
        Just("[2001:db8::1]:80"),
        Just("for="),
        Just("For=\""),
        Just("\""),
        Just("\\"),
        Just(";"),
        Just(", "),
        Just(","),
        Just(" "),
        Just("host="),
        Just("unknown"),
        Just("::ffff:"),
        Just("%1"),
        Just(":"),
        Just("["),
        Just("]"),
    ];
    let likely = vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let any = vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8, Just(b'\t')], 0..40);
    prop_oneof![3 => likely, 1 => any]
}

fn with_lines(lines: &[(bool, Vec<u8>)]) -> HeaderMap {
    lines.iter().fold(HeaderMap::new(), |mut headers, (is_standard, value)| {
        let name = if *is_standard { FORWARDED } else { X_FORWARDED_FOR };
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
        headers
    })
}

proptest! {
    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says(
        lines in vec((any::<bool>(), line()), 0..5), peer in any::<IpAddr>(),
    ) {
        let trusted = proxies("10.0.0.0/8,fd00::/8");
        let expected = peer.to_canonical();
        prop_assume!(!trusted.contains(expected));
        prop_assert_eq!(client_address(&trusted, peer, &with_lines(&lines)), expected);
    }

    /// What a client sends stands left of what the proxies add. If these add one that they do not trust, or
    /// something that nobody can read, nothing on the left makes a difference.
    #[test]
    fn what_an_untrusted_hop_says_makes_no_difference(
        is_standard in any::<bool>(), left in line(), right in line(), is_one_line in any::<bool>(),
    ) {
        let trusted = proxies("10.0.0.0/8,fd00::/8");
        let peer: IpAddr = PEER.parse().unwrap();
        let alone = with_lines(&[(is_standard, right.clone())]);
        let expected = client_address(&trusted, peer, &alone);
        let is_settled = expected == peer || !trusted.contains(expected);
        // A chain of trusted hops alone is the one case in which the left would count.
        prop_assume!(is_settled && !is_all_trusted(&trusted, is_standard, &right));
        let together = if is_one_line {
            with_lines(&[(is_standard, [left.as_slice(), b",", &right].concat())])
        } else {
            with_lines(&[(is_standard, left), (is_standard, right)])
        };
        prop_assert_eq!(client_address(&trusted, peer, &together), expected);
    }
}

fn is_all_trusted(trusted: &TrustedProxies, is_standard: bool, line: &[u8]) -> bool {
    let is_trusted = |hop: Option<IpAddr>| hop.is_some_and(|hop| trusted.contains(hop));
    if is_standard { forwarded(line).all(is_trusted) } else { x_forwarded_for(line).all(is_trusted) }
}

#[test]
fn a_proxy_of_ones_own_that_is_not_trusted_is_noticed() {
    let is_forgotten = |peer: &str, headers: &HeaderMap| {
        is_from_forgotten_proxy(&proxies("10.0.0.1"), peer.parse().unwrap(), headers)
    };
    assert!(!is_forgotten("10.0.0.2", &headers(&[])), "it asks for itself");
    let headers = headers(&[("x-forwarded-for", "203.0.113.1")]);
    for peer in ["10.0.0.2", "192.168.1.1", "127.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.2"] {
        assert!(is_forgotten(peer, &headers), "{peer}");
    }
    for peer in ["10.0.0.1", "203.0.113.7", "2001:db8::1"] {
        assert!(!is_forgotten(peer, &headers), "{peer}");
    }
}
