//! Which addresses belong to this machine or to a private network. Sending there must be allowed by name, so that
//! nobody who may edit destinations can make the server talk to its neighbours.
//!
//! Only what stands in the text is judged here; names are resolved, and judged again, when something is sent.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::address::{forbidden, is_this_machine};

/// A list of addresses holds no range of public addresses that is wider: the largest that anybody was ever given.
const WIDEST_V4: u8 = 8;
/// The same for IPv6, of which providers have blocks from /19 on.
const WIDEST_V6: u8 = 16;

/// What is wrong with an address or a range, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRange {
    /// What is wrong, without the text itself.
    pub problem: String,
    /// How to mend it.
    pub fix: String,
}

/// Reads an address, or a range of them, as every list of addresses writes it.
///
/// # Errors
/// It is neither, an address within a range, or an IPv4 range in IPv6 form.
pub fn range(text: &str) -> Result<IpNet, NoRange> {
    let no = |problem: &str, fix: String| Err(NoRange { problem: problem.to_owned(), fix });
    let single = || text.parse().ok().map(|address: IpAddr| IpNet::from(address));
    let Some(range) = text.parse::<IpNet>().ok().or_else(single) else {
        return no(
            "is not an address or range",
            "write it like \"203.0.113.0/24\" or \"2001:db8::/32\"".to_owned(),
        );
    };
    if range.trunc() != range {
        let (whole, one) = (range.trunc(), range.addr());
        let fix = format!("write \"{whole}\" for the range or \"{one}\" for the one address");
        return no("names an address within a range", fix);
    }
    if let IpNet::V6(v6) = range
        && let Some(v4) = v6.addr().to_ipv4_mapped().filter(|_| v6.prefix_len() >= 96)
    {
        let fix = format!("write \"{v4}/{}\"", v6.prefix_len() - 96);
        return no("is an IPv4 range in IPv6 form, which no call comes from", fix);
    }
    Ok(range)
}

/// Whether a range is so wide that it lets everybody in, also if it is one half of everything.
#[must_use]
pub fn is_everybody(range: &IpNet) -> bool {
    match range {
        IpNet::V4(range) => range.prefix_len() < WIDEST_V4,
        // What is not handed out to the public is a private network, however wide.
        IpNet::V6(range) => {
            let first = range.network().segments()[0];
            let is_outside = range.prefix_len() >= 3 && !(0x2000..=0x3fff).contains(&first);
            range.prefix_len() < WIDEST_V6 && !is_outside
        }
    }
}

/// Whether a URL's host is, by its spelling alone, this machine or a private network.
#[must_use]
pub fn is_private_host(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => forbidden(IpAddr::V4(*address)).is_some(),
        Host::Ipv6(address) => forbidden(IpAddr::V6(*address)).is_some(),
        Host::Domain(name) => is_this_machine(name),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use url::Url;

    use super::*;

    #[test]
    fn half_of_all_addresses_is_everybody() {
        for text in
            ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/2", "2000::/3", "8000::/1", "::/1"]
        {
            assert!(is_everybody(&range(text).unwrap()), "{text}");
        }
        for text in
            ["10.0.0.0/8", "203.0.113.9", "fc00::/7", "fe80::/10", "2600::/16", "2001:db8::/32", "::1"]
        {
            assert!(!is_everybody(&range(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn ranges_are_read_the_same_way_everywhere() {
        for (text, says) in [
            ("proxy.example", "is not an address or range"),
            ("10.0.0.0/33", "is not an address or range"),
            (" 10.0.0.1", "is not an address or range"),
            ("10.0.0.1/8", "an address within a range"),
            ("::ffff:10.0.0.0/104", "IPv4 range in IPv6 form"),
        ] {
            assert!(range(text).unwrap_err().problem.contains(says), "{text}");
        }
        assert!(range("::ffff:10.0.0.0/104").unwrap_err().fix.contains("10.0.0.0/8"));
        assert_eq!(range("203.0.113.9").unwrap().to_string(), "203.0.113.9/32");
    }

    #[test]
    fn spellings_of_private_hosts_are_seen_through() {
        for text in [
            "http://127.0.0.1:9100",
            "http://localhost:1",
            "http://LOCALHOST.",
            "http://a.localhost/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://0/",
            "http://10.1.2.3",
            "http://172.31.0.1",
            "http://192.168.1.1",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1",
            "http://192.0.2.1",
            "http://198.18.0.1",
            "http://203.0.113.9",
            "http://224.0.0.1",
            "http://255.255.255.255",
            "http://[::]/",
            "http://[::1]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::a00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:db8::1]/",
            "http://[ff02::1]/",
        ] {
            assert!(is_private_host(&Url::parse(text).unwrap().host().unwrap()), "{text}");
        }
        for text in [
            "https://graph.facebook.com",
            "http://localhost.example/",
            "http://8.8.8.8",
            "http://172.32.0.1",
            "http://100.128.0.1",
            "http://[2606:4700::1111]/",
            "http://[::ffff:8.8.8.8]/",
        ] {
            assert!(!is_private_host(&Url::parse(text).unwrap().host().unwrap()), "{text}");
        }
    }
}
