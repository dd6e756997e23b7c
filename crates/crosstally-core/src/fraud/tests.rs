//! Ranges, spans of time, and what tells a contact or an address again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::identity::{ContactIn, hash_contact};
use crate::time::DAY_MS;

fn range(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn an_address_lies_in_the_widest_of_its_ranges() {
    let ranges = Ranges::new(&["198.51.100.0/24", "10.0.0.0/8", "10.1.2.0/24", "2001:db8::/32"].map(range));
    for (address, inside) in [
        ("198.51.100.0", true),
        ("198.51.100.255", true),
        ("198.51.101.0", false),
        ("198.51.99.255", false),
        // Behind the narrow range that begins later.
        ("10.200.0.1", true),
        ("9.255.255.255", false),
        ("::ffff:10.1.2.3", true),
        ("2001:db8:ffff::1", true),
        ("2001:db9::1", false),
        ("::1", false),
    ] {
        assert_eq!(ranges.contains(address.parse().unwrap()), inside, "{address}");
    }
    assert!(!Ranges::default().contains("10.0.0.1".parse().unwrap()));
    assert!(Ranges::new(&[range("0.0.0.0/0")]).contains("255.255.255.255".parse().unwrap()));
}

proptest! {
    #[test]
    fn looking_up_is_asking_every_range(
        nets in prop::collection::vec((any::<u16>(), 16..=32_u8), 0..40),
        asked in prop::collection::vec(any::<u16>(), 40),
    ) {
        // Few enough bits that ranges meet, and that addresses hit them.
        let address = |bits: u16| IpAddr::V4(std::net::Ipv4Addr::from(u32::from(bits) << 8));
        let nets: Vec<IpNet> =
            nets.into_iter().map(|(bits, length)| IpNet::new(address(bits), length).unwrap().trunc()).collect();
        let ranges = Ranges::new(&nets);
        for bits in asked {
            let address = address(bits);
            prop_assert_eq!(ranges.contains(address), nets.iter().any(|net| net.contains(&address)));
        }
        let again: Vec<IpNet> = ranges.iter().collect();
        prop_assert_eq!(Ranges::new(&again), ranges);
    }
}

#[test]
fn a_span_reaches_to_both_sides_of_the_first_booking() {
    let at = Timestamp::from_millis(1_795_255_200_000);
    let often = Often { more_than: 1, within_ms: DAY_MS };
    let sighting = Sighting { key: [0; 16], label: Reason::RepeatedContact, often, at };
    let holds = |booked: Option<i64>, other: i64| {
        let (first, last) = sighting.span(booked.map(|ms| at.plus_millis(ms)));
        (first..=last).contains(&ConversionId::new(at.plus_millis(other), [7; 10]))
    };
    assert!(holds(None, -DAY_MS) && holds(None, 0) && !holds(None, -DAY_MS - 1));
    assert!(holds(Some(-7 * DAY_MS), -6 * DAY_MS) && holds(Some(-7 * DAY_MS), -8 * DAY_MS));
    assert!(!holds(Some(-7 * DAY_MS), -6 * DAY_MS + 1), "what came long after it says nothing about it");
    let seen = |others| Seen { sighting, others }.is_too_often();
    assert!(!seen(1) && seen(2));
    // Two others are too many, and the one that is asked about may be among those found.
    assert_eq!(sighting.enough(), 3);
}

#[test]
fn one_mailbox_in_two_spellings_is_one_contact() {
    let of = |email: &str, phone: &str| {
        let given =
            ContactIn { email: vec![email.into()], phone: vec![phone.into()], ..ContactIn::default() };
        hash_contact(&given, Some("US"), 2026).0
    };
    let (plain, dotted) =
        (of("jane.doe@gmail.com", "+12025550123"), of("janedoe@GMAIL.com ", "(202) 555-0123"));
    let keys = |contact: &Contact| -> Vec<(String, String)> {
        contact_values(contact).map(|(kind, hash)| (kind.to_owned(), hash.to_owned())).collect()
    };
    assert_eq!(keys(&plain), keys(&dotted));
    assert_eq!(keys(&plain).len(), 2);
    assert_eq!(keys(&Contact::default()), []);
    assert_ne!(keys(&plain)[0].1, keys(&of("john.doe@gmail.com", ""))[0].1);
}

#[test]
fn a_network_of_ipv6_is_one_neighbour() {
    let of = |text: &str| neighbourhood(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:203.0.113.9"), of("203.0.113.9"));
    assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
}

#[test]
fn what_is_of_use_is_kept_for_twice_the_longest_span() {
    let often = |within_ms| Some(Often { more_than: 1, within_ms });
    assert_eq!(Fraud::default().memory_ms(), None);
    let flood_only = Fraud { click_flood: often(DAY_MS), ..Fraud::default() };
    assert_eq!(flood_only.memory_ms(), None, "clicks are counted elsewhere");
    let both =
        Fraud { repeated_contact: often(3 * DAY_MS), repeated_address: often(DAY_MS), ..Fraud::default() };
    assert_eq!(both.memory_ms(), Some(6 * DAY_MS));
}
