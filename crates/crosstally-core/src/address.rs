//! Which addresses no outbound call may reach: everything that is not a public host. An IPv6 address that carries an
//! IPv4 address inherits its verdict, as some network on the way would unpack it.
//!
//! It is asked twice about the same destination, and both times the same: when it is saved, of what stands in the text;
//! and before each connection, of every address that its name has by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

struct Range<A> {
    first: A,
    bits: u32,
    what: &'static str,
}

const fn v4(a: u8, b: u8, c: u8, bits: u32, what: &'static str) -> Range<Ipv4Addr> {
    Range { first: Ipv4Addr::new(a, b, c, 0), bits, what }
}

const fn v6(head: [u16; 4], bits: u32, what: &'static str) -> Range<Ipv6Addr> {
    Range { first: Ipv6Addr::new(head[0], head[1], head[2], head[3], 0, 0, 0, 0), bits, what }
}

const V4: [Range<Ipv4Addr>; 15] = [
    v4(0, 0, 0, 8, "this network"),
    v4(10, 0, 0, 8, "private"),
    v4(100, 64, 0, 10, "carrier-grade NAT"),
    v4(127, 0, 0, 8, "loopback"),
    v4(169, 254, 0, 16, "link-local"),
    v4(172, 16, 0, 12, "private"),
    v4(192, 0, 0, 24, "protocol assignments"),
    v4(192, 0, 2, 24, "documentation"),
    v4(192, 88, 99, 24, "6to4 relays"),
    v4(192, 168, 0, 16, "private"),
    v4(198, 18, 0, 15, "benchmarking"),
    v4(198, 51, 100, 24, "documentation"),
    v4(203, 0, 113, 24, "documentation"),
    v4(224, 0, 0, 4, "multicast"),
    v4(240, 0, 0, 4, "reserved"),
];

const V6: [Range<Ipv6Addr>; 12] = [
    // The first 96 zero bits: unspecified, loopback, and the IPv4-compatible form that nobody uses any more.
    v6([0, 0, 0, 0], 96, "unspecified, loopback or IPv4-compatible"),
    v6([0x64, 0xff9b, 1, 0], 48, "local NAT64"),
    v6([0x100, 0, 0, 0], 64, "discard"),
    v6([0x100, 0, 0, 1], 64, "dummy prefix"),
    // Teredo lies in here too: no server of anybody's is to be found behind it.
    v6([0x2001, 0, 0, 0], 23, "protocol assignments"),
    v6([0x2001, 0xdb8, 0, 0], 32, "documentation"),
    v6([0x3fff, 0, 0, 0], 20, "documentation"),
    v6([0x5f00, 0, 0, 0], 16, "segment routing"),
    v6([0xfc00, 0, 0, 0], 7, "private"),
    v6([0xfe80, 0, 0, 0], 10, "link-local"),
    v6([0xfec0, 0, 0, 0], 10, "site-local"),
    v6([0xff00, 0, 0, 0], 8, "multicast"),
];

/// The name of the special range that an address lies in; `None` for a public address.
#[must_use]
pub fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => forbidden_v4(address),
        IpAddr::V6(address) => forbidden_v6(address),
    }
}

/// Whether a name stands for this machine by its spelling alone, whatever a name server makes of it (RFC 6761).
#[must_use]
pub fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// A URL's host in the one spelling in which hosts are compared: a name in lower case without dots at its end, an IPv4
/// address in IPv6 form as IPv4.
#[must_use]
pub fn plain_host<S: AsRef<str>>(host: &Host<S>) -> String {
    match host {
        Host::Domain(name) => name.as_ref().trim_end_matches('.').to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().to_string(),
    }
}

/// A host that stands alone, without scheme, port and path, in that spelling.
#[must_use]
pub fn lone_host(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().to_string());
    }
    let host = Host::parse(text).ok().map(|host| plain_host(&host))?;
    (!host.is_empty() && !host.contains('*')).then_some(host)
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    let number = address.to_bits();
    let inside = |range: &&Range<Ipv4Addr>| (number ^ range.first.to_bits()) >> (32 - range.bits) == 0;
    V4.iter().find(inside).map(|range| range.what)
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    let number = address.to_bits();
    let inside = |range: &&Range<Ipv6Addr>| (number ^ range.first.to_bits()) >> (128 - range.bits) == 0;
    if let Some(range) = V6.iter().find(inside) {
        return Some(range.what);
    }
    if let Some(carried) = embedded(address) {
        return forbidden_v4(carried);
    }
    // Only 2000::/3 was ever handed out to the public.
    (address.segments()[0] >> 13 != 1).then_some("not handed out to anybody")
}

