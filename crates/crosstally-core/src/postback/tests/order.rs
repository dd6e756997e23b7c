//! What follows what: refunds and their sales, retries and changes of mind, calls that came at once.

use super::*;
use crate::contract::{Negative, ReversalAmount};
use crate::ledger::{Balance, ContentHash};
use crate::money::Currency;
use crate::postback::movement::{self, Placed, Said, Step};

fn with(change: impl FnOnce(&mut Terms)) -> Story {
    let mut partner = partner();
    set(&mut partner, change);
    Story::new(partner)
}

fn confirmed(story: &Story) -> i64 {
    Balance::of(&story.entries).confirmed
}

/// Calls with their verdict, their reason, and what is confirmed after each.
fn tell(story: &mut Story, calls: &[(&str, Verdict, Option<Reason>, i64)]) {
    for (query, verdict, reason, minor) in calls {
        let booking = story.call(query);
        let told = (booking.receipt.verdict, booking.receipt.reason, confirmed(story));
        let expected = (*verdict, *reason, *minor);
        let reason_of_a_new_one = reason.is_none() && *verdict == Verdict::Recorded;
        if reason_of_a_new_one {
            assert_eq!((told.0, told.2), (expected.0, expected.2), "{query}");
        } else {
            assert_eq!(told, expected, "{query}");
        }
    }
}

#[test]
fn a_part_that_is_paid_back_is_taken_off_whatever_field_it_comes_in() {
    use Verdict::{Duplicate, Recorded, Updated};
    let part = |own: &mut Terms| {
        own.reversal = Some(ReversalAmount::Part);
        own.negative = Some(Negative::Reversal);
    };
    tell(
        &mut with(part),
        &[
            ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
            ("tid=T1&status=reversed&revenue=3", Updated, None, 700),
            ("tid=T1&status=reversed&revenue=3", Duplicate, Some(Reason::SameContent), 700),
            ("tid=T1&revenue=-2", Updated, None, 500),
            ("tid=T1&status=reversed&revenue=5&part=last", Updated, None, 0),
            // Nothing is left to pay back.
            ("tid=T1&status=reversed&payout=1", Duplicate, Some(Reason::SameContent), 0),
        ],
    );
    tell(
        &mut with(part),
        &[
            ("tid=T1&status=approved&revenue=10", Recorded, None, 1000),
            ("tid=T1&status=reversed&payout=4", Updated, None, 600),
        ],
    );
    // Who pays the whole order back leaves no commission.
    tell(
        &mut with(part),
        &[
            ("tid=T1&status=approved&payout=10&revenue=100", Recorded, None, 1000),
            ("tid=T1&status=reversed&revenue=100", Updated, None, 0),
        ],
    );
    // What was refused before it was confirmed has nothing to take back.
    tell(
        &mut with(part),
        &[
            ("tid=T1&status=rejected&payout=10", Recorded, None, 0),
            ("tid=T1&status=reversed&payout=4", Verdict::Quarantined, Some(Reason::TransitionRefused), 0),
        ],
    );
}

#[test]
fn what_remains_after_a_refund_never_rises() {
    use Verdict::{Duplicate, Quarantined, Recorded, Updated};
    let mut story = with(|own| own.reversal = Some(ReversalAmount::Remaining));
    tell(
        &mut story,
        &[
            ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
            ("tid=T1&status=reversed&payout=12", Quarantined, Some(Reason::TransitionRefused), 1000),
            ("tid=T1&status=reversed&payout=4", Updated, None, 400),
            // It was overtaken by the one before it.
            ("tid=T1&status=reversed&payout=7", Quarantined, Some(Reason::TransitionRefused), 400),
            ("tid=T1&status=reversed&payout=4.00", Duplicate, Some(Reason::SameContent), 400),
            ("tid=T1&status=reversed&revenue=1", Updated, None, 100),
            ("tid=T1&status=reversed&payout=0", Updated, None, 0),
        ],
    );
}

