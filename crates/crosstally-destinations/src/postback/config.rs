//! The settings of a postback.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::macro_names::CONSTANT_PREFIX;
use crosstally_core::target::Target;
use crosstally_core::template::{Function, Piece, Style, Template};
use crosstally_core::{hops, limits};
use url::Url;

use super::effective::Effective;
use super::escape::Escape;
use super::{leftover, preset, response};
use crate::age;
use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::setting::optional_text;

const HEADERS_MAX: usize = 32;
const SUCCESS_BYTES_MAX: usize = 256;

/// Headers that belong to the connection or to another setting.
const RESERVED_HEADERS: [&str; 10] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "expect",
    "te",
    "upgrade",
    hops::HEADER,
];

const CONSTANTS_MAX: usize = 32;
const CHECKS_MAX: usize = 16;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    optional_text(
        "preset",
        "The traffic source that is told; its preset brings URL, macros and success rule.",
    ),
    SettingField {
        name: "url",
        field_type: FieldType::UrlTemplate,
        required: false,
        help: "What is called; macros such as {click_id} may stand in its path and query. Required without a preset.",
    },
    SettingField {
        name: "constants",
        field_type: FieldType::Map,
        required: false,
        help: "Values of this account by name: {const.aid} stands for the one named aid.",
    },
    SettingField {
        name: "click_params",
        field_type: FieldType::List,
        required: false,
        help: "The parameters of the click link in which the source's click id may stand, in order.",
    },
    optional_text(
        "brackets",
        "The one way in which macros are marked, such as [x]; without it all are read.",
    ),
    optional_text("method", "GET, which is the default, or POST."),
    optional_text("body", "The body of a POST, with macros."),
    optional_text(
        "content_type",
        "The body's type, which decides how values are escaped; application/x-www-form-urlencoded by default.",
    ),
    SettingField {
        name: "headers",
        field_type: FieldType::Map,
        required: false,
        help: "Further headers; their values may have macros, such as Bearer {secret}.",
    },
    SettingField {
        name: "secret",
        field_type: FieldType::Secret,
        required: false,
        help: "What the macro {secret} stands for; it is masked wherever it is shown.",
    },
    SettingField {
        name: "success_status",
        field_type: FieldType::List,
        required: false,
        help: "The statuses of a success, such as 200 or 200-204; 200-299 by default.",
    },
    optional_text(
        "success_body_contains",
        "Text that the answer's body must contain; without it an answer of 200 to 299 is a refusal.",
    ),
    optional_text("failure_body_contains", "Text by which the answer's body says that nothing was taken."),
    optional_text("success_body_matches", "A regular expression that the answer's body must match."),
    SettingField {
        name: "success_json",
        field_type: FieldType::Map,
        required: false,
        help: "What must stand where in the JSON of the answer's body, such as data.status = ok.",
    },
    age::MAX_AGE_DAYS,
];

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    let mut note = |name: &str, problem: Option<String>| {
        problems.extend(problem.map(|problem| SettingProblem::new(name, problem)));
    };
    let text = |name: &str| match settings.get(name) {
        Some(Setting::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let effective = Effective::of(settings);
    note("preset", text("preset").and_then(preset_problem));
    note(
        "brackets",
        text("brackets").and_then(|sample| brackets_problem(sample, effective.preset.is_some())),
    );
    match effective.url() {
        "" if text("preset").is_some() => {}
        "" => note("url", Some("is missing; write what is called, or name a preset".to_owned())),
        url => note("url", url_problem(url, &effective)),
    }
    note("method", text("method").and_then(method_problem));
    for name in ["body", "content_type"] {
        let stray = text(name).is_some() && effective.method() != "POST";
        note(name, stray.then(|| "is never sent with GET; set method = \"POST\" or remove it".to_owned()));
    }
    if text("content_type").is_some_and(|text| Escape::of_content_type(text).is_none()) {
        let problem = format!("is not a type that is written here; use one of {}", Escape::TYPES);
        note("content_type", Some(problem));
    }
    note("body", effective.body().and_then(|text| body(text, &effective)));
    for name in ["success_body_contains", "failure_body_contains"] {
        note(name, text(name).and_then(success));
    }
    note("success_body_matches", text("success_body_matches").and_then(expression));
    answers(&effective, &mut note);
    if let Some(Setting::Map(map)) = settings.get("headers") {
        headers(map, &mut note);
    }
    constants(&effective, &mut note);
    if problems.is_empty() {
        problems.extend(macros(settings, &effective));
    }
    problems.extend(age::max_problem(settings));
    problems
}

fn preset_problem(name: &str) -> Option<String> {
    let names: Vec<&str> = preset::all().iter().map(|preset| preset.name.as_str()).collect();
    (!names.contains(&name))
        .then(|| format!("is no preset of a traffic source; use one of {}", names.join(", ")))
}

fn brackets_problem(sample: &str, with_preset: bool) -> Option<String> {
    if Style::of_sample(sample).is_none() {
        let samples: Vec<&str> = Style::ALL.iter().map(|style| style.sample).collect();
        return Some(format!("is not a way to mark macros; use one of {}", samples.join(", ")));
    }
    with_preset.then(|| "is not for a preset, which is written in {braces}; remove it".to_owned())
}

/// What is wrong with the macros: each one that can never be filled in.
fn macros(settings: &BTreeMap<String, Setting>, effective: &Effective<'_>) -> Vec<SettingProblem> {
    let mut problems: Vec<SettingProblem> = Vec::new();
    let mut note = |name: &str, problem: String| {
        let found = SettingProblem::new(name, problem);
        if !problems.contains(&found) {
            problems.push(found);
        }
    };
    for (setting, text, escape) in effective.templates() {
        let (template, faults) = effective.template(text, escape);
        for fault in &faults {
            note(setting, format!("has `{}`, which {}", fault.written, fault.problem));
        }
        for found in template.macros() {
            if let Some(name) =
                found.name.strip_prefix(CONSTANT_PREFIX).filter(|n| effective.constant(n).is_none())
            {
                let help = effective.preset.and_then(|preset| preset.constants.get(name));
                let help = help.map_or_else(String::new, |help| format!(": {help}"));
                note("constants", format!("lacks `{name}`; add constants = {{ {name} = \"..\" }}{help}"));
            } else if found.name.eq_ignore_ascii_case("secret") && found.functions.iter().any(changes) {
                let problem = "changes the secret, which could then not be masked where calls are shown";
                note(setting, format!("has `{}`, which {problem}; use {{secret}} as it is", found.written));
            } else if found.name.eq_ignore_ascii_case("secret") && !settings.contains_key("secret") {
                let help = effective.preset.and_then(|preset| preset.secret.as_deref());
                let help = help.map_or_else(String::new, |help| format!(": {help}"));
                let fix = "add secret = { env = \"PARTNER_SECRET\" }";
                note("secret", format!("is missing, which `{}` stands for; {fix}{help}", found.written));
            }
        }
        if let Some(left) = unfilled(&template, escape).filter(|_| faults.is_empty()) {
            let fix = "write a macro that is known here, {click.NAME} for a parameter of the click, or say in `brackets` how macros are marked";
            note(setting, format!("would send `{left}` as it is; {fix}"));
        }
    }
    problems
}

/// Whether a function makes another text of a value.
const fn changes(function: &Function) -> bool {
    !matches!(function, Function::Raw | Function::Required | Function::Default(_))
}

/// What still looks like a macro when every macro has a value.
fn unfilled(template: &Template, escape: Escape) -> Option<String> {
    let filled = escape.fill(template, |_| Ok(Some("1".into()))).ok()?;
    match escape {
        Escape::Percent if filled.contains("://") => leftover::in_url(&filled),
        _ => leftover::in_body(&filled, escape),
    }
}

fn url_problem(text: &str, effective: &Effective<'_>) -> Option<String> {
    let example = "write it like https://partner.example/postback?cid={click_id}";
    // A redirect target has the same rule: whoever fills a macro must not choose the host.
    if let Err(error) = Target::parse(text) {
        return Some(format!("{error}; {example}"));
    }
    let template = effective.template(text, Escape::Percent).0;
    let Some(Piece::Text(head)) = template.pieces().first() else {
        return Some(format!("begins with a macro; {example}"));
    };
    let authority = head.split("://").nth(1)?;
    if template.pieces().len() > 1 && !authority.contains(['/', '?']) {
        return Some(format!("has a macro in its host; {example}"));
    }
    if Url::parse(&template.fill_encoded(|_| None)).is_err() {
        return Some(format!("is not an absolute http:// or https:// URL; {example}"));
    }
    let is_fragment = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('#'));
    if template.pieces().iter().any(is_fragment) {
        return Some("has a fragment, which is never sent; remove what stands behind the #".to_owned());
    }
    let host = authority.split(['/', '?']).next()?;
    host.contains('@')
        .then(|| "has a user name or password in it; use a header with {secret} instead".to_owned())
}

