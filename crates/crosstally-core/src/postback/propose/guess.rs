//! What each parameter would become: by the preset, by the names that are always read, else by what it looks like.

use std::collections::BTreeMap;

use super::{By, Draft, Reading, StatusSeen, is_macro};
use crate::config::{Word as _, preset};
use crate::contract::number::Format;
use crate::contract::{Contract, DecimalMark, Meaning, Negative, Rounding, Terms, ThousandsMark};
use crate::fields::{FIELDS, TOKEN_PARAMS};
use crate::ids::ClickId;
use crate::ledger::Status;
use crate::money::Currency;
use crate::params::{Param, Params};

/// Names under which click ids travel, where the sender lets its user choose; the commonest first.
const CLICK_NAMES: &[&str] = &[
    "sub1",
    "aff_click_id",
    "clickid",
    "click_id",
    "subid",
    "subid1",
    "sub_id1",
    "sub_id_1",
    "sub_id",
    "aff_sub",
    "cid",
    "s2",
    "s1",
    "utm_term",
    "external_id",
    "externalid",
    "hit",
    "cnv_id",
    "clickref",
    "tracking_id",
];
const EVENT_NAMES: &[&str] =
    &["goal", "event_name", "event_type", "eventname", "goal_id", "et", "type", "action"];

/// What a macro's name tells without doubt. Ids are not among them: what is a transaction to one side is a click to the other.
const TOLD_BY_MACRO: [&str; 2] = ["payout", "currency"];

/// Reads every parameter; what is guessed goes into the section's own map.
pub(super) fn readings(params: &Params, contract: &Contract, own: &mut Terms) -> Vec<Reading> {
    let mut readings: Vec<Reading> = params.iter().map(|param| plain(param, contract)).collect();
    keep_first(&mut readings, contract);
    for reading in &mut readings {
        if is_secret(&reading.name) {
            (reading.field, reading.by) = (None, By::Secret);
        }
    }
    for field in TOLD_BY_MACRO {
        if let Some(reading) = told_by_macro(field, &mut readings) {
            (reading.field, reading.by) = (Some(field), By::Guess);
            own.params.insert(field.to_owned(), vec![reading.name.clone()]);
        }
    }
    for field in ["click_id", "status", "currency", "payout", "transaction_id", "event", "event_time"] {
        if readings.iter().any(|reading| reading.field == Some(field))
            || field == "payout" && readings.iter().any(|reading| reading.field == Some("revenue"))
        {
            continue;
        }
        let found =
            readings.iter_mut().filter(|reading| reading.field.is_none() && reading.by == By::Nobody).find(
                |reading| looks_like(field, &reading.name.to_lowercase(), &reading.value, reading.is_macro),
            );
        if let Some(reading) = found {
            (reading.field, reading.by) = (Some(field), By::Guess);
            own.params.insert(field.to_owned(), vec![reading.name.clone()]);
        }
    }
    readings
}

/// Of a URL with the sender's macros: the parameter that a macro of this very name fills. It says more than the parameter's
/// own name does (`amount={payout}`), but not more than a preset.
fn told_by_macro<'r>(field: &str, readings: &'r mut [Reading]) -> Option<&'r mut Reading> {
    if readings.iter().any(|reading| reading.field == Some(field)) {
        return None;
    }
    let is_told = |reading: &&mut Reading| {
        let word = reading.value.trim_matches(|mark: char| !mark.is_alphanumeric());
        reading.is_macro && matches!(reading.by, By::Name | By::Nobody) && word.eq_ignore_ascii_case(field)
    };
    readings.iter_mut().find(is_told)
}

/// A token or a signature: it shows who sends, not what happened.
fn is_secret(name: &str) -> bool {
    const SIGNATURES: &[&str] = &["sig", "sign", "signature", "hash", "hmac", "checksum", "password", "pass"];
    TOKEN_PARAMS.iter().chain(SIGNATURES).any(|known| known.eq_ignore_ascii_case(name))
}

