//! Status words: what the partner's map says, else what our own word says, else nothing is booked; and the whole step from
//! fields to a postback under the contract of every preset.

use std::collections::BTreeMap;

use crosstally_core::config::{Partner, Word as _};
use crosstally_core::contract::{ANY_OTHER, Contract, Meaning, Terms};
use crosstally_core::ledger::Status;
use crosstally_core::money::MINOR_MAX;
use crosstally_core::params::Params;
use crosstally_core::postback::{Headers, normalise, parse};
use crosstally_core::reason::Reason;
use crosstally_core::verdict::Verdict;

use crate::input::{Input, text};
use crate::{partners, samples};

pub(super) const WORDS: &[&str] = &[
    "approved",
    "rejected",
    "hold",
    "lead",
    "reversed",
    "pending",
    "trash",
    "*",
    "1",
    "0",
    "confirmed",
    "sale",
    "APPROVED",
    " approved ",
    "\0",
    "\u{130}",
    "\u{df}",
    "status=",
    "&status=",
    "click_id=",
    "transaction_id=",
    "payout=-1",
    "currency=EUR",
    "event_time=1763640000",
    "{status}",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let seed = |sample: &samples::Sample| {
        let mapped = b"1pending review=2\0";
        [&[samples::choice(sample.preset)][..], mapped, b"pending review\0", sample.query.as_bytes()].concat()
    };
    let mut seeds: Vec<Vec<u8>> =
        samples::ALL.iter().filter(|sample| !sample.query.is_empty()).map(seed).collect();
    for word in ["approved", "Approved", " HOLD ", "1", "", "*", "\u{130}stanbul", "ignore"] {
        seeds.push(format!("0*=3\0{word}\0click_id=x&transaction_id=t&payout=1&status={word}").into_bytes());
        seeds.push(format!("0\0{word}\0click_id=x&transaction_id=t&payout=1&status={word}").into_bytes());
    }
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let preset = *input.pick(&samples::PRESETS);
    let own = Terms { statuses: map(input.part()), ..Terms::default() };
    let partner = partners::with(own, preset);
    let word = text(input.part());
    check_word(&word, &partner.contract);
    check_call(input.rest(), &partner);
}

/// `word=2,other=5`: a map as the configuration makes it, its words in lower case.
fn map(raw: &[u8]) -> BTreeMap<String, Meaning> {
    let mut map = BTreeMap::new();
    for pair in raw.split(|&byte| byte == b',') {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let word = text(halves.next().unwrap_or_default()).trim().to_lowercase();
        let mut choice = Input::new(halves.next().unwrap_or_default());
        if !word.is_empty() {
            map.insert(word, *choice.pick(Meaning::ALL));
        }
    }
    map
}

fn check_word(word: &str, contract: &Contract) {
    let meaning = contract.meaning(word);
    let plain = word.trim().to_lowercase();
    let mapped = contract.terms().statuses.get(&plain).copied();
    let ours = Status::from_word(&plain).map(Meaning::Status);
    let other = contract.terms().statuses.get(ANY_OTHER).copied();
    assert_eq!(meaning, mapped.or(ours).or(other));
    for same in [format!(" {word}\t"), plain.clone(), plain.to_ascii_uppercase()] {
        assert_eq!(contract.meaning(&same), meaning, "{same:?}");
    }
    let bare = Contract::default();
    for status in Meaning::ALL.iter().filter_map(|meaning| match meaning {
        Meaning::Status(status) => Some(*status),
        Meaning::Ignore | Meaning::Ask => None,
    }) {
        assert_eq!(Status::from_word(status.as_str()), Some(status));
        assert_eq!(bare.meaning(&status.as_str().to_ascii_uppercase()), Some(Meaning::Status(status)));
    }
}

/// A call that becomes a postback has the status that its word means, and amounts that can be booked.
fn check_call(query: &[u8], partner: &Partner) {
    let contract = &partner.contract;
    let Ok(params) = Params::read(query, contract.encoding()) else { return };
    let Ok(fields) = parse::fields(params, &Headers::default(), contract) else { return };
    for value in fields.by_name.values() {
        assert_eq!(value.trim(), value);
    }
    let word = fields.get("status").map(|word| contract.meaning(word));
    match normalise::postback(&fields, partners::setting(partner)) {
        Ok(postback) => {
            let amounts = postback.amounts;
            let all = [amounts.payout, amounts.revenue, amounts.value];
            assert!(all.into_iter().flatten().all(|minor| (0..=MINOR_MAX).contains(&minor)), "{amounts:?}");
            assert!(contract.takes_currency(postback.currency) && contract.takes_status(postback.status));
            let meant = match word {
                None => contract.missing_status(),
                Some(Some(Meaning::Status(status))) => status,
                Some(other) => panic!("a status that means {other:?} was taken"),
            };
            assert!(postback.status == meant || postback.status == Status::Reversed);
        }
        Err(stop) => {
            assert_ne!(stop.verdict, Verdict::Recorded);
            assert!(!stop.detail.chars().any(char::is_control), "{:?}", stop.detail);
            if stop.reason == Reason::StatusUnmapped {
                assert!(matches!(word, Some(None | Some(Meaning::Ask))), "{word:?}");
            }
        }
    }
}