fn method_problem(text: &str) -> Option<String> {
    (!matches!(text, "GET" | "POST"))
        .then(|| "is neither GET nor POST; write one of them in capitals".to_owned())
}

fn body(text: &str, effective: &Effective<'_>) -> Option<String> {
    let escape = effective.body_escape();
    if text.len() > limits::POSTBACK_BODY_BYTES_MAX {
        return Some(format!("is longer than {} bytes; shorten it", limits::POSTBACK_BODY_BYTES_MAX));
    }
    // A macro that may not be empty stands for something.
    let filled = |value: Option<&'static str>| {
        escape.fill(&effective.template(text, escape).0, |_| Ok(value.map(std::borrow::Cow::Borrowed)))
    };
    let empty = filled(None).or_else(|_| filled(Some("1"))).unwrap_or_else(|_| "null".to_owned());
    let broken = matches!(escape, Escape::Json) && serde_json::from_str::<serde_json::Value>(&empty).is_err();
    broken
        .then(|| format!("is not JSON once its macros are filled in, but {}; correct it", shortened(&empty)))
}

fn shortened(text: &str) -> String {
    crate::answer::shorten(&crate::answer::line(text))
}

fn success(text: &str) -> Option<String> {
    let fine = (1..=SUCCESS_BYTES_MAX).contains(&text.len());
    (!fine).then(|| {
        format!("must have 1 to {SUCCESS_BYTES_MAX} bytes; shorten it, or remove it to take every body")
    })
}

