//! The whole way of a call, with a secret or a contact value planted under each name that holds one: in the query, in a
//! form, in JSON, in lines of JSON, in a multipart form. Nothing of it is in what is kept, in a postback or in an answer;
//! and what is kept, read again, books what the call itself would have booked.

use crosstally_core::config::Partner;
use crosstally_core::fields::{FIELDS, Field, FieldKind, TOKEN_PARAMS};
use crosstally_core::postback::body::Media;
use crosstally_core::postback::redact::{self, Keep};
use crosstally_core::postback::{Headers, Inbound, Postback, body, normalise, parse};
use crosstally_core::reason::Reason;
use crosstally_core::verdict::Stop;

use crate::input::{Input, text};
use crate::{partners, samples};

pub(super) const WORDS: &[&str] = &[
    "\0",
    "&",
    "=",
    ";",
    "%3B",
    "%26",
    "email=",
    "token=",
    "user[email]=",
    "custom[",
    "]",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"email\":",
    "\"customer\":{",
    "\"name\":\"email\",\"value\":",
    "\"token\":{\"a\":",
    "\n",
    "click_id=",
    "payout=",
    "1.50",
    "\"transaction_id\":",
    "application/json",
    "application/x-ndjson",
    "multipart/form-data; boundary=x",
    "text/plain",
];

/// What is planted. It has no character that any encoding writes in another way.
const PLANTED: &str = "Kanarie7f3a91";

/// Names of secrets beside those that carry a partner's token.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "secret",
    "sig",
    "signature",
    "apikey",
    "auth",
    "hmac",
    "sign",
    "client-secret",
    "refreshToken",
];
/// Names of contact values that are never read.
const CONTACTS: &[&str] =
    &["e-mail", "mail", "em", "ph", "tel", "userEmail", "phone_number", "msisdn", "dob"];

/// How it stands in the call.
const PLACES: &[Place] =
    &[Place::Query, Place::Form, Place::Json, Place::JsonItem, Place::JsonList, Place::Part];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Query,
    Form,
    /// `"email":"…"`
    Json,
    /// `{"name":"email","value":"…"}`
    JsonItem,
    /// `"email":["…"]`
    JsonList,
    Part,
}

/// How its name is written.
const SPELLINGS: &[fn(&str) -> String] = &[
    str::to_owned,
    str::to_ascii_uppercase,
    |name| format!("{name}[]"),
    |name| format!("{name}[0]"),
    |name| format!("user[{name}]"),
    |name| format!("data.user.{name}"),
    |name| format!(" {name}"),
    // Behind a separator of others, the value goes on.
    |name| format!("{name}=;"),
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, sample) in samples::ALL.iter().enumerate() {
        let place = match sample.body.trim_start().as_bytes().first() {
            None => 0,
            Some(b'{' | b'[') => 2 + number % 3,
            Some(_) => 1,
        };
        let small = |number: usize| u8::try_from(number % 40).unwrap_or(0) + b'0';
        let choices = [
            samples::choice(sample.preset),
            small(place),
            small(number),
            small(number / 7),
            small(number / 3),
        ];
        let parts = [sample.query.as_bytes(), sample.content_type.as_bytes(), sample.body.as_bytes()];
        seeds.push([&choices[..], &parts.join(&0)].concat());
    }
    let repeated = "{\"click_id\":\"c\",\"transaction_id\":\"t\",\"payout\":7,\"payout\":9}";
    seeds.push(format!("02000\0application/json\0{repeated}").into_bytes());
    for (number, raw) in ["a=1\0multipart/form-data; boundary=x\0click_id=x\npayout=1", "x=1;y=2\0\0tid=7;z"]
        .iter()
        .enumerate()
    {
        seeds.push(format!("0{}{number}00{raw}", 5 - number * 4).into_bytes());
    }
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let preset = *input.pick(&samples::PRESETS);
    let partner = partners::of(preset);
    let place = *input.pick(PLACES);
    let name = name(input.byte(), partner);
    let mut spelled = input.pick(SPELLINGS)(&name);
    if spelled.contains('=') && !matches!(place, Place::Query | Place::Form) {
        spelled.clone_from(&name);
    }
    let at = usize::from(input.byte().wrapping_sub(b'0'));
    let mut inbound = Inbound { query: input.part().to_vec(), ..Inbound::default() };
    inbound.content_type = text(input.part()).into_owned();
    inbound.body = input.rest().to_vec();
    check_replay(&mut inbound.clone(), partner);
    // A contract may read from such a name what is neither secret nor personal: then it is neither.
    if is_read_as_another(&name, &spelled, partner) {
        return;
    }
    plant(&mut inbound, place, &spelled, at);
    // JSON inside a form is a text, and so is a form inside JSON.
    let is_json =
        matches!(body::media(&inbound.content_type, &inbound.body), Ok(Media::Json | Media::JsonLines));
    if is_json != matches!(place, Place::Json | Place::JsonItem | Place::JsonList) && place != Place::Query {
        return;
    }
    for contact in [false, true] {
        let keep = Keep { partner: Some(partner), contact };
        if !contact || is_secret(&name) {
            check_kept(&inbound, keep);
        }
    }
    if is_known(&name) {
        check_kept(&inbound, Keep { partner: None, contact: false });
    }
    for row in body::rows(&inbound, partner.contract.encoding()).unwrap_or_default() {
        check_read(row.params.and_then(|params| read(params, &inbound.headers, partner)));
    }
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name) || TOKEN_PARAMS.contains(&name)
}

