#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

const MONTH_MS: i64 = 1_790_000_000_000;

/// A decision whose conversion has this number, that many hours after its first call.
fn decided(outcome: Outcome, number: u8, hours: i64) -> Decision {
    let at = Timestamp::from_millis(MONTH_MS);
    let receipt = |at: Timestamp| ReceiptId::new(at, [number; 10]);
    Decision {
        conversion: ConversionId::new(at, [number; 10]),
        first: receipt(at),
        receipt: receipt(at.plus_millis(hours * HOUR_MS)),
        outcome,
    }
}

fn numbers(decisions: &[Decision]) -> Vec<u8> {
    decisions.iter().map(|decision| decision.conversion.as_bytes()[15]).collect()
}

#[test]
fn a_decision_is_what_was_not_so_before() {
    use Status::{Approved, Hold, Lead, Rejected, Reversed};
    for (before, after, expected) in [
        (None, Lead, None),
        (Some(Lead), Hold, None),
        (None, Approved, Some(Outcome::Approved)),
        (Some(Lead), Approved, Some(Outcome::Approved)),
        (Some(Rejected), Approved, Some(Outcome::Approved)),
        // Another amount, or a sale won back.
        (Some(Approved), Approved, None),
        (Some(Reversed), Approved, None),
        (None, Rejected, Some(Outcome::Rejected)),
        (Some(Hold), Rejected, Some(Outcome::Rejected)),
        (Some(Approved), Rejected, Some(Outcome::Rejected)),
        (Some(Rejected), Rejected, None),
        (Some(Approved), Reversed, Some(Outcome::Reversed)),
        (Some(Reversed), Reversed, None),
    ] {
        assert_eq!(Outcome::of(before, after), expected, "{before:?} {after}");
    }
}