fn expression(text: &str) -> Option<String> {
    if text.len() > SUCCESS_BYTES_MAX {
        return Some(format!("must have 1 to {SUCCESS_BYTES_MAX} bytes; shorten it"));
    }
    response::regex(text)
        .err()
        .map(|_| "is no regular expression; write one such as ^(OK|duplicate)".to_owned())
}

/// The rules of success that are lists and maps.
fn answers(effective: &Effective<'_>, note: &mut impl FnMut(&str, Option<String>)) {
    let ranges = effective.list("success_status");
    let bad = ranges.iter().find(|range| response::bounds(range).is_none());
    note(
        "success_status",
        bad.map(|range| format!("has {range:?}, which is no status; write 200 or 200-204")),
    );
    let redirects = |range: &&String| [300, 399].iter().any(|status| response::holds(range, *status));
    let bad = ranges.iter().find(redirects);
    note(
        "success_status",
        bad.map(|range| {
            format!(
                "has redirects in {range:?}, which are never followed and never a success; end it before 300"
            )
        }),
    );
    let checks = effective.map("success_json").count();
    for (name, count) in [("success_status", ranges.len()), ("success_json", checks)] {
        note(name, (count > CHECKS_MAX).then(|| format!("has more than {CHECKS_MAX} items; remove some")));
    }
}

fn constants(effective: &Effective<'_>, note: &mut impl FnMut(&str, Option<String>)) {
    let count = effective.map("constants").count();
    note(
        "constants",
        (count > CONSTANTS_MAX).then(|| format!("has more than {CONSTANTS_MAX} values; remove some")),
    );
    for (name, value) in effective.map("constants") {
        let fine =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        note("constants", (!fine).then(|| format!("has the name {name:?}; use letters, digits, - and _")));
        let fine = value.len() <= limits::PARAM_VALUE_BYTES_MAX && !value.trim().is_empty();
        note("constants", (!fine).then(|| format!("has no usable value for `{name}`; write a short text")));
    }
}

fn headers(map: &BTreeMap<String, String>, note: &mut impl FnMut(&str, Option<String>)) {
    if map.len() > HEADERS_MAX {
        note("headers", Some(format!("has more than {HEADERS_MAX} headers; remove some")));
    }
    for (name, value) in map {
        let is_token = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !is_token {
            note("headers", Some(format!("has the name {name:?}, which is no header's; correct it")));
        } else if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            note("headers", Some(format!("has `{name}`, which is set by itself; remove it")));
        }
        if value.len() > limits::PARAM_VALUE_BYTES_MAX
            || value.bytes().any(|b| !matches!(b, b' '..=b'~' | b'\t'))
        {
            note(
                "headers",
                Some(format!(
                    "has a value of `{name}` that cannot be sent; use printable ASCII without line breaks"
                )),
            );
        }
    }
}

/// Whether the call has a place for this macro.
pub(super) fn has_macro(settings: &Settings, name: &str) -> bool {
    let effective = Effective::of(&settings.values);
    let has = |(_, text, escape): (&str, &str, Escape)| {
        effective
            .known(&settings.templates, text, escape)
            .macros()
            .any(|found| found.name.eq_ignore_ascii_case(name))
    };
    effective.templates().into_iter().any(has)
}
