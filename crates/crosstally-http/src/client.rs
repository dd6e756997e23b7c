//! Whose address a request comes from: the header that the trusted proxies write, handed to the rule of
//! [`crosstally_core::forwarded`]. And whether its browser asks for privacy.

use std::net::IpAddr;

use crosstally_core::forwarded;
use http::{HeaderMap, HeaderName, header};

use crate::state::{DoorOptions, ProxyHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// The client's address.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, options: &DoorOptions) -> IpAddr {
    let name = match options.proxy_header {
        ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
        ProxyHeader::Forwarded => header::FORWARDED,
    };
    let lines = headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
    forwarded::client(peer, lines, options.proxy_header, &options.trusted_proxies)
}

/// Whether the browser asks not to have data sold or shared: one `Sec-GPC` header, and its value is `1`. Of two nobody
/// knows which is the browser's.
pub(crate) fn asks_for_privacy(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(SEC_GPC).iter();
    matches!((lines.next(), lines.next()), (Some(only), None) if only.as_bytes() == b"1")
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

    /// Line G4: exactly one header with exactly this value is the signal.
    #[test]
    fn g4_one_header_of_one_is_the_signal_and_nothing_else() {
        for (lines, asks) in [
            (&["1"][..], true),
            (&[], false),
            (&["0"], false),
            (&["true"], false),
            (&["1, 1"], false),
            (&["11"], false),
            (&["1;q=1"], false),
            (&["\"1\""], false),
            (&[""], false),
            (&["1", "1"], false),
            (&["1", "0"], false),
            (&["0", "1"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("sec-gpc", HeaderValue::from_static(line));
            }
            assert_eq!(asks_for_privacy(&headers), asks, "{lines:?}");
        }
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
