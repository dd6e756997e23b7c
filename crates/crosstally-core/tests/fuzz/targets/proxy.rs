//! The proxies' header: a stranger's word is never taken, a trusted proxy's only in its own header and from the right, and
//! an IPv4 address inside IPv6 is the IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};

use crosstally_core::forwarded::{ProxyHeader, client};
use ipnet::IpNet;

use crate::input::Input;

pub(super) const WORDS: &[&str] = &[
    ",",
    ", ",
    ";",
    "for=",
    "For=\"",
    "\"",
    "[",
    "]",
    ":443",
    "]:443",
    "\n",
    "unknown",
    "_hidden",
    "10.0.0.2",
    "10.1.2.3",
    "1.2.3.4",
    "::ffff:1.2.3.4",
    "::ffff:10.0.0.2",
    "2001:db8::7",
    "::1",
    "0.0.0.0",
    "by=",
    "proto=https",
    "010.0.0.1",
    "fe80::1%eth0",
    " ",
    "\t",
];

const HEADERS: &[ProxyHeader] = &[ProxyHeader::XForwardedFor, ProxyHeader::Forwarded];
const PEERS: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped()),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9)),
];
/// Whom the writer of a header cannot be.
const VICTIM: &str = "198.51.100.77";

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "001.2.3.4",
        "006.6.6.6, 1.2.3.4, 10.0.0.2",
        "006.6.6.6\n1.2.3.4",
        "001.2.3.4:5678",
        "02[2001:db8::7]:443",
        "001.2.3.4, unknown, 10.0.0.7",
        "00[fe80::1%eth0]:0",
        "00[fe80::1%1]:0",
        "011.2.3.4",
        "03::ffff:1.2.3.4",
        "10for=192.0.2.43",
        "10For=\"[2001:db8:cafe::17]:4711\"",
        "10for=6.6.6.6;by=203.0.113.43, for=192.0.2.60;proto=http; by=10.0.0.9",
        "10for=\"6.6.6.6, for=192.0.2.43",
        "10for=6.6.6.6, for=_SEVKISEK",
        "14for=\"::ffff:192.0.2.43\"",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let header = *input.pick(HEADERS);
    let peer = *input.pick(PEERS);
    let raw = input.rest();
    let lines: Vec<&[u8]> = raw.split(|&byte| byte == b'\n').collect();
    let trusted: Vec<IpNet> =
        ["10.0.0.0/8", "::1/128"].iter().map(|range| range.parse().expect("a range")).collect();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|range| range.contains(&ip));
    let found = client(peer, lines.iter().copied(), header, &trusted);

    assert_eq!(found, found.to_canonical(), "an IPv4 address is written as one");
    assert_eq!(client(peer, lines.iter().copied(), header, &[]), peer.to_canonical(), "nobody is trusted");
    if !is_trusted(peer.to_canonical()) {
        assert_eq!(found, peer.to_canonical(), "a stranger is not believed");
        return;
    }
    assert_eq!(found, model(peer, raw, header, &is_trusted));
    // Several lines are one list.
    let joined = lines.join(&b","[..]);
    assert_eq!(client(peer, std::iter::once(joined.as_slice()), header, &trusted), found);
    // Whoever writes the left part of a list cannot name the client: the proxy writes behind it.
    let proxys = match header {
        ProxyHeader::XForwardedFor => VICTIM.to_owned(),
        ProxyHeader::Forwarded => format!("for={VICTIM};proto=https"),
    };
    let forged: Vec<&[u8]> = lines.iter().copied().chain([proxys.as_bytes()]).collect();
    let seen = client(peer, forged.into_iter(), header, &trusted);
    assert_eq!(seen.to_string(), VICTIM);
    let one_line = [raw, b", ", proxys.as_bytes()].concat();
    assert_eq!(client(peer, std::iter::once(one_line.as_slice()), header, &trusted).to_string(), VICTIM);
}

/// The same rule, written from the other end: the hops as a list from the nearest, up to the first that cannot be read;
/// of these the first that is not trusted, else the farthest.
fn model(peer: IpAddr, raw: &[u8], header: ProxyHeader, is_trusted: &impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut hops: Vec<&[u8]> = raw.split(|&byte| byte == b',' || byte == b'\n').collect();
    hops.reverse();
    let mut chain = vec![peer.to_canonical()];
    chain.extend(hops.iter().take(32).map_while(|hop| {
        let hop = std::str::from_utf8(hop).ok().filter(|hop| hop.len() <= 512)?;
        let node = match header {
            ProxyHeader::XForwardedFor => hop.trim(),
            ProxyHeader::Forwarded => node(hop)?,
        };
        address(node.trim())
    }));
    let last = chain.last().copied().unwrap_or(peer);
    chain.into_iter().find(|ip| !is_trusted(*ip)).unwrap_or(last)
}

fn node(element: &str) -> Option<&str> {
    let mut found = None;
    for pair in element.split(';') {
        let Some((name, value)) = pair.trim().split_once('=') else { continue };
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            let quotes = (value.starts_with('"'), value.len() > 1 && value.ends_with('"'));
            found = match quotes {
                (true, true) => value.get(1..value.len() - 1),
                (true, false) => return None,
                (false, _) => Some(value),
            };
        }
    }
    found
}

/// An address, `address:port`, `[address]` or `[address]:port`.
fn address(node: &str) -> Option<IpAddr> {
    if let Ok(ip) = node.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let ip = match node.strip_prefix('[') {
        Some(rest) => match rest.strip_suffix(']') {
            Some(bare) => bare.parse().ok()?,
            None => IpAddr::V6(*node.parse::<SocketAddrV6>().ok()?.ip()),
        },
        None => {
            let (ip, port) = node.split_once(':')?;
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
            IpAddr::V4(ip.parse().ok().filter(|_| is_port)?)
        }
    };
    Some(ip.to_canonical())
}