#[test]
fn the_ones_in_the_middle_and_the_latest_are_picked() {
    use Outcome::{Approved, Rejected, Reversed};
    let approvals = |hours: &[i64]| -> Vec<Decision> {
        (1_u8..).zip(hours).map(|(number, hours)| decided(Approved, number, *hours)).collect()
    };
    for (hours, approved, late) in [
        (&[][..], None, None),
        (&[500], Some(1), None),
        // The lower one of two in the middle.
        (&[1, 60], Some(1), Some(2)),
        (&[60, 1], Some(2), Some(1)),
        (&[5, 3, 4], Some(3), None),
        // A day at least, however quick the others are.
        (&[1, 1, 23], Some(2), None),
        (&[1, 1, 24], Some(2), Some(3)),
        // Twice what is usual at least.
        (&[100, 100, 199], Some(2), None),
        (&[100, 100, 200], Some(2), Some(3)),
        // Approved at once is usual here.
        (&[0, 0, 0, 30], Some(2), Some(4)),
        // Of two that waited equally long the first by their ids.
        (&[0, 0, 0, 30, 30], Some(3), Some(4)),
    ] {
        let picks = pick(&approvals(hours));
        let first = |kind| numbers(picks.candidates(kind)).first().copied();
        assert_eq!((first(Kind::Approved), first(Kind::LateApproval)), (approved, late), "{hours:?}");
    }
    let refused =
        [decided(Reversed, 9, 1), decided(Rejected, 1, 7), decided(Rejected, 2, 8), decided(Rejected, 3, 9)];
    let picks = pick(&refused);
    assert_eq!(numbers(picks.candidates(Kind::Rejected)), [2, 1, 3], "a rejection before a reversal");
    assert_eq!((picks.count(Rejected), picks.count(Reversed), picks.count(Approved)), (3, 1, 0));
    assert_eq!(numbers(pick(&refused[..1]).candidates(Kind::Rejected)), [9]);
    let many = pick(&approvals(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(numbers(many.candidates(Kind::Approved)), [6, 5, 7, 4, 8, 3, 9, 2]);
}

#[test]
fn what_is_missing_is_told_with_why() {
    let seen = Seen { calls: 7, looked_at: 7, takes_rejections: true, ..Seen::default() };
    let told = |kind, picks: &Picks, seen: &Seen| why(kind, picks, seen).why;
    let none = Picks::default();
    let idle = Seen::default();
    for kind in Kind::ALL {
        assert_eq!(told(kind, &none, &idle), "no call of this partner booked anything in this month");
    }
    assert_eq!(told(Kind::Approved, &none, &seen), "no approval in this month");
    assert!(told(Kind::Rejected, &none, &seen).contains("does this partner send rejections at all?"));
    let words = Seen { words: vec!["trash".into()], ..seen.clone() };
    assert!(told(Kind::Rejected, &none, &words).contains("`trash`"));
    let closed = Seen { takes_rejections: false, ..seen.clone() };
    assert!(told(Kind::Rejected, &none, &closed).contains("lets neither in"));
    let sample = Seen { is_sample: true, looked_at: 10, ..seen.clone() };
    assert!(told(Kind::Approved, &none, &sample).contains("among the 10 calls that were looked at"));
    let erased = Seen { erased: true, ..seen.clone() };
    assert!(told(Kind::Rejected, &none, &erased).contains("erased persons"));
    let one = pick(&[decided(Outcome::Approved, 1, 99)]);
    assert!(told(Kind::LateApproval, &one, &seen).contains("one approval only"));
    let two = pick(&[decided(Outcome::Approved, 1, 20), decided(Outcome::Approved, 2, 39)]);
    let late = told(Kind::LateApproval, &two, &seen);
    assert!(
        late.contains("no approval took 1 d 16 h or longer") && late.contains("the longest took 1 d 15 h"),
        "{late}"
    );
    assert!(told(Kind::LateApproval, &none, &seen).contains("no approval"));
}

#[test]
fn spans_are_told_in_two_units() {
    for (ms, words) in [
        (-1, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (HOUR_MS + 61_000, "1 h 1 min"),
        (DAY_MS, "1 d 0 h"),
        (40 * DAY_MS + 3 * HOUR_MS, "40 d 3 h"),
    ] {
        assert_eq!(span_words(ms), words);
    }
}

fn any_decision() -> impl Strategy<Value = Decision> {
    let outcome = prop_oneof![Just(Outcome::Approved), Just(Outcome::Rejected), Just(Outcome::Reversed)];
    (outcome, any::<u8>(), -5..900_i64).prop_map(|(outcome, number, hours)| decided(outcome, number, hours))
}

proptest! {
    #[test]
    fn the_same_decisions_in_any_order_give_the_same_journeys(
        decisions in prop::collection::vec(any_decision(), 0..60),
        order in any::<prop::sample::Index>(),
        reversed in any::<bool>(),
    ) {
        let picks = pick(&decisions);
        let mut others = decisions.clone();
        if !others.is_empty() {
            let by = order.index(others.len());
            others.rotate_left(by);
        }
        if reversed {
            others.reverse();
        }
        // What is told twice is one decision.
        others.extend(decisions.first().copied());
        prop_assert_eq!(&pick(&others), &picks);
    }

    #[test]
    fn what_is_picked_is_what_the_rule_says(decisions in prop::collection::vec(any_decision(), 0..60)) {
        let picks = pick(&decisions);
        let mut waits: Vec<(i64, ConversionId, ReceiptId)> = decisions.iter()
            .filter(|decision| decision.outcome == Outcome::Approved)
            .map(Decision::place)
            .collect();
        waits.sort_unstable();
        waits.dedup();
        let approved = picks.candidates(Kind::Approved);
        prop_assert_eq!(approved.is_empty(), waits.is_empty());
        for decision in approved.iter().take(1) {
            let below = waits.iter().filter(|place| **place < decision.place()).count();
            let above = waits.len() - 1 - below;
            prop_assert!(above == below || above == below + 1);
        }
        let from = picks.late_from_ms().unwrap_or(i64::MAX);
        let late = picks.candidates(Kind::LateApproval);
        prop_assert_eq!(late.is_empty(), waits.iter().all(|(wait, ..)| *wait < from));
        for decision in late.iter().take(1) {
            prop_assert_eq!(Some(decision.wait_ms()), waits.iter().map(|(wait, ..)| *wait).max());
            prop_assert!(decision.wait_ms() >= LATE_AT_LEAST_MS);
            prop_assert!(decision.wait_ms() >= LATE_TIMES * picks.usual_ms.unwrap());
            prop_assert!(approved.first() != Some(decision), "no approval is both usual and late");
        }
        for kind in Kind::ALL {
            prop_assert!(picks.candidates(kind).iter().all(|picked| decisions.contains(picked)));
        }
    }
}
