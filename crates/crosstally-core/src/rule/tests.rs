#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::device::Device;
use crate::params::Params;
use crate::time::Timestamp;
use crate::visit::{Place, Zone};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.1 Mobile/15E148 Safari/604.1";

/// What a rule is asked about: Vienna, a telephone, Saturday 11:00 in the zone.
fn holds(rule: &Rule) -> bool {
    let (zone, params) = (Zone::named("Europe/Vienna"), Params::parse(b"sub1=ad7&zone=9").unwrap());
    let place = Place {
        country: "AT".into(),
        region: "9".into(),
        city: "Vienna".into(),
        isp: "Example Telecom".into(),
        asn: Some(64_500),
    };
    rule.holds(&Visit {
        at: Timestamp::from_millis(1_795_255_200_000),
        zone: &zone,
        campaign: "summer",
        source: "facebook",
        params: &params,
        language: "de-AT,de;q=0.9",
        place: &place,
        device: Device::of(PHONE),
        returning: true,
    })
}

fn text(name: &'static str, not: bool, values: &[&str]) -> Pair {
    Pair::Text { name, not, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn param(name: &str, not: bool, values: &[&str]) -> Pair {
    Pair::Param { name: name.into(), not, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

#[test]
fn every_pair_holds_for_what_it_says_and_for_nothing_else() {
    let at = |text: &str| Pair::Hours(vec![text.to_owned()], hours(text).unwrap());
    for (pair, meets) in [
        (text("country", false, &["DE", "at"]), true),
        (text("country", false, &["DE"]), false),
        (text("country", true, &["DE"]), true),
        (text("country", true, &["AT", "DE"]), false),
        (text("region", false, &["9"]), true),
        (text("city", false, &["vienna"]), true),
        (text("isp", false, &["example telecom"]), true),
        (text("asn", false, &["64500"]), true),
        (text("asn", false, &["64501"]), false),
        (text("device", false, &["mobile"]), true),
        (text("device", false, &["desktop", "tablet"]), false),
        (text("os", false, &["ios"]), true),
        (text("browser", true, &["safari"]), false),
        (text("language", false, &["de"]), true),
        (text("language", false, &["DE-AT"]), true),
        (text("language", false, &["d"]), false),
        (text("language", false, &["de-de"]), false),
        (text("source", false, &["facebook"]), true),
        (text("day", false, &["sat", "sun"]), true),
        (text("day", false, &["mon"]), false),
        (param("sub1", false, &["ad7"]), true),
        (param("SUB1", false, &["ad7"]), true),
        (param("sub1", false, &["AD7"]), false),
        (param("sub2", false, &[""]), true),
        (param("sub2", true, &["x"]), true),
        (at("11"), true),
        (at("8-20"), true),
        (at("12-20"), false),
        (at("22-6"), false),
        (at("22-12"), true),
        (Pair::Returning(true), true),
        (Pair::Returning(false), false),
    ] {
        assert_eq!(holds(&Rule { pairs: vec![pair.clone()], condition: None }), meets, "{pair:?}");
    }
}

#[test]
fn pairs_and_expression_must_both_hold() {
    let compile = |text| Some(Expression::compile(text, VARIABLES).unwrap());
    for (condition, meets) in [
        ("country == 'AT' && device == 'mobile' && hour >= 8 && hour < 20", true),
        ("asn == 64500 && returning && day in ['sat', 'sun']", true),
        ("param.sub1.startsWith('ad') && language.startsWith('de')", true),
        ("param.sub2 == 'x'", false),
        ("!has(param.sub2)", true),
        ("campaign == 'winter'", false),
        ("size(isp)", false),
    ] {
        for (pair, also) in [(Pair::Returning(true), true), (Pair::Returning(false), false)] {
            let rule = Rule { pairs: vec![pair], condition: compile(condition) };
            assert_eq!(holds(&rule), meets && also, "{condition}");
        }
    }
    assert!(Expression::compile("status == 'approved'", VARIABLES).is_err());
}

#[test]
fn only_what_is_asked_for_is_looked_up() {
    let needs = |pair| Rule { pairs: vec![pair], condition: None }.needs();
    assert_eq!(needs(param("sub1", false, &["x"])), Needs::default());
    assert_eq!(needs(text("language", false, &["de"])), Needs::default());
    assert_eq!(needs(text("isp", false, &["x"])), Needs { place: true, ..Needs::default() });
    assert_eq!(needs(text("os", false, &["ios"])), Needs { device: true, ..Needs::default() });
    assert_eq!(needs(Pair::Returning(true)), Needs { returning: true, ..Needs::default() });
    let condition = Some(Expression::compile("country == 'AT' || returning", VARIABLES).unwrap());
    let rule = Rule { pairs: Vec::new(), condition };
    assert_eq!(rule.needs(), Needs { place: true, device: false, returning: true });
}

#[test]
fn hours_are_read_or_refused() {
    for (text, bits) in [
        ("0", Some(1)),
        ("23", Some(1 << 23)),
        ("8-10", Some(0b11 << 8)),
        ("0-24", Some((1 << 24) - 1)),
        ("22-2", Some(0b11 << 22 | 0b11)),
        ("24", None),
        ("8-8", None),
        ("8-25", None),
        ("x", None),
        ("-3", None),
    ] {
        assert_eq!(hours(text), bits, "{text}");
    }
}