#[test]
fn a_sale_that_is_approved_once_more_is_no_retry() {
    use Verdict::{Duplicate, Quarantined, Recorded, Updated};
    let calls = [
        ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
        ("tid=T1&status=rejected", Updated, None, 0),
        ("tid=T1&status=rejected", Duplicate, Some(Reason::SameContent), 0),
        ("tid=T1&status=approved&payout=10", Updated, None, 1000),
        ("tid=T1&status=approved&payout=10", Duplicate, Some(Reason::SameContent), 1000),
    ];
    tell(&mut Story::new(partner()), &calls);
    // Where no refused sale may be approved, it is a repeat as before.
    let mut story = with(|own| own.late_approvals = Some(false));
    tell(&mut story, &calls[..3]);
    tell(&mut story, &[("tid=T1&status=approved&payout=10", Duplicate, Some(Reason::SameContent), 0)]);
    tell(
        &mut story,
        &[("tid=T1&status=approved&payout=11", Quarantined, Some(Reason::TransitionRefused), 0)],
    );
    // Amounts that add up are added once for each call, not for each retry.
    let mut story = with(|own| own.duplicates = Some(DuplicateMode::Add));
    tell(
        &mut story,
        &[
            ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
            ("tid=T1&status=approved&payout=5", Updated, None, 1500),
            ("tid=T1&status=approved&payout=10", Duplicate, Some(Reason::SameContent), 1500),
        ],
    );
}

#[test]
fn a_refund_without_its_sale_waits_for_it() {
    let mut story = Story::new(partner());
    let refund = story.call("tid=T1&status=reversed&payout=10");
    assert_eq!(
        (refund.receipt.verdict, refund.receipt.reason),
        (Verdict::Quarantined, Some(Reason::SaleUnknown))
    );
    assert_eq!((refund.conversion, refund.entry), (None, None));
    let awaited = refund.receipt.awaits.unwrap();
    assert_eq!(awaited.to_string(), "sale:acme\nt:T1");
    assert_eq!(Awaited::from_text(&awaited.to_string()), Some(awaited));
    assert_eq!(story.call("tid=T1&status=approved&payout=10").receipt.verdict, Verdict::Recorded);
}

#[test]
fn a_row_of_a_file_is_the_same_row_after_years() {
    let row = |number: u32| format!("tid=T1&status=approved&payout=10&import_row=5a1f:{number}");
    let mut story = with(|own| own.duplicates = Some(DuplicateMode::Add));
    story.call(&row(1));
    assert_eq!(story.call(&row(2)).receipt.verdict, Verdict::Updated, "two equal rows of one file are two");
    for entry in &mut story.entries {
        entry.receipt = ReceiptId::new(NOW.plus_millis(-400 * DAY_MS), *b"0123456789");
    }
    let again = story.call(&row(1));
    assert_eq!(
        (again.receipt.verdict, again.receipt.reason),
        (Verdict::Duplicate, Some(Reason::SameContent))
    );
    story.call("tid=T1&status=rejected");
    let again = story.call(&row(2));
    assert_eq!(again.receipt.verdict, Verdict::Duplicate, "whatever became of the sale meanwhile");
}

#[test]
fn nothing_is_nothing_in_any_currency() {
    use Verdict::{Duplicate, Quarantined, Recorded, Updated};
    tell(
        &mut Story::new(partner()),
        &[
            ("tid=T1&status=lead&payout=0", Recorded, None, 0),
            ("tid=T1&status=approved&payout=10&currency=EUR", Updated, None, 1000),
            (
                "tid=T1&status=approved&payout=11&currency=USD",
                Quarantined,
                Some(Reason::CurrencyChanged),
                1000,
            ),
            ("tid=T1&status=rejected", Updated, None, 0),
            ("tid=T1&status=rejected&n=2", Duplicate, Some(Reason::SameContent), 0),
        ],
    );
}