fn plain(param: &Param, contract: &Contract) -> Reading {
    let mapped = FIELDS.iter().find(|field| position(contract, field.name, &param.name).is_some());
    let is_taken = contract.taken().any(|taken| taken.eq_ignore_ascii_case(&param.name));
    let accepted = FIELDS
        .iter()
        .find(|field| !is_taken && field.accepted.iter().any(|name| name.eq_ignore_ascii_case(&param.name)));
    let (field, by) = match (mapped, accepted) {
        (Some(field), _) => (Some(field.name), By::Preset),
        (None, Some(field)) => (Some(field.name), By::Name),
        (None, None) => (None, By::Nobody),
    };
    let value = param.value.clone();
    Reading { name: param.name.clone(), is_macro: is_macro(&value), value, field, by }
}

fn position(contract: &Contract, field: &str, name: &str) -> Option<usize> {
    contract.params(field).iter().position(|theirs| theirs.eq_ignore_ascii_case(name))
}

/// Of several parameters for one field the contract's first counts, then the first that came.
fn keep_first(readings: &mut [Reading], contract: &Contract) {
    for field in FIELDS {
        let rank = |reading: &Reading| position(contract, field.name, &reading.name).unwrap_or(usize::MAX);
        let of_field = || (0..readings.len()).filter(|&at| readings[at].field == Some(field.name));
        let Some(best) = of_field().min_by_key(|&at| rank(&readings[at])) else { continue };
        let others: Vec<usize> = of_field().filter(|&at| at != best).collect();
        for at in others {
            (readings[at].field, readings[at].by) = (None, By::Nobody);
        }
    }
}

fn looks_like(field: &str, name: &str, value: &str, is_macro: bool) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match field {
        "click_id" => {
            ClickId::parse_unchecked(value).is_ok() || CLICK_NAMES.contains(&name) || has(&["click"])
        }
        "status" => has(&["status", "state"]) && !has(&["2"]),
        "currency" => {
            has(&["curr"])
                || !is_macro && value.len() == 3 && value.to_uppercase().parse::<Currency>().is_ok()
        }
        "payout" => {
            let is_named = has(&[
                "payout",
                "sum",
                "amount",
                "price",
                "commission",
                "profit",
                "cost",
                "revenue",
                "reward",
                "earn",
                "total",
            ]) || matches!(name, "rev" | "amt" | "money" | "cash");
            is_named && (is_macro || value.bytes().any(|byte| byte.is_ascii_digit()))
        }
        "transaction_id" => {
            has(&["trans", "order", "txn", "invoice"])
                || matches!(
                    name,
                    "tx" | "oid" | "lead" | "leadid" | "action_id" | "conversion_id" | "convid" | "uniqueid"
                )
        }
        "event" => EVENT_NAMES.contains(&name),
        "event_time" => has(&["timestamp"]) || matches!(name, "time" | "ts" | "datetime" | "conv_time"),
        _ => false,
    }
}

/// Words of the trade, by what they mean.
const WORDS: &[(&[&str], Status)] = &[
    (
        &[
            "sale",
            "confirmed",
            "confirm",
            "accepted",
            "accept",
            "approve",
            "paid",
            "payed",
            "success",
            "successful",
            "completed",
            "complete",
            "ok",
            "active",
            "rebill",
            "deposit",
            "purchase",
        ],
        Status::Approved,
    ),
    (
        &[
            "pending",
            "new",
            "wait",
            "waiting",
            "processing",
            "process",
            "in_process",
            "open",
            "expect",
            "created",
            "unconfirmed",
        ],
        Status::Hold,
    ),
    (&["registration", "reg", "signup", "register", "install"], Status::Lead),
    (
        &[
            "reject",
            "declined",
            "decline",
            "cancel",
            "cancelled",
            "canceled",
            "trash",
            "fake",
            "fail",
            "failed",
            "invalid",
            "spam",
            "duplicate",
            "error",
            "expired",
            "void",
        ],
        Status::Rejected,
    ),
    (
        &["refund", "refunded", "chargeback", "charge_back", "reversal", "return", "returned", "disputed"],
        Status::Reversed,
    ),
];

