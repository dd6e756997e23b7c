//! Who is found, who is not, and what is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
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

#[test]
fn a_person_is_found_in_bytes_of_any_kind_and_nobody_else_is() {
    let person = ann();
    let click = click_id();
    // Google's form of the address has no dots; a hash in capitals is the same one.
    let hash = sha256_hex("annlee@gmail.com").to_uppercase();
    for own in [
        format!("cid={click}&payout=1"),
        format!("cid={}", click.to_string().to_uppercase()),
        "click=other-Tracker_77&x=1".to_owned(),
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
        assert!(person.has_bytes(own.as_bytes()), "{own}");
    }
    for other in [
        "",
        "payout=42&sub1=42",
        "click=other-Tracker_778",
        "m=xann.lee@gmail.com",
        "m=bob@gmail.com",
        "external_id=421",
        r#"{"num_items":42,"order":"42"}"#,
        "\u{0}\u{ff}@",
    ] {
        assert!(!person.has_bytes(other.as_bytes()), "{other}");
    }
    let mut by_hash = Person::default();
    assert!(by_hash.add_email(&sha256_hex("ann.lee@gmail.com")));
    assert!(by_hash.has_bytes(b"m=Ann.Lee@gmail.com"), "whoever has only the hash finds the address");
}

#[test]
fn what_names_nobody_is_no_mark() {
    let mut person = Person::default();
    for nothing in ["", "  ", "a\u{0}b"] {
        assert!(!person.add_click(nothing) && !person.add_user(nothing) && !person.add_email(nothing));
    }
    assert!(!person.add_email("no address") && !person.add_user(&"x".repeat(MARK_BYTES_MAX + 1)));
    assert!(person.is_nobody());
    assert!(!person.has_bytes(b"external_id=&cid="));
    let person = ann();
    assert_eq!(person.subject(), "click, contact, user");
    assert!(!format!("{person:?}").contains("42"));
    let kept: Person = serde_json::from_slice(&serde_json::to_vec(&person).unwrap()).unwrap();
    assert_eq!(kept, person);
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
