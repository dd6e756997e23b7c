//! Who is found, who is not, and what is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::contract::{Contract, Terms};
use crate::event::OutboundEvent;
use crate::identity::sha256_hex;
use crate::ids::{ClickIdKey, GoalEventId};
use crate::time::Timestamp;

fn click_id() -> ClickId {
    ClickId::new(&ClickIdKey::new(&[7; 32]), Timestamp::from_millis(1_764_201_600_000), [9; 7])
}

fn ann() -> Person {
    let mut person = Person::default();
    assert!(person.add_email("Ann.Lee@gmail.com"));
    assert!(person.add_user("42"));
    assert!(person.add_click(&click_id().to_string().to_uppercase()));
    assert!(person.add_click("other-Tracker_77"));
    person
}

fn links() -> Names {
    Names::of_links(["visitor_id"].into_iter())
}

fn has(person: &Person, raw: &str) -> bool {
    person.has_bytes(raw.as_bytes(), &links())
}

#[test]
fn a_person_is_found_in_bytes_of_any_kind_and_nobody_else_is() {
    let person = ann();
    let click = click_id();
    // Google's form of the address has no dots; a hash in capitals is the same one.
    let hash = sha256_hex("annlee@gmail.com").to_uppercase();
    for own in [
        format!("cid={click}&payout=1"),
        format!("cid={}", click.to_string().to_uppercase()),
        "click_id=other-Tracker_77&x=1".to_owned(),
        "mail=ann.lee%40gmail.com".to_owned(),
        "m=ANN.LEE@GMAIL.COM".to_owned(),
        format!("em={hash}"),
        "external_id=42".to_owned(),
        "User_Id[]=42".to_owned(),
        r#"{"a":[{"user":{"external_id":"42"}}]}"#.to_owned(),
        r#"{"external_id":42}"#.to_owned(),
        "{\"x\":1}\n{\"note\":\"from ann.lee@gmail.com, today\"}".to_owned(),
        "ask ann.lee@gmail.com.".to_owned(),
    ] {
        assert!(has(&person, &own), "{own}");
    }
    for other in [
        "",
        "payout=42&sub1=42",
        "click_id=other-Tracker_778",
        "tid=other-Tracker_77&sub1=other-Tracker_77",
        "m=xann.lee@gmail.com",
        "m=bob@gmail.com",
        "external_id=421",
        r#"{"num_items":42,"order":"42"}"#,
        "\u{0}\u{ff}@",
    ] {
        assert!(!has(&person, other), "{other}");
    }
    let mut by_hash = Person::default();
    assert!(by_hash.add_email(&sha256_hex("ann.lee@gmail.com")));
    assert!(has(&by_hash, "m=Ann.Lee@gmail.com"), "whoever has only the hash finds the address");
}

