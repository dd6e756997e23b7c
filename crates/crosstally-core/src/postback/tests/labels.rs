//! Labels of booked calls, of their conversion, and what goals make of them.

use super::*;
use crate::fraud::{Often, Ranges, Seen, Sighting};
use crate::postback::replay::{Around, Case, replay};

fn seen(label: Reason, others: u32) -> Seen {
    let often = Often { more_than: 2, within_ms: DAY_MS };
    Seen { sighting: Sighting { key: [u8::try_from(others).unwrap(); 16], label, often, at: NOW }, others }
}

fn story(goal_when: &str) -> Story {
    let mut story = Story::new(partner());
    story.config.goals = vec![goal("purchase", goal_when, "Purchase")];
    story
}

#[test]
fn an_ordinary_call_has_no_labels_and_notes_nothing() {
    let booking = story("true").call("click_id=CLICK&tid=1&payout=1");
    assert_eq!(booking.receipt.labels, Vec::<String>::new());
    assert!(booking.sightings.is_empty() && !booking.relabelled);
}

#[test]
fn data_centres_and_floods_are_told_by_the_click() {
    let mut story = story("true");
    story.config.fraud.data_centres = Ranges::new(&["203.0.113.0/24".parse().unwrap()]);
    if let Some(click) = &mut story.click {
        click.ip = Some("203.0.113.9".parse().unwrap());
        click.labels = vec!["click_flood".into()];
    }
    let booking = story.call("click_id=CLICK&tid=1&status=lead");
    assert_eq!(booking.receipt.labels, ["data_centre", "click_flood"]);
    assert!(booking.relabelled);
    // A later call without the click has none of its own; the conversion keeps what it has.
    let later = story.call("tid=1&status=approved&payout=1");
    assert_eq!(later.receipt.labels, Vec::<String>::new());
    assert!(!later.relabelled);
    assert_eq!(later.conversion.unwrap().conversion().labels, ["data_centre", "click_flood"]);
}

#[test]
fn what_is_seen_too_often_is_labelled_and_noted() {
    let mut story = story("true");
    story.seen = vec![seen(Reason::RepeatedContact, 3), seen(Reason::RepeatedAddress, 2)];
    let booking = story.call("tid=1&payout=1");
    assert_eq!(booking.receipt.labels, ["repeated_contact"]);
    assert_eq!(booking.sightings, [[3; 16], [2; 16]]);
    let repeat = story.call("tid=1&payout=1");
    assert_eq!((repeat.receipt.verdict, repeat.sightings.len()), (Verdict::Duplicate, 0));
}

#[test]
fn a_goal_that_a_label_keeps_from_being_met_says_so() {
    let mut story = story("status == 'approved' && !('repeated_contact' in labels)");
    story.seen = vec![seen(Reason::RepeatedContact, 3)];
    let lead = story.call("tid=1&status=lead");
    assert!(!lead.receipt.goals[0].detail.contains("labels:"), "it is the status: {:?}", lead.receipt.goals);
    story.seen.clear();
    // The label is of an earlier call; the conversion still has it.
    let approved = story.call("tid=1&status=approved&payout=1");
    let decision = &approved.receipt.goals[0];
    assert_eq!(decision.reason, Reason::GoalNotMet);
    assert!(decision.detail.ends_with("its labels: repeated_contact"), "{}", decision.detail);
    let mut other = super::labels::story("labels.size() == 0 && size(labels) == 0");
    assert_eq!(other.call("tid=1&payout=1").receipt.goals[0].reason, Reason::GoalMet);
}

/// Reads the one receipt of a story again.
fn again(story: &Story, first: &Booking, query: &str) -> Booking {
    let partner = story.config.partners[0].clone();
    let postback = read(&query.replace("CLICK", &click().id.to_string()), &partner).unwrap();
    let around = Around {
        conversion: story.conversion.clone().unwrap(),
        entries: story.entries.clone(),
        receipts: vec![first.receipt.clone()],
        attributed: story.click.clone(),
    };
    let case = Case {
        receipt: &first.receipt,
        reading: Ok(&postback),
        old: Some(&around),
        new: Some(&around),
        click: story.click.as_ref(),
        seen: &[],
    };
    let mut context = Context {
        config: &story.config,
        partner: &partner,
        rates: &crate::fx::Rates::default(),
        measured: &[],
        key: &around.conversion.key,
        received_at: NOW,
        now: NOW.plus_millis(DAY_MS),
        max_age_ms: &|_, _| 7 * DAY_MS,
        mode: partner.contract.duplicates(None),
        random: &mut || [9; 10],
    };
    replay(&case, &mut context).booking
}

#[test]
fn labels_neither_vanish_nor_multiply_when_a_receipt_is_read_again() {
    let mut story = story("true");
    story.click = Some(Click { at: NOW.plus_millis(-1_000), labels: vec!["click_flood".into()], ..click() });
    story.seen = vec![seen(Reason::RepeatedContact, 3)];
    let first = story.call("click_id=CLICK&tid=1&payout=1");
    let labels = ["too_fast", "repeated_contact", "click_flood"];
    assert_eq!(first.receipt.labels, labels);
    let same = again(&story, &first, "click_id=CLICK&tid=1&payout=1");
    assert_eq!(same.receipt.labels, labels);
    // Another amount is another movement of the same receipt.
    let moved = again(&story, &first, "click_id=CLICK&tid=1&payout=2");
    assert_eq!(moved.receipt.labels, labels);
    assert_eq!(moved.conversion.as_ref().unwrap().conversion().labels, labels);
    assert!(!moved.relabelled);
    let twice = again(&story, &moved, "click_id=CLICK&tid=1&payout=3");
    assert_eq!(twice.receipt.labels, labels);
}