/// Whoever the partner is.
fn is_known(name: &str) -> bool {
    is_secret(name) || CONTACTS.contains(&name) || personal().any(|field| field.accepted.contains(&name))
}

fn personal() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.kind == FieldKind::Personal)
}

/// A name that holds a secret or a contact value, the partner's own among them.
fn name(choice: u8, partner: &Partner) -> String {
    let ours = personal().flat_map(|field| field.accepted).copied();
    let theirs = personal().flat_map(|field| partner.contract.params(field.name)).map(String::as_str);
    // A path is a name in JSON only, where its parts stand in one another.
    let names: Vec<&str> = TOKEN_PARAMS
        .iter()
        .chain(SECRETS)
        .chain(CONTACTS)
        .copied()
        .chain(ours)
        .chain(theirs.filter(|name| !name.contains(['.', '[', ':'])))
        .collect();
    Input::new(&[choice]).pick(&names).to_string()
}

fn is_read_as_another(name: &str, spelled: &str, partner: &Partner) -> bool {
    let others = FIELDS.iter().filter(|field| field.kind != FieldKind::Personal);
    let mut theirs = others.flat_map(|field| partner.contract.params(field.name));
    theirs.any(|theirs| {
        let theirs = theirs.to_ascii_lowercase();
        theirs == name.to_ascii_lowercase()
            || theirs == spelled.to_ascii_lowercase()
            || theirs.ends_with(&format!(".{name}"))
    })
}

/// Puts the value into the call, at a place between what is there.
fn plant(inbound: &mut Inbound, place: Place, name: &str, at: usize) {
    let pair = format!("{}={PLANTED}", name.replace(' ', "+"));
    match place {
        Place::Query => inbound.query = between(&inbound.query, &pair, at),
        Place::Form => {
            inbound.body = between(&inbound.body, &pair, at);
        }
        Place::Part => {
            inbound.content_type = "multipart/form-data; boundary=x".into();
            let pair = |line: &[u8]| {
                let line = text(line);
                let (name, value) = line.split_once('=').unwrap_or((&line, ""));
                (name.to_owned(), value.as_bytes().to_vec())
            };
            inbound.parts = inbound.body.split(|&byte| byte == b'\n').map(pair).collect();
            inbound.parts.insert(at % (inbound.parts.len() + 1), (name.to_owned(), PLANTED.into()));
        }
        Place::Json => inbound.body = within(&inbound.body, &format!("\"{name}\":\"{PLANTED}\""), at),
        Place::JsonList => {
            let entry = format!("\"{name}\":[{{\"x\":[\"{PLANTED}\"]}},\"{PLANTED}\"]");
            inbound.body = within(&inbound.body, &entry, at);
        }
        Place::JsonItem => {
            let entry = format!(
                "\"custom\":[{{\"name\":\"{name}\",\"value\":\"{PLANTED}\"}},{{\"value\":\"{PLANTED}\",\"key\":\"{name}\"}}]"
            );
            inbound.body = within(&inbound.body, &entry, at);
        }
    }
}