#[test]
fn a_refund_that_is_tried_again_is_booked_once() {
    use Verdict::{Duplicate, Recorded, Updated};
    let part = |own: &mut Terms| own.reversal = Some(ReversalAmount::Part);
    // A part of what was open, and the approval in between.
    tell(
        &mut with(part),
        &[
            ("tid=T1&status=hold&payout=10", Recorded, None, 0),
            ("tid=T1&status=reversed&payout=3", Updated, None, 0),
            ("tid=T1&status=approved", Updated, None, 700),
            ("tid=T1&status=reversed&payout=3", Duplicate, Some(Reason::SameContent), 700),
        ],
    );
    // What is sold once more is paid back once more; the first sale's late retry sells nothing.
    tell(
        &mut Story::new(partner()),
        &[
            ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
            ("tid=T1&status=reversed", Updated, None, 0),
            ("tid=T1&status=approved&payout=10", Duplicate, Some(Reason::SameContent), 0),
            ("tid=T1&status=approved&payout=10&n=2", Updated, None, 1000),
            ("tid=T1&status=reversed", Updated, None, 0),
            ("tid=T1&status=reversed", Duplicate, Some(Reason::SameContent), 0),
            ("tid=T1&status=approved&payout=10&n=2", Duplicate, Some(Reason::SameContent), 0),
        ],
    );
}

#[test]
fn a_part_of_what_was_sold_again_is_paid_back_once_more() {
    use Verdict::{Duplicate, Recorded, Updated};
    tell(
        &mut with(|own| own.reversal = Some(ReversalAmount::Part)),
        &[
            ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
            ("tid=T1&status=reversed&payout=4", Updated, None, 600),
            ("tid=T1&status=reversed&payout=6", Updated, None, 0),
            ("tid=T1&status=reversed&payout=4", Duplicate, Some(Reason::SameContent), 0),
            ("tid=T1&status=approved&payout=10&n=1", Updated, None, 1000),
            ("tid=T1&status=reversed&payout=4", Updated, None, 600),
            ("tid=T1&status=reversed&payout=4", Duplicate, Some(Reason::SameContent), 600),
        ],
    );
}

#[test]
fn what_is_refused_or_paid_back_adds_nothing_up() {
    use Verdict::{Duplicate, Recorded, Updated};
    let adds = |own: &mut Terms| own.duplicates = Some(DuplicateMode::Add);
    for refused in ["reversed", "rejected"] {
        let mut story = with(adds);
        let first = if refused == "reversed" { ("approved", 1000) } else { ("lead", 0) };
        let again = format!("tid=T1&status={refused}&payout=10&n=1");
        tell(
            &mut story,
            &[
                (&format!("tid=T1&status={}&payout=10", first.0), Recorded, None, first.1),
                (&format!("tid=T1&status={refused}&payout=10"), Updated, None, 0),
                (&again, Duplicate, Some(Reason::SameContent), 0),
                ("tid=T1&status=approved&n=2", Updated, None, 1000),
            ],
        );
    }
    // What is open adds up as before.
    let mut story = with(adds);
    story.call("tid=T1&status=hold&payout=10");
    story.call("tid=T1&status=hold&payout=10&n=1");
    story.call("tid=T1&status=approved");
    assert_eq!(confirmed(&story), 2000);
}

#[test]
fn a_refund_takes_nothing_that_its_sale_does_not_know() {
    use Verdict::{Recorded, Updated};
    let mut story = with(|own| {
        own.reversal = Some(ReversalAmount::Remaining);
        own.value = Some(ValueOf::Revenue);
    });
    tell(
        &mut story,
        &[
            ("tid=T1&status=approved&payout=10", Recorded, None, 1000),
            ("tid=T1&status=reversed&payout=5&revenue=80", Updated, None, 500),
        ],
    );
    let mut story = with(|own| {
        own.reversal = Some(ReversalAmount::Part);
        own.negative = Some(Negative::Reversal);
    });
    tell(
        &mut story,
        &[
            ("tid=T1&status=approved&payout=10&revenue=100", Recorded, None, 1000),
            ("tid=T1&payout=-3&revenue=100", Updated, None, 700),
        ],
    );
}

