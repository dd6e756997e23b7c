#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::ids::ClickIdKey;

const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);
const RANDOM: u32 = 1_116_446_470;

fn key(name: &str) -> DedupeKey {
    DedupeKey { partner: "acme".into(), key: name.into() }
}

fn event(at: i64, name: &str, id: &str, order: Option<&str>) -> BrowserEvent {
    BrowserEvent {
        click: ClickId::new(&ClickIdKey::new(&[7; 32]), NOW, [1; 7]),
        name: name.into(),
        event_id: id.into(),
        at: NOW.plus_millis(at),
        received_at: NOW.plus_millis(at),
        campaign: "shop".into(),
        transaction_id: order.map(str::to_owned),
        page: format!("https://shop.example/{id}"),
        fbc: String::new(),
        fbp: String::new(),
        ip: Some("203.0.113.9".parse().unwrap()),
        in_europe: None,
        user_agent: "agent".into(),
        consent: Consent::default(),
        fields: Map::new(),
        taken_by: None,
    }
}

fn chosen(events: &[BrowserEvent], conversion: &str, order: Option<&str>, names: &[&str]) -> Option<String> {
    let wanted = Wanted { key: &key(conversion), transaction_id: order, event_id: None, names };
    choose(events, wanted).map(|event| event.event_id.clone())
}

#[test]
fn the_id_that_a_call_names_is_the_events_and_no_other_is_taken_for_it() {
    let events = [
        event(1, "Lead", "a", None),
        event(2, "Purchase", "a", None),
        event(3, "Purchase", "b", Some("T9")),
        event(4, "PageView", "v", None),
    ];
    let asked = |id, order: Option<&str>| {
        let key = key("T1");
        let wanted = Wanted { key: &key, transaction_id: order, event_id: Some(id), names: &["Purchase"] };
        choose(&events, wanted).map(|event| (event.name.clone(), event.event_id.clone()))
    };
    let pair = |name: &str, id: &str| Some((name.to_owned(), id.to_owned()));
    assert_eq!(asked("a", None), pair("Purchase", "a"), "the one of its name");
    assert_eq!(asked("b", Some("T1")), pair("Purchase", "b"));
    assert_eq!(asked("c", None), None, "the first action is left to whoever has its id");
    assert_eq!(asked("v", None), None);
}

#[test]
fn a_conversion_has_the_event_of_its_order_then_of_its_name_then_the_first_action() {
    let events = [
        event(0, "PageView", "v", None),
        event(1, "Lead", "l", None),
        event(2, "Purchase", "p1", Some("T1")),
        event(3, "Purchase", "p2", Some("T2")),
        event(4, "Upsell", "u2", Some("T2")),
    ];
    let id = |order, names: &[&str]| chosen(&events, "k", order, names);
    assert_eq!(id(Some("T2"), &["Purchase"]).as_deref(), Some("p2"));
    assert_eq!(id(Some("T2"), &["Upsell"]).as_deref(), Some("u2"));
    assert_eq!(id(Some("T1"), &["anything"]).as_deref(), Some("p1"));
    // Another order is never its own; the first action that names none is.
    assert_eq!(id(Some("T3"), &["Purchase"]).as_deref(), Some("l"));
    assert_eq!(id(None, &["purchase"]).as_deref(), Some("p1"), "names in any case");
    assert_eq!(id(None, &[]).as_deref(), Some("l"));
    assert_eq!(chosen(&events[..1], "k", None, &["PageView"]), None, "a look is no conversion");
}

#[test]
fn an_event_is_of_one_conversion_and_stays_with_it() {
    let mut events = vec![event(1, "Purchase", "a", None), event(2, "Purchase", "b", None)];
    events[0].taken_by = Some(key("one"));
    assert_eq!(chosen(&events, "one", None, &["Purchase"]).as_deref(), Some("a"));
    assert_eq!(chosen(&events, "two", None, &["Purchase"]).as_deref(), Some("b"));
    events[1].taken_by = Some(key("two"));
    assert_eq!(chosen(&events, "three", None, &["Purchase"]), None);
}

#[test]
fn what_was_seen_is_of_the_own_event_and_the_latest_word_counts() {
    let mut events = vec![event(1, "Purchase", "a", None), event(2, "PageView", "b", None)];
    events[0].fbc = "fb.1.1.X".into();
    events[1].fbp = "fb.1.1.5".into();
    events[1].page.clear();
    events[1].consent.ad_user_data = Some(Choice::Denied);
    let own = Glimpse::of(&events, events.first()).unwrap();
    assert_eq!(own.event_id.as_deref(), Some("a"));
    assert_eq!(own.page.as_deref(), Some("https://shop.example/a"));
    assert_eq!((own.fbc.as_deref(), own.fbp.as_deref()), (Some("fb.1.1.X"), Some("fb.1.1.5")));
    assert_eq!(own.consent.ad_user_data, Some(Choice::Denied));
    let other = Glimpse::of(&events, None).unwrap();
    assert_eq!((other.event_id, other.page.as_deref()), (None, Some("https://shop.example/a")));
    assert_eq!(Glimpse::of(&[], None), None);
}

