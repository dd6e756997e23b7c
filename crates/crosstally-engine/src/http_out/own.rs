//! What this server itself is, seen from outside: the hosts under which it is reached and the addresses at which it
//! listens. A call that leads there would come back as an event and be sent again. Knows only what it is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use crosstally_core::address;
use url::Host;

/// Clones share what they are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    hosts: Arc<ArcSwap<Vec<String>>>,
    doors: Arc<ArcSwap<Vec<SocketAddr>>>,
}

impl Own {
    pub(super) fn set_hosts(&self, hosts: Vec<String>) {
        self.hosts.store(Arc::new(hosts));
    }

    pub(super) fn set_doors(&self, doors: Vec<SocketAddr>) {
        self.doors.store(Arc::new(doors));
    }

    /// Whether a URL's host is a name of this server.
    pub(super) fn is_host(&self, host: &str) -> bool {
        let hosts = self.hosts.load();
        if hosts.is_empty() {
            return false;
        }
        let Ok(host) = Host::parse(host) else { return false };
        let plain = address::plain_host(&host);
        hosts.contains(&plain)
    }

    /// Whether an address is, by itself, one at which this server listens.
    pub(super) fn is_address(&self, ip: IpAddr, port: u16) -> bool {
        let ip = ip.to_canonical();
        let is_here = ip.is_loopback() || ip.is_unspecified();
        self.doors_at(port, |door| {
            // Whoever connects to no address in particular gets this machine's loopback.
            door == ip || is_here && every(door, ip) || ip.is_unspecified() && door.is_loopback()
        })
    }

    /// Whether an open connection has come back to this machine and to a door of ours: a listener for all addresses is
    /// reached under those of every interface.
    pub(super) fn is_loop(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        let ip = peer.ip().to_canonical();
        local.ip().to_canonical() == ip && self.doors_at(peer.port(), |door| door == ip || every(door, ip))
    }

    fn doors_at(&self, port: u16, is_it: impl Fn(IpAddr) -> bool) -> bool {
        self.doors.load().iter().any(|door| door.port() == port && is_it(door.ip().to_canonical()))
    }
}

/// What a visitor finds under a path of this server: a click link or an offer's step, and which.
pub(super) fn link_at(path: &str) -> Option<(bool, &str)> {
    let (is_click, rest) = match path.strip_prefix("/c/") {
        Some(rest) => (true, rest),
        None => (false, path.strip_prefix("/o/")?),
    };
    let slug = rest.strip_suffix('/').unwrap_or(rest);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!slug.is_empty() && slug.bytes().all(plain)).then_some((is_click, slug))
}

/// Whether a listener takes what comes to any address of this one's kind; one for all of IPv6 takes IPv4 as well.
fn every(door: IpAddr, ip: IpAddr) -> bool {
    door.is_unspecified() && (door.is_ipv6() || ip.is_ipv4())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn own(doors: &[&str]) -> Own {
        let own = Own::default();
        own.set_doors(doors.iter().map(|door| door.parse().unwrap()).collect());
        own
    }

    #[test]
    fn an_address_is_ours_if_a_door_of_ours_answers_there() {
        let own_v4 = &own(&["0.0.0.0:8080", "127.0.0.1:8081"]);
        let own_v6 = &own(&["[::]:8080", "[::1]:8081"]);
        let one = &own(&["10.0.0.5:8080"]);
        for (own, address, is_own) in [
            (own_v4, "127.0.0.1:8080", true),
            (own_v4, "127.9.9.9:8080", true),
            (own_v4, "0.0.0.0:8080", true),
            (own_v4, "[::ffff:127.0.0.1]:8080", true),
            (own_v4, "[::1]:8080", false),
            (own_v4, "127.0.0.1:8081", true),
            (own_v4, "0.0.0.0:8081", true),
            (own_v4, "127.0.0.2:8081", false),
            (own_v4, "127.0.0.1:8082", false),
            (own_v4, "10.0.0.5:8080", false),
            (own_v6, "127.0.0.1:8080", true),
            (own_v6, "[::1]:8080", true),
            (own_v6, "[::]:8081", true),
            (own_v6, "127.0.0.1:8081", false),
            (one, "10.0.0.5:8080", true),
            (one, "[::ffff:10.0.0.5]:8080", true),
            (one, "10.0.0.6:8080", false),
            (one, "127.0.0.1:8080", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(own.is_address(address.ip(), address.port()), is_own, "{address} {own:?}");
        }
    }

    #[test]
    fn a_connection_that_comes_back_is_seen_by_its_two_ends() {
        let every = &own(&["0.0.0.0:8080"]);
        let one = &own(&["10.0.0.5:8080"]);
        for (own, local, peer, is_loop) in [
            (every, "10.0.0.5:41000", "10.0.0.5:8080", true),
            (every, "10.0.0.5:41000", "10.0.0.6:8080", false),
            (every, "10.0.0.5:41000", "10.0.0.5:8090", false),
            (every, "[2001:db8::5]:41000", "[2001:db8::5]:8080", false),
            (one, "10.0.0.5:41000", "10.0.0.5:8080", true),
            (one, "10.0.0.7:41000", "10.0.0.7:8080", false),
        ] {
            assert_eq!(own.is_loop(local.parse().unwrap(), peer.parse().unwrap()), is_loop, "{local} {peer}");
        }
    }

    #[test]
    fn a_link_is_a_campaign_or_an_offer_and_nothing_else() {
        for (path, link) in [
            ("/c/summer", Some((true, "summer"))),
            ("/c/summer-2_a/", Some((true, "summer-2_a"))),
            ("/o/shop", Some((false, "shop"))),
            ("/c/", None),
            ("/c//", None),
            ("/c/a/b", None),
            ("/c/..%2fapi", None),
            ("/c/a.b", None),
            ("/postback/acme", None),
            ("/api/v1/tokens", None),
            ("/", None),
        ] {
            assert_eq!(link_at(path), link, "{path}");
        }
    }

    #[test]
    fn a_name_of_ours_is_ours_in_every_spelling() {
        let own = Own::default();
        assert!(!own.is_host("track.example"));
        own.set_hosts(vec![
            "track.example".to_owned(),
            "xn--bcher-kva.example".to_owned(),
            "8.8.8.8".to_owned(),
        ]);
        for host in [
            "track.example",
            "TRACK.Example",
            "track.example.",
            "b\u{fc}cher.example",
            "B\u{dc}CHER.example",
            "8.8.8.8",
            "0x8.8.8.8",
            "134744072",
            "[::ffff:8.8.8.8]",
        ] {
            assert!(own.is_host(host), "{host}");
        }
        for host in ["a.track.example", "track.example.org", "trackexample", "8.8.4.4", ""] {
            assert!(!own.is_host(host), "{host}");
        }
    }
}