/// What a status word means as a rule, and how that is known: by our own list, by most of the presets that know it, or by the
/// nearest word of our list.
pub(super) fn status_of(word: &str) -> Option<(Status, String)> {
    let word = word.trim().to_lowercase();
    let listed =
        |word: &str| WORDS.iter().find(|(words, _)| words.contains(&word)).map(|(_, status)| *status);
    if let Some(status) = Status::from_word(&word).or_else(|| listed(&word)) {
        return Some((status, "a word of the trade".to_owned()));
    }
    let mut votes: BTreeMap<Status, Vec<&str>> = BTreeMap::new();
    for preset in preset::all() {
        if let Some(Meaning::Status(status)) = preset.terms.statuses.get(&word) {
            votes.entry(*status).or_default().push(&preset.name);
        }
    }
    let most = votes.iter().max_by_key(|(_, presets)| presets.len());
    // A number means something else with every sender.
    if let Some((status, presets)) = most.filter(|_| votes.len() == 1 && word.parse::<i64>().is_err()) {
        return Some((*status, format!("so with {}", presets.join(", "))));
    }
    let near = crate::nearest::nearest(&word, WORDS.iter().flat_map(|(words, _)| words.iter().copied()))?;
    listed(near).map(|status| (status, format!("looks like `{near}`")))
}

/// The sample's status, and what it would mean.
pub(super) fn statuses(draft: &mut Draft) {
    let Some(word) = draft.value("status").map(str::to_lowercase) else { return };
    let known = draft.contract.meaning(&word);
    let guess = status_of(&word).map(|(status, _)| status);
    let meaning = known.map(|meaning| meaning.word()).or_else(|| guess.map(Status::as_str));
    match (known, guess) {
        (None, Some(status)) => {
            draft.own.statuses.insert(word.clone(), Meaning::Status(status));
        }
        (None, None) => draft.notes.push(format!("say in `statuses` what the word `{word}` means")),
        (Some(_), _) => {}
    }
    draft.statuses.push(StatusSeen { word, meaning, is_known: known.is_some() });
}

/// How amounts are written, where the contract would not read them.
pub(super) fn amounts(draft: &mut Draft) {
    let texts: Vec<String> =
        ["payout", "revenue"].iter().filter_map(|field| draft.value(field).map(str::to_owned)).collect();
    let stated = draft.value("currency").and_then(|text| text.parse::<Currency>().ok());
    let Some(currency) = stated.or_else(|| "USD".parse().ok()) else { return };
    for text in texts {
        if text.starts_with('-') && draft.contract.negative() == Negative::Refuse {
            draft.own.negative = Some(Negative::Reversal);
        }
        let format = draft.contract.number(currency);
        if format.read(&text, currency).is_ok() {
            continue;
        }
        let fits = |format: &Format| format.read(&text, currency).is_ok();
        match ways(format).into_iter().find(fits) {
            Some(way) => adopt(way, format, &mut draft.own),
            None => draft.notes.push(format!("`{text}` is not an amount that can be read")),
        }
    }
    let has_amount = draft.has("payout") || draft.has("revenue");
    if has_amount && !draft.has("currency") && draft.contract.currency().is_none() {
        draft.notes.push(
            "no currency is sent: amounts are in the workspace's, unless `currency` says otherwise".into(),
        );
    }
}

fn ways(format: Format) -> Vec<Format> {
    let comma = Format { decimal: DecimalMark::Comma, ..format };
    vec![
        comma,
        Format { thousands: ThousandsMark::Comma, ..format },
        Format { thousands: ThousandsMark::Point, ..comma },
        Format { thousands: ThousandsMark::Space, ..comma },
        Format { thousands: ThousandsMark::Space, ..format },
        Format { thousands: ThousandsMark::Apostrophe, ..format },
        Format { rounding: Rounding::HalfEven, ..format },
        Format { rounding: Rounding::HalfEven, ..comma },
    ]
}

fn adopt(way: Format, before: Format, own: &mut Terms) {
    if way.decimal != before.decimal {
        own.decimal = Some(way.decimal);
    }
    if way.thousands != before.thousands {
        own.thousands = Some(way.thousands);
    }
    if way.rounding != before.rounding {
        own.rounding = Some(way.rounding);
    }
}
