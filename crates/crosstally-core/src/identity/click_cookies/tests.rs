#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

// The moment and the random number at which the recorded rows were made.
const SEEN_MS: i64 = 1_764_201_600_000;
const RANDOM: u32 = 1_116_446_470;

#[derive(Deserialize)]
struct Row {
    name: String,
    input: Input,
    expected: Expected,
}

#[derive(Deserialize)]
struct Input {
    fbclid: Option<String>,
    cookies: BTreeMap<String, String>,
    cookie_domain: String,
}

#[derive(Deserialize)]
struct Expected {
    fbc: Option<String>,
    fbp: Option<String>,
}

/// What the platform's library made, less the appendix that it minted itself.
fn unminted(made: Option<String>, cookie: Option<&str>) -> Option<String> {
    let made = made?;
    if cookie == Some(made.as_str()) {
        return Some(made);
    }
    let appendix = ClickCookie::parse(&made)?.appendix?;
    Some(made.strip_suffix(appendix)?.strip_suffix('.')?.to_owned())
}

#[test]
fn every_recorded_row_holds() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../fixtures/meta_cookies.json")).unwrap();
    assert_eq!(rows.len(), 13);
    for row in rows {
        let index = subdomain_index(&row.input.cookie_domain);
        let cookie = |name: &str| row.input.cookies.get(name).map(String::as_str);
        let fbc = choose_fbc(cookie("_fbc"), row.input.fbclid.as_deref(), SEEN_MS, index);
        let fbp = valid_fbp(cookie("_fbp")).map_or_else(|| make_fbp(index, SEEN_MS, RANDOM), str::to_owned);
        assert_eq!(fbc, unminted(row.expected.fbc, cookie("_fbc")), "{}", row.name);
        assert_eq!(Some(fbp), unminted(row.expected.fbp, cookie("_fbp")), "{}", row.name);
    }
}

#[test]
fn an_appendix_is_told_from_the_payload() {
    for (value, expected) in [
        ("fb.1.1700000000000.AbC", Some(("AbC", None))),
        ("fb.1.1700000000000.AbC.AQQCAQMC", Some(("AbC", Some("AQQCAQMC")))),
        ("fb.1.1700000000000.AbC.Bg", Some(("AbC", Some("Bg")))),
        // A payload with dots is kept whole.
        ("fb.1.1700000000000.A.b.C", Some(("A.b.C", None))),
        ("fb.1.1700000000000.A.b.C.AQQCAQMC", Some(("A.b.C", Some("AQQCAQMC")))),
        ("fb.1.1700000000000.AbC.defgh", Some(("AbC.defgh", None))),
        ("fb.1.1700000000000.AQQCAQMC", Some(("AQQCAQMC", None))),
        // The length of an appendix, but another format, an unknown library, or not base64url.
        ("fb.1.1700000000000.AbC.BQQCAQMC", None),
        ("fb.1.1700000000000.AbC.AQcCAQMC", None),
        ("fb.1.1700000000000.AbC.AQACAQMC", None),
        ("fb.1.1700000000000.AbC.AQQCAQ+C", None),
        ("fb.1.1700000000000.AbC.ZZ", None),
        ("fb.1.1700000000000.", None),
        ("fb.1.1700000000000..AQQCAQMC", None),
        ("fb.1.1700000000000", None),
        ("fb..1700000000000.AbC", None),
        ("fb.1..AbC", None),
        ("fb.+1.1700000000000.AbC", None),
        ("fb.1.-5.AbC", None),
        ("fb.1.99999999999999999999.AbC", None),
        ("FB.1.1700000000000.AbC", None),
        ("fb.1.1700000000000.A\nC", None),
        ("", None),
    ] {
        let parsed = ClickCookie::parse(value).map(|cookie| (cookie.payload, cookie.appendix));
        assert_eq!(parsed, expected, "{value:?}");
    }
    assert_eq!(ClickCookie::parse(&format!("fb.1.1.{}", "a".repeat(COOKIE_BYTES_MAX))), None);
    let cookie = ClickCookie::parse("fb.2.1700000000000.AbC").unwrap();
    assert_eq!((cookie.subdomain_index, cookie.created_ms), (2, 1_700_000_000_000));
}

#[test]
fn the_same_click_keeps_its_cookie_to_the_byte() {
    let old = "fb.1.1700000000000.AbC.AQQCAQMC";
    for (cookie, fbclid, expected) in [
        (Some(old), Some("AbC"), Some(old)),
        (Some(old), None, Some(old)),
        (Some(old), Some(""), Some(old)),
        // A referrer may carry the click id with an appendix.
        (Some("fb.1.1700000000000.AbC"), Some("AbC.AQQAAQMC"), Some("fb.1.1700000000000.AbC")),
        (Some(old), Some("aBC"), Some("fb.1.1764201600000.aBC")),
        (Some("fb.1.x.AbC"), Some("AbC"), Some("fb.1.1764201600000.AbC")),
        (Some("fb.1.x.AbC"), None, None),
        (None, Some("-_A.b"), Some("fb.1.1764201600000.-_A.b")),
        (None, None, None),
    ] {
        assert_eq!(choose_fbc(cookie, fbclid, SEEN_MS, 1).as_deref(), expected, "{cookie:?} {fbclid:?}");
    }
}

#[test]
fn what_cannot_be_a_click_id_makes_no_cookie() {
    assert_eq!(make_fbc(1, SEEN_MS, ""), None);
    assert_eq!(make_fbc(1, SEEN_MS, "a\0b"), None);
    assert_eq!(make_fbc(1, -1, "abc"), None);
    assert_eq!(make_fbc(1, SEEN_MS, &"a".repeat(COOKIE_BYTES_MAX + 1)), None);
}

#[test]
fn a_browser_number_has_31_bits() {
    assert_eq!(make_fbp(1, SEEN_MS, RANDOM), "fb.1.1764201600000.1116446470");
    assert_eq!(make_fbp(0, SEEN_MS, u32::MAX), "fb.0.1764201600000.2147483647");
}

#[test]
fn the_index_counts_the_labels_of_the_cookie_domain() {
    for (domain, index) in [
        ("com", 0),
        ("example.com", 1),
        (".example.com", 1),
        ("example.com.", 1),
        ("www.example.com", 2),
        ("localhost", 0),
        ("127.0.0.1", 0),
        ("[::1]", 0),
        ("::1", 0),
        ("", 0),
    ] {
        assert_eq!(subdomain_index(domain), index, "{domain:?}");
    }
}

proptest! {
    #[test]
    fn a_click_id_survives_to_the_byte(fbclid in "[A-Za-z0-9_-]{1,200}", ms in 0..i64::MAX, index in any::<u8>()) {
        let value = make_fbc(index, ms, &fbclid).unwrap();
        let expected = ClickCookie { subdomain_index: index, created_ms: ms, payload: &fbclid, appendix: None };
        prop_assert_eq!(ClickCookie::parse(&value), Some(expected));
        prop_assert_eq!(choose_fbc(Some(&value), Some(&fbclid), 1, 1), Some(value));
    }

    #[test]
    fn no_value_panics(value in any::<String>(), rest in "[A-Za-z0-9._-]{0,20}") {
        if let Some(cookie) = ClickCookie::parse(&value) {
            prop_assert!(value.starts_with("fb.") && !cookie.payload.is_empty());
        }
        let value = format!("fb.1.1.{rest}");
        if let Some(kept) = choose_fbc(Some(&value), None, 1, 1) {
            prop_assert_eq!(kept, value);
        }
    }
}