fn between(raw: &[u8], pair: &str, at: usize) -> Vec<u8> {
    let mut pieces: Vec<&[u8]> = raw.split(|&byte| byte == b'&').collect();
    pieces.insert(at % (pieces.len() + 1), pair.as_bytes());
    pieces.join(&b'&')
}

/// Into an object: behind one of the braces that open one.
fn within(raw: &[u8], entry: &str, at: usize) -> Vec<u8> {
    let braces: Vec<usize> =
        raw.iter().enumerate().filter(|(_, byte)| **byte == b'{').map(|(at, _)| at).collect();
    let Some(brace) = braces.get(at % braces.len().max(1)) else {
        return format!("{{{entry}}}").into_bytes();
    };
    let (before, behind) = raw.split_at(brace + 1);
    let is_empty = behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}');
    [before, entry.as_bytes(), if is_empty { b"" } else { b"," }, behind].concat()
}

fn has_planted(raw: &[u8]) -> bool {
    raw.windows(PLANTED.len()).any(|window| window.eq_ignore_ascii_case(PLANTED.as_bytes()))
}

fn check_kept(inbound: &Inbound, keep: Keep<'_>) {
    let query = redact::pairs(&inbound.query, keep);
    assert!(!has_planted(&query), "kept in the query: {}", text(&query));
    let kept = redact::body(inbound, keep);
    assert!(!has_planted(&kept.body), "kept in the body: {}", text(&kept.body));
    assert!(!has_planted(kept.content_type.as_bytes()));
}

fn check_read(postback: Result<Postback, Stop>) {
    match postback {
        Ok(postback) => {
            let shown = format!("{postback:?}");
            assert!(!has_planted(shown.as_bytes()), "in the postback: {shown}");
        }
        Err(stop) => assert!(!has_planted(stop.detail.as_bytes()), "in an answer: {}", stop.detail),
    }
}

fn read(
    params: crosstally_core::params::Params,
    headers: &Headers,
    partner: &Partner,
) -> Result<Postback, Stop> {
    let fields = parse::fields(params, headers, &partner.contract)?;
    normalise::postback(&fields, partners::setting(partner))
}

/// What decides about a booking.
fn decided(read: Result<Postback, Stop>) -> Result<Postback, Reason> {
    let mut postback = read.map_err(|stop| stop.reason)?;
    // The hashes are kept beside the call.
    postback.contact = crosstally_core::identity::Contact::default();
    Ok(postback)
}

/// A replay reads what was kept, and sees the same calls.
fn check_replay(inbound: &mut Inbound, partner: &Partner) {
    let keep = Keep { partner: Some(partner), contact: false };
    let kept = redact::body(inbound, keep);
    let other_separator =
        |raw: &[u8]| raw.contains(&b';') || raw.windows(3).any(|w| w.eq_ignore_ascii_case(b"%3b"));
    // Behind a semicolon all that may be a secret goes, with what it may belong to; what is sealed is not read from here.
    if kept.is_lost || other_separator(&inbound.query) || other_separator(&inbound.body) {
        return;
    }
    let again = Inbound {
        query: redact::pairs(&inbound.query, keep),
        body: kept.body,
        content_type: kept.content_type,
        headers: inbound.headers.clone(),
        ..Inbound::default()
    };
    let encoding = partner.contract.encoding();
    let (Ok(live), Ok(replayed)) = (body::rows(inbound, encoding), body::rows(&again, encoding)) else {
        return;
    };
    assert_eq!(live.len(), replayed.len());
    for (live, replayed) in live.into_iter().zip(replayed) {
        let (Ok(live), Ok(replayed)) = (live.params, replayed.params) else { continue };
        let live = decided(read(live, &inbound.headers, partner));
        let replayed = decided(read(replayed, &inbound.headers, partner));
        assert_eq!(live, replayed, "a replay of what is kept reads another call");
    }
}
