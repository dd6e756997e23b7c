//! Whose address a request comes from. A proxy's word counts only if the proxy is trusted, only in the one header that it
//! is known to write, and then from the right: the first hop that is not a trusted proxy is the client.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use crate::state::{DoorOptions, ProxyHeader};

/// Hops that are looked at; whatever stands further left is a sender's invention.
const HOPS_MAX: usize = 32;
/// Bytes of one hop; the longest address with its port and its quotes is shorter.
const HOP_BYTES_MAX: usize = 512;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, options: &DoorOptions) -> IpAddr {
    let is_trusted = |ip: IpAddr| options.trusted_proxies.iter().any(|range| range.contains(&ip));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match options.proxy_header {
        ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, node_address),
        ProxyHeader::Forwarded => (header::FORWARDED, element_address),
    };
    // Several header lines are one list, in order. They are parted by commas alone, also within quotes: a quote that a
    // sender opens must not swallow what the proxy has written behind it.
    let hops = headers
        .get_all(name)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','))
        .take(HOPS_MAX);
    for hop in hops {
        // What cannot be read hides whoever stands behind it: the last address that is known counts.
        let known = std::str::from_utf8(hop).ok().filter(|hop| hop.len() <= HOP_BYTES_MAX).and_then(read);
        let Some(ip) = known else { return client };
        client = ip;
        if !is_trusted(ip) {
            return client;
        }
    }
    client
}

/// A list's element by RFC 7239: `for=192.0.2.43;proto=https`, `for="[2001:db8::17]:4711"`. Obfuscated identifiers and
/// `unknown` name no address.
fn element_address(element: &str) -> Option<IpAddr> {
    let mut nodes = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("for"))
        .map(|(_, node)| node);
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    let bare = match node.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => node,
    };
    node_address(bare)
}

/// An address, maybe with a port, maybe in brackets.
fn node_address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let ip = node
        .parse::<IpAddr>()
        .ok()
        .or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| node.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use http::HeaderValue;

    use super::*;

    fn options(proxy_header: ProxyHeader) -> DoorOptions {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        DoorOptions { trusted_proxies, proxy_header, ..DoorOptions::default() }
    }

    fn client(by: ProxyHeader, peer: &str, lines: &[(&'static str, &[u8])]) -> String {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_bytes(line).unwrap());
        }
        address(peer.parse().unwrap(), &headers, &options(by)).to_string()
    }

    #[test]
    fn c2_only_a_trusted_proxy_is_believed_and_only_from_the_right() {
        let many = "9.9.9.9,".repeat(10_000) + "10.1.1.1";
        for (peer, lines, expected) in [
            ("203.0.113.9", &["1.2.3.4"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("::1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("::1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["1.2.3.4, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4, unknown, 10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["1.2.3.4, _hidden"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4,"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4\u{e9}"], "10.0.0.1"),
            ("10.0.0.1", &["for=1.2.3.4"], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &[&many], "9.9.9.9"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", line.as_bytes())).collect();
            assert_eq!(client(ProxyHeader::XForwardedFor, peer, &lines), expected, "{peer}");
        }
        // A line that is no text does not make room for the one before it, which anybody can send.
        let lines: [(_, &[u8]); 2] = [("x-forwarded-for", b"6.6.6.6"), ("x-forwarded-for", b"\xff, \xfe")];
        assert_eq!(client(ProxyHeader::XForwardedFor, "10.0.0.1", &lines), "10.0.0.1");
    }

    #[test]
    fn c2_forwarded_is_read_by_rfc_7239() {
        for (lines, expected) in [
            (&["for=192.0.2.43"][..], "192.0.2.43"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=6.6.6.6;by=203.0.113.43, for=192.0.2.60;proto=http; by=10.0.0.9"], "192.0.2.60"),
            (&["for=6.6.6.6", "proto=https;for=192.0.2.43, for=10.0.0.2"], "192.0.2.43"),
            (&["for=\"::ffff:192.0.2.43\""], "192.0.2.43"),
            (&["for=192.0.2.43:47011"], "192.0.2.43"),
            (&["for=6.6.6.6, for=unknown"], "10.0.0.1"),
            (&["for=6.6.6.6, for=_SEVKISEK"], "10.0.0.1"),
            (&["for=6.6.6.6, for=\"_gazonk\", for=10.0.0.4"], "10.0.0.4"),
            (&["for=6.6.6.6, by=10.0.0.2"], "10.0.0.1"),
            (&["for=6.6.6.6;for=7.7.7.7"], "10.0.0.1"),
            (&["for=\"6.6.6.6"], "10.0.0.1"),
            // Whatever a sender leaves open in front, the proxy's own element stands by itself.
            (&["for=\"6.6.6.6, for=192.0.2.43"], "192.0.2.43"),
            (&["for=\"a\\\", for=192.0.2.43"], "192.0.2.43"),
            (&["6.6.6.6"], "10.0.0.1"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", line.as_bytes())).collect();
            assert_eq!(client(ProxyHeader::Forwarded, "10.0.0.1", &lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn c3_only_the_configured_header_counts() {
        let both: [(_, &[u8]); 2] = [("x-forwarded-for", b"1.1.1.1"), ("forwarded", b"for=2.2.2.2")];
        assert_eq!(client(ProxyHeader::XForwardedFor, "10.0.0.1", &both), "1.1.1.1");
        assert_eq!(client(ProxyHeader::Forwarded, "10.0.0.1", &both), "2.2.2.2");
        assert_eq!(client(ProxyHeader::XForwardedFor, "10.0.0.1", &both[1..]), "10.0.0.1");
        assert_eq!(client(ProxyHeader::Forwarded, "10.0.0.1", &both[..1]), "10.0.0.1");
    }
}