#[test]
fn a_short_id_of_another_tracker_counts_only_where_a_click_id_stands() {
    let mut person = Person::default();
    assert!(person.add_click("77"));
    for own in [
        "click_id=77",
        "x=1&CLICKID=77",
        "visitor_id=77",
        "gclid=77",
        r#"{"data":{"click_id":"77"}}"#,
        r#"[{"click_id":77}]"#,
        r#"{"note_attributes":[{"name":"click_id","value":"77"}]}"#,
        "url=https%3A%2F%2Fa.example%2F%3Fclick_id%3D77",
        "postback=%7B%22click_id%22%3A%2277%22%7D",
    ] {
        assert!(has(&person, own), "{own}");
    }
    for other in [
        "tid=77&payout=77",
        "sub1=77",
        "cid=77",
        "77",
        r#"{"id":"77","amount":77,"click_id":"778"}"#,
        "url=https%3A%2F%2Fa.example%2F%3Fp%3D77",
    ] {
        assert!(!has(&person, other), "{other}");
    }
    // One that nobody has by chance counts everywhere: many networks hand it back as the order's.
    let uuid = "0b9c1f9e-52d0-4f9f-8f42-8a4f3f0f9f11";
    assert!(person.add_click(uuid));
    assert!(has(&person, &format!("tid={uuid}")) && has(&person, &format!(r#"{{"order":"{uuid}"}}"#)));
}

#[test]
fn an_alias_that_was_found_counts_in_calls_and_not_in_links() {
    let mut person = Person::default();
    assert!(person.add_click(&click_id().to_string()) && person.is_known_by_clicks_only());
    assert!(person.add_alias("77") && !person.add_alias(" 77 "));
    assert!(person.is_known_by_clicks_only(), "it stands for a click that is known");
    let other = ClickId::new(&ClickIdKey::new(&[7; 32]), Timestamp::from_millis(5), [1; 7]);
    let of = |id: ClickId, query: &str| Click { query: query.to_owned(), ..left::click(&anybody(), id) };
    assert!(!person.has_click(&of(other, "click_id=77"), &links()));
    assert!(person.has_click(&of(click_id(), ""), &links()));
    assert!(has(&person, "click_id=77") && !has(&person, "tid=77"));
    assert!(person.add_click("78") && !person.is_known_by_clicks_only());
    assert!(person.has_click(&of(other, "click_id=78"), &links()), "one that was named counts in links too");
}

fn anybody() -> Click {
    Click {
        id: click_id(),
        at: Timestamp::from_millis(5),
        campaign: "summer".into(),
        source: "meta".into(),
        query: String::new(),
        target: String::new(),
        ip: None,
        in_europe: None,
        user_agent: String::new(),
        referrer: String::new(),
        language: String::new(),
        fbc_cookie: String::new(),
        fbp_cookie: String::new(),
        ad_click_ids: crate::click::AdClickIds::default(),
        cost: None,
        gpc: false,
        test: false,
        labels: Vec::new(),
        way: None,
    }
}

#[test]
fn in_a_call_the_names_of_the_contract_count() {
    let mut own = Terms::default();
    for (field, theirs) in
        [("click_id", "aff_sub"), ("external_id", "data.member"), ("transaction_id", "cid")]
    {
        own.params.insert(field.to_owned(), vec![theirs.to_owned()]);
    }
    let contract = Contract::new(&own, &Terms::default());
    let names = Names::of_calls(Some(&contract));
    let mut person = Person::default();
    assert!(person.add_click("77") && person.add_user("42"));
    for own in ["AFF_SUB=77", "subid=77", r#"{"data":{"member":"42"}}"#, "user_id=42"] {
        assert!(person.has_bytes(own.as_bytes(), &names), "{own}");
    }
    for other in ["cid=77", r#"{"data":{"id":"42","aff_sub":"77"}}"#, "member=42"] {
        assert!(!person.has_bytes(other.as_bytes(), &names), "{other}");
    }
    assert!(person.has_bytes(b"cid=77", &Names::of_calls(None)), "an accepted name, which no contract takes");
    let twice = Terms { encoding: Some(crate::contract::Encoding::Twice), ..Terms::default() };
    let names = Names::of_calls(Some(&Contract::new(&twice, &Terms::default())));
    assert!(person.add_user("a/b") && person.has_bytes(b"external_id=a%252Fb", &names));
}

#[test]
fn what_was_found_since_is_looked_for_alone() {
    let (before, mut known) = (ann(), ann());
    let key = DedupeKey { partner: "acme".into(), key: "t:o1".into() };
    assert!(known.add_name(&key));
    assert!(known.without(&before).is_known_by_names_only());
    assert!(known.add_alias("other-99"));
    let fresh = known.without(&before);
    assert!(fresh.is_nobody() && !fresh.is_known_by_names_only());
    let own = "click_id=other-Tracker_77";
    assert!(has(&before, own) && !has(&fresh, own));
    assert!(!before.is_known_by_names_only());
}

#[test]
fn what_names_nobody_is_no_mark() {
    let mut person = Person::default();
    for nothing in ["", "  ", "a\u{0}b"] {
        assert!(!person.add_click(nothing) && !person.add_user(nothing) && !person.add_email(nothing));
    }
    assert!(!person.add_email("no address") && !person.add_user(&"x".repeat(MARK_BYTES_MAX + 1)));
    assert!(person.is_nobody());
    assert!(!has(&person, "external_id=&cid="));
    let person = ann();
    assert_eq!(person.subject(), "click, contact, user");
    assert!(!format!("{person:?}").contains("42"));
    let kept: Person = serde_json::from_slice(&serde_json::to_vec(&person).unwrap()).unwrap();
    assert_eq!(kept, person);
}

#[test]
fn an_order_is_the_persons_unless_it_is_one_within_its_click_only() {
    let named = |key: &str, transaction: Option<&str>| {
        let key = DedupeKey { partner: "acme".into(), key: key.into() };
        order(&key, transaction).map(str::to_owned)
    };
    for key in ["t:o1", "t:o1\nlead", "t:o1\n#e:77", "t:o1\nlead\n#r:5:::"] {
        assert_eq!(named(key, Some("o1")).as_deref(), Some("o1"), "{key}");
    }
    for (key, transaction) in
        [("t:o1\n\nclick", Some("o1")), ("c:click", Some("o1")), ("c:click", None), ("t:o12", Some("o1"))]
    {
        assert_eq!(named(key, transaction), None, "{key}");
    }
}

#[test]
fn of_an_event_stays_its_name_and_its_money() {
    let id = GoalEventId::new(Timestamp::from_millis(5), [1; 10]);
    let mut full = OutboundEvent {
        event_name: "Purchase".into(),
        event_id: "e-1".into(),
        value: Some("12.34".into()),
        currency: Some("USD".into()),
        event_source_url: Some("https://shop.example/thanks".into()),
        ..OutboundEvent::default()
    };
    full.contact.email.push(sha256_hex("ann.lee@gmail.com"));
    full.visitor.client_ip_address = Some("192.0.2.7".into());
    full.origin.external_id = "42".into();
    full.origin.transaction_id = "T-1".into();
    full.origin.click_id = click_id().to_string();
    full.origin.payout = "12.34".into();
    full.custom.insert("order_id".into(), "T-1".into());
    let left = event(id, &full);
    let text = serde_json::to_string(&left).unwrap();
    for gone in ["e-1", "shop.example", "192.0.2.7", "42", "T-1", &click_id().to_string(), "em"] {
        assert!(!text.contains(&format!("\"{gone}")), "{gone}: {text}");
    }
    assert_eq!((left.value.as_deref(), left.origin.payout.as_str()), (Some("12.34"), "12.34"));
    assert!(left.origin.erased);
    assert_eq!(event(id, &left), left, "twice is once");
}
