//! Fraud marks that the configuration asks for: how often is too often, and which addresses are data centres'.
//!
//! Nothing here turns a call away, counts or remembers: the marks are labels on what is booked all the same, and who
//! counts hands the counts in. Of contacts and addresses it knows what is the same one, never whose it is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::identity::Contact;
use crate::ids::ConversionId;
use crate::reason::Reason;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Contact values of one call that are looked at.
const CONTACT_KEYS_MAX: usize = 8;

/// Which marks are set; by default none that costs anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fraud {
    /// When the same contact is on too many conversions.
    pub repeated_contact: Option<Often>,
    /// When conversions of clicks from the same address are too many.
    pub repeated_address: Option<Often>,
    /// When clicks from the same address on the same campaign are too many.
    pub click_flood: Option<Often>,
    /// The addresses of data centres.
    pub data_centres: Ranges,
    /// Whether clicks are labelled that no person made, by what their requests say.
    pub bots: bool,
    /// The numbers of networks that are data centres'.
    pub data_centre_networks: BTreeSet<u32>,
}

impl Fraud {
    /// How long sightings of contacts and addresses are of use; none are kept if nothing asks for them. A conversion looks
    /// back from its first booking, and may move on until that is as long ago again.
    #[must_use]
    pub fn memory_ms(&self) -> Option<i64> {
        let longest = |often: &Option<Often>| often.map(|often| often.within_ms);
        longest(&self.repeated_contact).max(longest(&self.repeated_address)).map(|ms| ms.saturating_mul(2))
    }
}

/// More than so many within a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Often {
    /// How many are not too many.
    pub more_than: u32,
    /// The span.
    pub within_ms: i64,
}

/// Address ranges, made ready for looking addresses up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges {
    // Apart from each other and in order.
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl Ranges {
    /// Takes ranges in any order; what lies within another or beside it becomes one with it.
    #[must_use]
    pub fn new(ranges: &[IpNet]) -> Self {
        let of_v4: Vec<Ipv4Net> = ranges
            .iter()
            .filter_map(|range| if let IpNet::V4(v4) = range { Some(*v4) } else { None })
            .collect();
        let of_v6: Vec<Ipv6Net> = ranges
            .iter()
            .filter_map(|range| if let IpNet::V6(v6) = range { Some(*v6) } else { None })
            .collect();
        let (mut v4, mut v6) = (Ipv4Net::aggregate(&of_v4), Ipv6Net::aggregate(&of_v6));
        v4.sort_unstable();
        v6.sort_unstable();
        Self { v4, v6 }
    }

    /// Whether an address lies in one of them; an IPv4 address in IPv6 form is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let after = self.v4.partition_point(|range| range.network() <= v4);
                after.checked_sub(1).and_then(|at| self.v4.get(at)).is_some_and(|range| range.contains(&v4))
            }
            IpAddr::V6(v6) => {
                let after = self.v6.partition_point(|range| range.network() <= v6);
                after.checked_sub(1).and_then(|at| self.v6.get(at)).is_some_and(|range| range.contains(&v6))
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> {
        self.v4.iter().copied().map(IpNet::V4).chain(self.v6.iter().copied().map(IpNet::V6))
    }
}

/// A contact or an address by its keyed hash, and how often it may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The keyed hash.
    pub key: [u8; 16],
    /// The label of a conversion on which it is seen too often.
    pub label: Reason,
    /// How often is too often.
    pub often: Often,
    /// When the call is booked.
    pub at: Timestamp,
}

impl Sighting {
    /// The first and the last conversion that count for one which was first booked at this time, or for one that is booked
    /// now. Those after it count too: when it is approved a week later, the burst that it began is known.
    #[must_use]
    pub fn span(&self, first_booked: Option<Timestamp>) -> (ConversionId, ConversionId) {
        let booked_at = first_booked.unwrap_or(self.at);
        let (from, to) = (
            booked_at.plus_millis(self.often.within_ms.saturating_neg()),
            booked_at.plus_millis(self.often.within_ms),
        );
        (ConversionId::new(from, [0; 10]), ConversionId::new(to, [u8::MAX; 10]))
    }

    /// How many conversions have to be found to know that they are too many, the one that is asked about among them.
    #[must_use]
    pub const fn enough(&self) -> u32 {
        self.often.more_than.saturating_add(2)
    }
}

/// On how many conversions a contact or an address was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What was asked for.
    pub sighting: Sighting,
    /// On how many other conversions; not counted beyond what is too many.
    pub others: u32,
}

impl Seen {
    /// Whether that is too often.
    #[must_use]
    pub const fn is_too_often(&self) -> bool {
        self.others > self.sighting.often.more_than
    }
}

/// What tells a contact again: the hashes of its mail addresses, without the dots and tags that make one mailbox look like
/// many where the sender gave the address itself, and of its telephone numbers. Each with the name of its kind.
pub fn contact_values(contact: &Contact) -> impl Iterator<Item = (&'static str, &str)> {
    let mail = if contact.google_email.is_empty() { &contact.email } else { &contact.google_email };
    let mail = mail.iter().map(|hash| ("email", hash.as_str()));
    mail.chain(contact.phone.iter().map(|hash| ("phone", hash.as_str()))).take(CONTACT_KEYS_MAX)
}

/// What tells an address again: an IPv4 address itself, of IPv6 the /64 that one household or server has.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // 0::/32 is not given to anybody, so these stand apart from all networks of IPv6.
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            [a, b, c, d].into_iter().fold(0, |key, part| key << 16 | u64::from(part))
        }
    }
}
