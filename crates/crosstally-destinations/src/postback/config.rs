//! The settings of a postback.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::limits;
use crosstally_core::target::Target;
use crosstally_core::template::Template;

use super::macros::Escape;
use crate::age;
use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};

const HEADERS_MAX: usize = 32;
const SUCCESS_BYTES_MAX: usize = 256;

/// Headers that belong to the connection or to another setting.
const RESERVED_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "expect",
    "te",
    "upgrade",
];

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    SettingField {
        name: "url",
        field_type: FieldType::UrlTemplate,
        required: true,
        help: "The partner's URL; macros such as {click_id} may stand in its path and query.",
    },
    SettingField {
        name: "method",
        field_type: FieldType::Text,
        required: false,
        help: "GET, which is the default, or POST.",
    },
    SettingField {
        name: "body",
        field_type: FieldType::Text,
        required: false,
        help: "The body of a POST, with macros.",
    },
    SettingField {
        name: "content_type",
        field_type: FieldType::Text,
        required: false,
        help: "The body's type, which decides how values are escaped; application/x-www-form-urlencoded by default.",
    },
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
        name: "success_body_contains",
        field_type: FieldType::Text,
        required: false,
        help: "Text that the answer's body must contain; without it an answer of 200 to 299 is a refusal.",
    },
    age::MAX_AGE_DAYS,
];

/// The method in use.
pub(super) fn method(settings: &Settings) -> &'static str {
    if settings.text("method") == Some("POST") { "POST" } else { "GET" }
}

/// The body's type in use.
pub(super) fn content_type(settings: &Settings) -> &str {
    settings.text("content_type").unwrap_or("application/x-www-form-urlencoded")
}

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
    note("url", text("url").and_then(url));
    note("method", text("method").and_then(method_problem));
    let is_post = text("method") == Some("POST");
    for name in ["body", "content_type"] {
        let stray = text(name).is_some() && !is_post;
        note(name, stray.then(|| "is never sent with GET; set method = \"POST\" or remove it".to_owned()));
    }
    let escape = match text("content_type").map(Escape::of_content_type) {
        None => Escape::Percent,
        Some(Some(escape)) => escape,
        Some(None) => {
            note(
                "content_type",
                Some(format!("is not a type that is written here; use one of {}", Escape::TYPES)),
            );
            Escape::Plain
        }
    };
    note("body", text("body").and_then(|text| body(text, escape)));
    note("success_body_contains", text("success_body_contains").and_then(success));
    if let Some(Setting::Map(map)) = settings.get("headers") {
        headers(map, &mut note);
    }
    problems.extend(age::max_problem(settings));
    problems
}

fn url(text: &str) -> Option<String> {
    // A redirect target has the same rule: whoever fills a macro must not choose the host.
    if let Err(error) = Target::parse(text) {
        return Some(format!("{error}; write it like https://partner.example/postback?cid={{click_id}}"));
    }
    if text.contains('#') {
        return Some("has a fragment, which is never sent; remove what stands behind the #".to_owned());
    }
    let authority = text.split("://").nth(1)?.split(['/', '?']).next()?;
    authority
        .contains('@')
        .then(|| "has a user name or password in it; use a header with {secret} instead".to_owned())
}

fn method_problem(text: &str) -> Option<String> {
    (!matches!(text, "GET" | "POST"))
        .then(|| "is neither GET nor POST; write one of them in capitals".to_owned())
}

fn body(text: &str, escape: Escape) -> Option<String> {
    if text.len() > limits::POSTBACK_BODY_BYTES_MAX {
        return Some(format!("is longer than {} bytes; shorten it", limits::POSTBACK_BODY_BYTES_MAX));
    }
    let empty = escape.fill(&Template::parse(text), |_| None);
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
    let body = settings.text("body").filter(|_| method(settings) == "POST");
    let texts =
        settings.text("url").into_iter().chain(body).chain(settings.map("headers").map(|(_, text)| text));
    texts.into_iter().any(|text| Template::parse(text).macros().any(|known| known == name))
}
