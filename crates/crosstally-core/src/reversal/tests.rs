//! What overtakes an adjustment that says that nothing is left.

use super::*;
use crate::conversion::DedupeKey;
use crate::identity::Contact;
use crate::ids::ConversionId;
use crate::ledger::Balance;

fn standing(status: Status) -> Conversion {
    Conversion {
        id: ConversionId::from_bytes([0; 16]),
        key: DedupeKey { partner: String::new(), key: String::new() },
        transaction_id: None,
        event: None,
        click: None,
        campaign: String::new(),
        source: String::new(),
        status,
        currency: Config::empty().workspace.base_currency,
        amounts: Amounts::default(),
        balance: Balance::default(),
        fx: None,
        base: Balance::default(),
        movements: 4,
        event_time: Timestamp::default(),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        event_id: None,
        external_id: None,
        contact: Contact::default(),
        goals_met: Vec::new(),
        labels: Vec::new(),
    }
}

/// An adjustment of an event, by its movement: the status that it tells and what it leaves.
type Told<'a> = (&'a str, u32, Status, Option<&'a str>);

fn told((event, movement, status, left): Told<'_>) -> OutboundEvent {
    let left = left.map(str::to_owned);
    let mut told = OutboundEvent {
        adjustment: Some(Adjustment { event: event.into(), movement, left, ..Adjustment::default() }),
        ..OutboundEvent::default()
    };
    told.origin.status = status.as_str().into();
    told
}

fn booked(event: OutboundEvent) -> GoalEvent {
    GoalEvent {
        id: GoalEventId::from_bytes([1; 16]),
        conversion: ConversionId::from_bytes([0; 16]),
        goal: "purchase".into(),
        sequence: 0,
        event,
        created_at: Timestamp::default(),
    }
}

#[test]
fn only_what_says_that_nothing_is_left_is_overtaken_and_only_by_what_came_later() {
    use Status::{Approved, Hold, Lead, Rejected, Reversed};
    let rejected: Told<'_> = ("a", 2, Rejected, Some("0.00"));
    let paid_back: Told<'_> = ("a", 2, Approved, Some("0"));
    let lead: Told<'_> = ("a", 2, Rejected, None);
    let cases: [(&str, Told<'_>, Status, &[Told<'_>], bool); 17] = [
        ("still rejected", rejected, Rejected, &[], false),
        ("taken back otherwise", rejected, Reversed, &[], false),
        ("approved again", rejected, Approved, &[], true),
        ("on hold again", rejected, Hold, &[], true),
        ("a lead again, which never had a value", lead, Lead, &[], true),
        ("a lead that is still rejected", lead, Rejected, &[], false),
        ("reversed, and approved again", ("a", 2, Reversed, Some("0.00")), Approved, &[], true),
        ("all paid back, and never refused", paid_back, Approved, &[], false),
        ("something left again", paid_back, Approved, &[("a", 3, Approved, Some("4.00"))], true),
        ("something left again, meanwhile", rejected, Rejected, &[("a", 3, Approved, Some("4.00"))], true),
        ("no value known, but approved, meanwhile", rejected, Rejected, &[("a", 3, Approved, None)], true),
        ("nothing left again", rejected, Rejected, &[("a", 3, Reversed, Some("0.00"))], false),
        ("all paid back once more", paid_back, Approved, &[("a", 3, Approved, Some("0.0"))], false),
        ("something was left before", rejected, Rejected, &[("a", 1, Approved, Some("4.00"))], false),
        ("another event has something left", paid_back, Approved, &[("b", 3, Approved, Some("4.00"))], false),
        ("told elsewhere of the same", paid_back, Approved, &[("a", 2, Approved, Some("4.00"))], false),
        (
            "a part was left",
            ("a", 2, Approved, Some("4.00")),
            Approved,
            &[("a", 3, Approved, Some("5.00"))],
            false,
        ),
    ];
    for (what, event, now, others, expected) in cases {
        let events: Vec<GoalEvent> = others.iter().map(|other| booked(told(*other))).collect();
        assert_eq!(is_overtaken(&told(event), &standing(now), &events), expected, "{what}");
    }
    // An event that adjusts nothing is never overtaken, whatever it tells.
    let mut original = told(rejected);
    original.adjustment = None;
    assert!(!is_overtaken(&original, &standing(Approved), &[]));
}