/// The IPv4 address that an IPv6 address carries, if it is of a form that carries one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // Mapped, translated (RFC 2765), and NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => pair(high, low),
        // 6to4.
        [0x2002, high, low, ..] => pair(high, low),
        // ISATAP, whatever the prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => pair(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn refused(text: &str) -> bool {
        forbidden(text.parse().unwrap()).is_some()
    }

    // First, last, the neighbour before, the neighbour after; no neighbour where another special range begins.
    const RANGES: &[(&str, &str, &str, &str)] = &[
        ("0.0.0.0", "0.255.255.255", "", "1.0.0.0"),
        ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
        ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
        ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
        ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
        ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
        ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
        ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
        ("192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"),
        ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
        ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
        ("198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
        ("203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
        ("224.0.0.0", "239.255.255.255", "223.255.255.255", ""),
        ("240.0.0.0", "255.255.255.255", "", ""),
        ("::", "::ffff:ffff", "", ""),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "", ""),
        ("100::", "100::ffff:ffff:ffff:ffff", "", ""),
        ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", "", ""),
        ("2001::", "2001:1ff:ffff::", "2000:ffff::", "2001:200::"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff::", "2001:db9::"),
        ("3fff::", "3fff:fff:ffff::", "3ffe:ffff::", "3fff:1000::"),
        ("5f00::", "5f00:ffff::", "", ""),
        ("fc00::", "fdff:ffff::", "", ""),
        ("fe80::", "febf:ffff::", "", ""),
        ("fec0::", "feff:ffff::", "", ""),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""),
    ];

    #[test]
    fn special_ranges_from_first_to_last_and_not_beyond() {
        for (first, last, before, after) in RANGES {
            assert!(refused(first), "{first}");
            assert!(refused(last), "{last}");
            for neighbour in [before, after] {
                assert!(neighbour.is_empty() || !refused(neighbour), "{neighbour}");
            }
        }
    }

    #[test]
    fn what_nobody_was_given_is_nobodys() {
        for text in ["1::", "64:ff9b:2::", "1fff:ffff::", "4000::", "5eff::", "8000::", "fe00::1"] {
            assert!(refused(text), "{text}");
        }
        for text in ["2001:200::", "2606:4700::1111", "3fff:1000::"] {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn a_carried_address_decides() {
        for (private, public) in [
            ("::ffff:127.0.0.1", "::ffff:8.8.8.8"),
            ("::ffff:7f00:1", "::ffff:808:808"),
            ("::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8"),
            ("64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8"),
            ("2002:7f00:1::", "2002:808:808::1"),
            ("2002:a9fe:a9fe::1", "2002:102:304::1"),
            ("2a00:1450::5efe:192.168.0.1", "2a00:1450::5efe:8.8.8.8"),
            ("2a00:1450::200:5efe:10.1.2.3", "2a00:1450::200:5efe:8.8.8.8"),
        ] {
            assert!(refused(private), "{private}");
            assert!(!refused(public), "{public}");
        }
        // Teredo carries its addresses turned round; all of it is refused.
        assert!(refused("2001:0:4136:e378:8000:63bf:3fff:fdd2"));
        // The metadata services' own addresses.
        assert!(refused("169.254.169.254") && refused("fd00:ec2::254"));
    }

    #[test]
    fn a_host_has_one_spelling() {
        for (text, host) in [
            ("track.example", Some("track.example")),
            ("TRACK.Example.", Some("track.example")),
            ("b\u{fc}cher.example", Some("xn--bcher-kva.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("8.8.8.8", Some("8.8.8.8")),
            ("2001:DB8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("::ffff:8.8.8.8", Some("8.8.8.8")),
            ("https://track.example", None),
            ("track.example:8080", None),
            ("track.example/c", None),
            ("*.track.example", None),
            ("a b.example", None),
            ("user@track.example", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(lone_host(text).as_deref(), host, "{text}");
        }
    }

    #[test]
    fn public_hosts_are_reachable() {
        for address in ["1.1.1.1", "157.240.1.35", "2a03:2880:f003:c07:face:b00c:0:2", "2606:4700::1111"] {
            assert!(!refused(address), "{address}");
        }
    }
}
