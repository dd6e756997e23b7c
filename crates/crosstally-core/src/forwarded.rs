//! Whose address a call comes from. A proxy's word counts only if the proxy is trusted, only in the one header that it is
//! known to write, and then from the right: the first hop that is not a trusted proxy is the client. Knows the lines of
//! that header, and nothing of requests.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Hops that are looked at; whatever stands further left is a sender's invention.
const HOPS_MAX: usize = 32;
/// Bytes of one hop; the longest address with its port and its quotes is shorter.
const HOP_BYTES_MAX: usize = 512;

/// The header in which a proxy says for whom it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, by RFC 7239.
    Forwarded,
}

/// The client's address, by the lines of the proxies' header in the order in which they came.
pub fn client<'l>(
    peer: IpAddr,
    lines: impl DoubleEndedIterator<Item = &'l [u8]>,
    header: ProxyHeader,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|range| range.contains(&ip));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let read: fn(&str) -> Option<IpAddr> = match header {
        ProxyHeader::XForwardedFor => node_address,
        ProxyHeader::Forwarded => element_address,
    };
    // Several header lines are one list, in order. They are parted by commas alone, also within quotes: a quote that a
    // sender opens must not swallow what the proxy has written behind it.
    let hops = lines.rev().flat_map(|line| line.rsplit(|&byte| byte == b',')).take(HOPS_MAX);
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