fn call(ms: i64, number: u8, status: Status, payout: i64, live: Option<(u32, bool)>) -> Placed {
    let said = Said {
        status,
        currency: "USD".parse::<Currency>().unwrap(),
        currency_stated: true,
        amounts: Amounts { payout: Some(payout), revenue: None, value: None },
        at: NOW.plus_millis(ms),
        content: ContentHash::from_bytes([number; 16]),
        once: false,
    };
    let receipt = ReceiptId::new(said.at, [number; 10]);
    Placed { receipt, said, mode: DuplicateMode::Update, live, booked: None }
}

#[test]
fn calls_that_were_judged_when_they_came_keep_their_order() {
    use Status::{Approved, Hold};
    // The one that was made last was booked first; the one in between was repaired, and goes by its time.
    let mut calls = [
        call(0, 1, Approved, 100, Some((3, false))),
        call(0, 2, Approved, 200, Some((1, true))),
        call(0, 3, Hold, 300, None),
        call(0, 4, Approved, 400, Some((1, false))),
        call(9, 5, Approved, 500, None),
    ];
    movement::put_in_order(&mut calls);
    let order: Vec<u8> = calls.iter().map(|call| call.said.content.as_bytes()[0]).collect();
    assert_eq!(order, [4, 2, 3, 1, 5]);
    let (standing, _) = movement::fold(&calls[..4], Vec::new(), &partner().contract);
    assert_eq!(standing.unwrap().amounts.value, Some(100), "the one that was booked last");
}

#[test]
fn a_refund_that_came_ahead_follows_its_sale() {
    use Status::{Approved, Hold, Reversed};
    let contract = partner().contract;
    let calls = [
        call(0, 1, Reversed, 100, None),
        call(1, 2, Hold, 100, None),
        call(2, 3, Approved, 100, None),
        call(3, 4, Approved, 100, None),
    ];
    let (standing, steps) = movement::fold(&calls[..2], Vec::new(), &contract);
    assert_eq!(steps[0], Step::Blocked(Reason::SaleUnknown), "what is open is no sale yet");
    assert_eq!(standing.unwrap().status, Hold);
    let (standing, steps) = movement::fold(&calls[..3], Vec::new(), &contract);
    assert_eq!(standing.unwrap().status, Reversed);
    assert!(steps.iter().all(|step| matches!(step, Step::Moves(_))), "{steps:?}");
    // Another call after both says what it says.
    let (standing, _) = movement::fold(&calls, Vec::new(), &contract);
    assert_eq!(standing.unwrap().status, Approved);
}

#[test]
fn a_repeat_from_before_a_waiting_refund_was_booked_stays_one() {
    use Status::{Approved, Reversed};
    let contract = partner().contract;
    let refund = |place| Placed { booked: Some(place), ..call(0, 1, Reversed, 100, None) };
    let sale = call(1, 2, Approved, 100, Some((1, false)));
    // In other words than the sale, so that nothing but its place makes it a repeat.
    let repeat = call(2, 3, Approved, 100, Some((1, true)));
    let (standing, steps) = movement::fold(&[refund((2, false)), sale, repeat], Vec::new(), &contract);
    assert_eq!(standing.unwrap().status, Reversed);
    assert!(
        matches!(steps[..], [Step::Moves(_), Step::Moves(_), Step::Same(Reason::SameContent)]),
        "{steps:?}"
    );
    // What moved the conversion, or was judged after the refund was booked, comes after the refund.
    for later in [(2, false), (2, true)] {
        let later = Placed { live: Some(later), ..repeat };
        let calls = [refund((2, false)), sale, later];
        let (standing, _) = movement::fold(&calls, Vec::new(), &contract);
        assert_eq!(standing.unwrap().status, Approved, "{later:?}");
    }
    // A repeat that says more than the sale is none of the sale.
    let more = call(2, 3, Approved, 200, Some((1, true)));
    let (standing, _) = movement::fold(&[refund((2, false)), sale, more], Vec::new(), &contract);
    assert_eq!(standing.unwrap().amounts.value, Some(200));
}
