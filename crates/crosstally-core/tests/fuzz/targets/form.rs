//! Forms, with the query before them and the parts of multipart ones: one row, within the limits, and what is kept of it
//! reads as the same call.

use crosstally_core::contract::Encoding;
use crosstally_core::limits;
use crosstally_core::params::Params;
use crosstally_core::postback::Inbound;
use crosstally_core::postback::body::{self, Media};
use crosstally_core::postback::redact::{self, Keep};
use crosstally_core::reason::Reason;

use crate::input::{Input, text};
use crate::samples;

pub(super) const WORDS: &[&str] = &[
    "&",
    "=",
    "%26",
    "%3D",
    ";",
    "+",
    "\0",
    "a=1",
    "token=",
    "email=",
    "user[email]=",
    "sig=",
    "custom[a][b]=",
    "{",
    "[",
    "<",
    "--x",
    "%",
    "\u{feff}",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/json",
    "application/x-ndjson",
    "text/xml",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let seed = |sample: &samples::Sample| {
        [sample.query.as_bytes(), b"\0", sample.content_type.as_bytes(), b"\0", sample.body.as_bytes()]
            .concat()
    };
    let mut seeds: Vec<Vec<u8>> =
        samples::ALL.iter().filter(|sample| !sample.body.is_empty()).map(seed).collect();
    for raw in [
        &b"a=1\0\0b=2&c=%C3%A9"[..],
        b"\0application/x-www-form-urlencoded; charset=utf-8\0click_id=x&payout=1.5&email=a%40b.example",
        b"a=1\0multipart/form-data; boundary=x\0click_id=x\npayout=1\ntoken=s",
        b"\0text/plain\0x=1;token=s&tid=7",
    ] {
        seeds.push(raw.to_vec());
    }
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut inbound = Inbound { query: input.part().to_vec(), ..Inbound::default() };
    inbound.content_type = text(input.part()).into_owned();
    inbound.body = input.rest().to_vec();
    let media = body::media(&inbound.content_type, &inbound.body);
    assert_eq!(inbound.body.is_empty(), media == Ok(Media::None));
    if media == Ok(Media::Multipart) {
        // The door takes the parts out; here a line is a part.
        inbound.parts = inbound.body.split(|&byte| byte == b'\n').map(part).collect();
    }
    let kept = redact::body(&inbound, Keep::default());
    assert!(kept.body.len() <= inbound.body.len() * 9 + 64, "what is kept is larger than what came");
    match body::rows(&inbound, Encoding::Once) {
        Ok(rows) => {
            assert!((1..=limits::ROWS_MAX).contains(&rows.len()));
            if matches!(media, Ok(Media::None | Media::Form | Media::Multipart)) {
                let params =
                    rows.first().and_then(|row| row.params.as_ref().ok()).expect("a form is one row");
                assert!(params.len() <= limits::PARAMS_MAX);
                check_order(&inbound, params);
                check_kept(&inbound, params, &kept);
            }
        }
        Err(stop) => assert!(
            matches!(
                stop.reason,
                Reason::QueryTooLarge
                    | Reason::TooManyParams
                    | Reason::ParamTooLong
                    | Reason::UnsupportedMediaType
                    | Reason::BodyUnreadable
                    | Reason::BadEncoding
                    | Reason::BodyTooLarge
            ),
            "{stop:?}"
        ),
    }
}

fn part(line: &[u8]) -> (String, Vec<u8>) {
    let at = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
    let (name, value) = line.split_at(at);
    (text(name).into_owned(), value.strip_prefix(b"=").unwrap_or(value).to_vec())
}

/// The query's parameters come first, as if there were no body.
fn check_order(inbound: &Inbound, params: &Params) {
    let query = Params::parse(&inbound.query).expect("the query of a call that was read");
    assert!(params.iter().zip(query.iter()).all(|(one, other)| one == other));
    let behind = params.len() - query.len();
    if !inbound.parts.is_empty() {
        assert_eq!(behind, inbound.parts.len());
    } else if inbound.body.is_empty() {
        assert_eq!(behind, 0);
    }
}

/// What is kept is read again on a replay: the same names in the same order, and the same values but for masked ones.
fn check_kept(inbound: &Inbound, params: &Params, kept: &redact::Kept) {
    let again = Inbound {
        query: redact::pairs(&inbound.query, Keep::default()),
        body: kept.body.clone(),
        content_type: kept.content_type.clone(),
        ..Inbound::default()
    };
    assert_eq!(redact::pairs(&again.query, Keep::default()), again.query, "masked is masked");
    if kept.is_lost {
        return;
    }
    assert_eq!(redact::body(&again, Keep::default()).body, again.body, "masked is masked");
    let rows = match body::rows(&again, Encoding::Once) {
        Ok(rows) => rows,
        // A mask is longer than a short value, and escapes take room.
        Err(stop) => {
            return assert!(matches!(stop.reason, Reason::ParamTooLong | Reason::QueryTooLarge), "{stop:?}");
        }
    };
    let again = rows.first().and_then(|row| row.params.as_ref().ok()).expect("a form is one row");
    assert_eq!(again.len(), params.len());
    for (one, other) in params.iter().zip(again.iter()) {
        let is_same = one.value == other.value && one.name == other.name;
        let is_masked = other.value == "***" && redact::is_masked(&one.name, None) && one.name == other.name;
        // Another separator than ours may stand in a name or a value; what is behind it is masked as well.
        let is_cut = other.value.ends_with("=***") || other.name.contains(';');
        // A document or a URL in a value is masked within, and what is no pair as a whole.
        let is_within = one.name == other.name && one.value != other.value && other.value.contains("***");
        let is_no_pair = other.name == "***" && one.name.contains([':', '"']);
        assert!(is_same || is_masked || is_cut || is_within || is_no_pair, "{one:?} is kept as {other:?}");
    }
}