#[test]
fn a_denial_stands_until_the_same_choice_is_made_anew() {
    let denied = Consent { ad_user_data: Some(Choice::Denied), ..Consent::default() };
    let others = [
        Consent { gpc: true, ..Consent::default() },
        Consent { ad_personalization: Some(Choice::Granted), ..Consent::default() },
        Consent { gdpr: Some("0".into()), ..Consent::default() },
    ];
    let said = |first: &Consent, then: &Consent, between: i64| {
        let mut events = [event(2, "Consent", "a", None), event(2 + between, "Lead", "b", None)];
        events[0].consent = first.clone();
        events[1].consent = then.clone();
        Glimpse::of(&events, None).unwrap().consent
    };
    for other in &others {
        for (first, then) in [(&denied, other), (other, &denied)] {
            let all = said(first, then, 1);
            assert_eq!(all, denied.clone().or(other.clone()), "{first:?}, then {then:?}");
        }
    }
    let granted = Consent { ad_user_data: Some(Choice::Granted), ..Consent::default() };
    assert_eq!(said(&denied, &granted, 1).ad_user_data, Some(Choice::Granted));
    assert_eq!(said(&granted, &denied, 1).ad_user_data, Some(Choice::Denied));
    assert_eq!(said(&denied, &granted, 0).ad_user_data, Some(Choice::Denied), "at once");
    assert_eq!(said(&denied, &granted, -1).ad_user_data, Some(Choice::Denied), "told later, said before");
}

#[test]
fn what_comes_later_is_not_the_first_whatever_it_says_of_its_time() {
    let mut events = [event(500, "Purchase", "own", None), event(0, "Purchase", "late", None)];
    events[1].received_at = NOW.plus_millis(900);
    assert_eq!(chosen(&events, "k", None, &["Purchase"]).as_deref(), Some("own"));
}

#[test]
fn sites_are_hosts_and_never_everybodys() {
    for (site, host, has) in [
        ("shop.example", "shop.example", true),
        ("Shop.Example", "shop.example", true),
        ("shop.example", "www.shop.example", false),
        ("shop.example", "evilshop.example", false),
        ("*.shop.example", "www.shop.example", true),
        ("*.shop.example", "a.b.shop.example", true),
        ("*.shop.example", "shop.example", false),
        ("*.shop.example", "evilshop.example", false),
        ("*.shop.example", ".shop.example", false),
        ("localhost", "localhost", true),
        ("127.0.0.1", "127.0.0.1", true),
    ] {
        assert_eq!(Site::parse(site).unwrap().has(host), has, "{site} {host}");
    }
    for text in [
        "",
        "*",
        "*.com",
        "*.co.uk",
        "*.localhost",
        "https://a.example",
        "a.example:80",
        "a.example/p",
        "a b",
    ] {
        assert!(Site::parse(text).is_err(), "{text}");
    }
    assert_eq!(Site::parse("*.Shop.example").unwrap().to_string(), "*.shop.example");
}

#[test]
fn cookies_stand_under_the_widest_domain_of_the_owner() {
    for (host, domain) in [
        ("www.example.com", "example.com"),
        ("example.co.uk", "example.co.uk"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("me.github.io", "me.github.io"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ] {
        assert_eq!(cookie_domain(host), domain);
    }
    assert_eq!(registrable("co.uk"), None);
}

/// The rows of Meta's own builders, by the page's host: their naive splits are ours by the public-suffix list.
#[test]
fn meta_cookies_are_those_of_the_recorded_rows() {
    let f = |rest: &str| Some(format!("fb.{rest}"));
    let new = |index: u8, click: &str| f(&format!("{index}.1764201600000.{click}"));
    let long = "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk";
    let old = (Some("fb.1.1700000000000.AbC"), Some("fb.1.1700000000000.123456789"));
    let marked = (Some("fb.1.1700000000000.AbC.AQQCAQMC"), Some("fb.1.1700000000000.123456789.AQQCAQMC"));
    let broken = (Some("fb.1.1700000000000.AbC.ZZ"), Some("fb.1.1700000000000.5.ZZ"));
    let none = (None, None);
    let made = |index: u8| format!("fb.{index}.1764201600000.{RANDOM}");
    for (host, query, referrer, cookies, fbc, fbp) in [
        ("example.com", format!("fbclid={long}"), "", none, new(1, long), made(1)),
        ("example.co.uk", "fbclid=AbC".into(), "", none, new(2, "AbC"), made(2)),
        ("shop.example.co.uk", "fbclid=AbC".into(), "", none, new(2, "AbC"), made(2)),
        ("example.com", "fbclid=AbC".into(), "", old, f("1.1700000000000.AbC"), old.1.unwrap().into()),
        ("example.com", "fbclid=abc".into(), "", old, new(1, "abc"), old.1.unwrap().into()),
        (
            "example.com",
            "fbclid=AbC".into(),
            "",
            marked,
            f("1.1700000000000.AbC.AQQCAQMC"),
            marked.1.unwrap().into(),
        ),
        ("example.com", String::new(), "", none, None, made(1)),
        ("example.com", String::new(), "", broken, None, made(1)),
        ("example.com", String::new(), "", (None, Some("fb.1.abc.5")), None, made(1)),
        ("example.com", "fbclid=FromUrl".into(), "fbclid=FromRef", none, new(1, "FromUrl"), made(1)),
        ("example.com", String::new(), "fbclid=FromRef", none, new(1, "FromRef"), made(1)),
        ("example.com", "fbclid=".into(), "", none, None, made(1)),
        ("127.0.0.1", "fbclid=AbC".into(), "", none, new(0, "AbC"), made(0)),
        ("www.example.com", "fbclid=AbC".into(), "", none, new(1, "AbC"), made(1)),
    ] {
        let shown = Shown { host, query: &query, referrer_query: referrer, fbc: cookies.0, fbp: cookies.1 };
        assert_eq!(meta_cookies(shown, NOW, RANDOM), (fbc, fbp), "{host} {query}");
    }
}
