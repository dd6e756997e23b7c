//! Query strings: limits hold, every value is what an independent decoder makes of it, nothing grows without bound, and
//! what is shown of a value can stand in a terminal.

use crosstally_core::click::{AdClickIds, looks_like_macro};
use crosstally_core::contract::Encoding;
use crosstally_core::limits;
use crosstally_core::params::Params;
use crosstally_core::postback::parse::printable;
use crosstally_core::reason::Reason;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::input::Input;
use crate::samples;

pub(super) const WORDS: &[&str] = &[
    "&",
    "=",
    "%",
    "%25",
    "%26",
    "%3D",
    "%2525",
    "%20",
    "+",
    "%00",
    "%FF",
    "%C3%A9",
    "%ED%A0%80",
    "%zz",
    ";",
    "#",
    "click_id=",
    "payout=",
    "{payout}",
    "%7Bsub%7D",
    "%cid%",
    "fbclid=",
    "gclid=",
    "\u{202e}",
    "@",
    "%F0%9F%92%B0",
];

const ENCODINGS: &[Encoding] = &[Encoding::Once, Encoding::Twice, Encoding::Never];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let queries = samples::ALL.iter().map(|sample| sample.query.as_str()).filter(|query| !query.is_empty());
    let mut seeds: Vec<Vec<u8>> = queries.map(|query| [b"0", query.as_bytes()].concat()).collect();
    seeds.push(b"1click_id=a%2525b%252Bc&payout=1%252E5&x=%25FF".to_vec());
    seeds.push(b"2click_id=a%2Bb+c&payout=1,5&x=\xff".to_vec());
    seeds.push([b"0".to_vec(), b"a=1&".repeat(600)].concat());
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let encoding = *input.pick(ENCODINGS);
    let raw = input.rest();
    match Params::read(raw, encoding) {
        Ok(params) => {
            check_limits(raw, &params);
            check_values(raw, &params, encoding);
            check_written_again(&params);
            check_in_two_parts(raw, &params, encoding);
        }
        Err(reason) => check_refusal(raw, reason),
    }
    drop(AdClickIds::from_stored(&String::from_utf8_lossy(raw)));
}

fn pieces(raw: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    raw.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        let mut halves = piece.splitn(2, |&byte| byte == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    })
}

fn check_limits(raw: &[u8], params: &Params) {
    assert!(params.len() <= limits::PARAMS_MAX);
    assert_eq!(params.is_empty(), params.iter().next().is_none());
    let bytes: usize = params.iter().map(|param| param.name.len() + param.value.len()).sum();
    assert!(bytes <= raw.len() * 3, "{} bytes have become {bytes}", raw.len());
    for param in params.iter() {
        assert!(param.name.len() <= limits::PARAM_NAME_BYTES_MAX);
        assert!(param.value.len() <= limits::PARAM_VALUE_BYTES_MAX);
        assert!(params.get(&param.name).is_some());
        assert!(params.get_ignoring_case(&param.name.to_ascii_uppercase()).is_some());
        check_shown(&param.name);
        check_shown(&param.value);
    }
    let ids = AdClickIds::from_params(params);
    assert_eq!(AdClickIds::from_stored(&ids.to_stored()), ids);
    assert!(ids.iter().all(|(_, value)| !value.is_empty() && !looks_like_macro(value)));
}

/// What a person or a terminal is shown.
fn check_shown(text: &str) {
    let shown = printable(text);
    let is_plain =
        |c: char| !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}');
    assert!(shown.chars().all(is_plain), "{shown:?}");
    assert!(shown.chars().count() <= 66 && !shown.contains('@'), "{shown:?}");
}

fn decoded(raw: &[u8]) -> (String, bool) {
    let spaced: Vec<u8> = raw.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    (String::from_utf8_lossy(&bytes).into_owned(), std::str::from_utf8(&bytes).is_err())
}

/// A macro between percent signs looks half like an escape; it stays as it is.
fn value_of(raw: &[u8]) -> (String, bool) {
    match std::str::from_utf8(raw) {
        Ok(text) if raw.starts_with(b"%") && raw.ends_with(b"%") && looks_like_macro(text) => {
            (text.to_owned(), false)
        }
        _ => decoded(raw),
    }
}

fn check_values(raw: &[u8], params: &Params, encoding: Encoding) {
    assert_eq!(pieces(raw).count(), params.len());
    for ((name, value), param) in pieces(raw).zip(params.iter()) {
        let (name, name_is_lossy) = decoded(name);
        let (value, is_lossy) = match encoding {
            Encoding::Once => value_of(value),
            Encoding::Twice => {
                let (once, is_lossy) = value_of(value);
                let (twice, again) = value_of(once.as_bytes());
                (twice, is_lossy || again)
            }
            Encoding::Never => {
                (String::from_utf8_lossy(value).into_owned(), std::str::from_utf8(value).is_err())
            }
        };
        assert_eq!((&param.name, &param.value), (&name, &value));
        assert_eq!(param.lossy, name_is_lossy || is_lossy);
    }
}

/// What was read is written as HTTP asks for, once and twice, and reads as the same.
fn check_written_again(params: &Params) {
    let escaped = |text: &[u8]| percent_encode(text, NON_ALPHANUMERIC).to_string();
    let write = |twice: bool| {
        let pair = |name: &str, value: &str| {
            let once = escaped(value.as_bytes());
            format!("{}={}", escaped(name.as_bytes()), if twice { escaped(once.as_bytes()) } else { once })
        };
        params.iter().map(|param| pair(&param.name, &param.value)).collect::<Vec<_>>().join("&")
    };
    for (encoding, twice) in [(Encoding::Once, false), (Encoding::Twice, true)] {
        let Ok(again) = Params::read(write(twice).as_bytes(), encoding) else {
            // Escapes take room: only what was near a limit may be over it now.
            assert!(
                twice && params.iter().any(|param| param.value.len() * 9 > limits::PARAM_VALUE_BYTES_MAX)
            );
            continue;
        };
        let texts = |params: &Params| {
            params.iter().map(|param| (param.name.clone(), param.value.clone())).collect::<Vec<_>>()
        };
        let meant: Vec<_> = texts(params);
        assert_eq!(texts(&again), meant);
        assert!(again.iter().all(|param| !param.lossy));
    }
}

/// A form's parameters stand behind those of the query.
fn check_in_two_parts(raw: &[u8], params: &Params, encoding: Encoding) {
    let Some(at) = raw.iter().position(|&byte| byte == b'&') else { return };
    let (query, body) = raw.split_at(at);
    let mut both = Params::read(query, encoding).expect("a part of what was read");
    both.read_more(body, encoding).expect("the other part");
    assert_eq!(&both, params);
}

fn check_refusal(raw: &[u8], reason: Reason) {
    match reason {
        Reason::TooManyParams => assert!(pieces(raw).count() > limits::PARAMS_MAX),
        Reason::ParamTooLong => assert!(pieces(raw).any(|(name, value)| {
            name.len() * 3 > limits::PARAM_NAME_BYTES_MAX || value.len() * 3 > limits::PARAM_VALUE_BYTES_MAX
        })),
        other => panic!("a query is never refused for {other:?}"),
    }
}
