//! Macros that were not filled in: recognised in every style around any name, booked in none, and never seen where there
//! are none.

use crosstally_core::click::{AdClickIds, looks_like_macro};
use crosstally_core::config::preset;
use crosstally_core::macro_names::is_known;
use crosstally_core::params::Params;
use crosstally_core::postback::{Headers, normalise, parse};
use crosstally_core::reason::Reason;
use crosstally_core::template::{Brackets, Style, Template};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::input::{Input, text};
use crate::partners;

pub(super) const WORDS: &[&str] = &[
    "{",
    "}",
    "{{",
    "}}",
    "${",
    "[",
    "]",
    "[[[",
    "]]]",
    "[+",
    "+]",
    "[=",
    "=]",
    "__",
    "##",
    "#",
    "%",
    "<",
    ">",
    "(S_",
    ")",
    "@@",
    "!!!",
    "$",
    "payout",
    "ad.id",
    "aff_sub",
    "transaction_id",
    "20x",
    "fbclid",
    "cid",
    " ",
    "-",
    ":",
    "\u{e9}",
];

/// Around a name.
const STYLES: &[(&str, &str)] = &[
    ("{", "}"),
    ("${", "}"),
    ("[", "]"),
    ("##", "##"),
    ("%", "%"),
    ("__", "__"),
    ("{{", "}}"),
    ("<", ">"),
    ("[[[", "]]]"),
    ("[+", "+]"),
    ("(S_", ")"),
    ("#", "#"),
    ("[[", "]]"),
    ("[=", "=]"),
    ("@@", "@@"),
    ("!!!", "!!!"),
    ("{{{", "}}}"),
    ("#{", "}"),
    ("${(", ")!}"),
    ("$", "$"),
];

/// Fields that decide what is booked.
const DECIDING: &[&str] =
    &["click_id", "transaction_id", "status", "payout", "revenue", "currency", "event_time"];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let names = ["payout", "ad.id", "CID", "sub-1", "aff_sub", "add", "20x", "f0", "click id", "order:total"];
    let mut seeds = Vec::new();
    for style in 0..STYLES.len() {
        let choice = u8::try_from(style).unwrap_or(0) + b'0';
        for (field, name) in names.iter().enumerate() {
            let field = u8::try_from(field).unwrap_or(0) + b'0';
            seeds.push([&[choice, field], name.as_bytes()].concat());
        }
    }
    for preset in preset::all() {
        seeds.push([b"00", preset.template.as_bytes()].concat());
    }
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (open, close) = *input.pick(STYLES);
    let field = *input.pick(DECIDING);
    let text = text(input.rest());
    check_any(&text);
    check_word(&text);
    check_template(&text);
    let name: String = text.chars().filter(|c| is_of_name(*c)).take(64).collect();
    let name = name.trim();
    let is_amount = open == "$" && name.starts_with(|c: char| c.is_ascii_digit());
    if name.bytes().any(|byte| byte.is_ascii_alphabetic()) && !is_amount {
        check_macro(&format!("{open}{name}{close}"), field);
        check_macro(&format!(" {open}{name}{close}"), field);
    }
}

const fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | ' ')
}

/// Whatever is taken for a macro has a mark at both ends and letters between them.
fn check_any(text: &str) {
    let value = text.trim();
    if looks_like_macro(text) {
        // Spaces inside the marks count as little as those around them.
        let marks_and_name = value.chars().filter(|c| !c.is_whitespace()).count();
        assert!(marks_and_name <= 64 + 8 && value.bytes().any(|byte| byte.is_ascii_alphabetic()));
        assert!(value.starts_with(['{', '$', '#', '[', '_', '%', '<', '@', '!', '(']), "{value}");
        assert!(value.ends_with(['}', ']', '_', '#', '$', '%', '>', '@', '!', ')']), "{value}");
        assert!(looks_like_macro(value));
    }
}

/// An id, an amount or a word is none.
fn check_word(text: &str) {
    let word: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    let is_between_lines = word.starts_with("__") && word.ends_with("__");
    assert!(is_between_lines || !looks_like_macro(&word), "{word}");
    for number in ["", "-", "+"].map(|sign| format!("{sign}{}.50", word.len())) {
        assert!(!looks_like_macro(&number));
    }
}

fn check_template(text: &str) {
    let template = Template::parse(text);
    assert_eq!(template.to_string(), text);
    let filled = template.fill_encoded(|_| Some("{x}&=".into()));
    assert_eq!(template.macros().next().is_some(), filled != text);
    for found in template.macros() {
        let name = &found.name;
        assert!(
            looks_like_macro(&format!("{{{name}}}")) || !name.bytes().any(|byte| byte.is_ascii_alphabetic())
        );
    }
    // Whatever the brackets, nothing of the text is lost.
    assert_eq!(Template::read(text, Brackets::any(is_known, false)).0.to_string(), text);
    for style in Style::ALL {
        assert_eq!(Template::read(text, Brackets::only(*style, is_known)).0.to_string(), text);
    }
}

/// In any way of writing it, in any field that counts: waits for somebody, books nothing.
fn check_macro(value: &str, field: &'static str) {
    assert!(looks_like_macro(value), "{value}");
    let fbclid = Params::parse(format!("fbclid={}", escaped(value)).as_bytes()).expect("one parameter");
    assert!(AdClickIds::from_params(&fbclid).is_empty());
    let partner = partners::of(preset::generic());
    // As it is, and escaped by whoever passed it on.
    for written in [value.replace(' ', "+"), escaped(value)] {
        // With spaces, a macro in percent signs is not told from an escape.
        if written.contains(['&', '=']) || written.ends_with('%') && written.contains('+') {
            continue;
        }
        let others = [("click_id", "x"), ("transaction_id", "t1"), ("payout", "1.50"), ("currency", "USD")];
        let others = others.iter().filter(|(name, _)| *name != field);
        let pairs: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
        let call = format!("{field}={written}&{}", pairs.join("&"));
        let params = Params::parse(call.as_bytes()).expect("a few parameters");
        let fields = parse::fields(params, &Headers::default(), &partner.contract).expect("clean text");
        let stop =
            normalise::postback(&fields, partners::setting(partner)).expect_err("a macro is never booked");
        assert_eq!(stop.reason, Reason::MacroUnresolved, "{call}");
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
