//! The call that is sent: to a partner's door as it stands, or as a delivery would make it from a template.

use crosstally_core::event::{Origin, OutboundEvent};
use crosstally_core::fields::{SECRET_NAMES, TOKEN_PARAMS};
use crosstally_core::postback::Inbound;
use crosstally_core::postback::redact::is_masked;
use crosstally_core::secret::Secret;
use crosstally_core::template::write_encoded;
use crosstally_core::time::Timestamp;
use crosstally_destinations::catalog;
use crosstally_destinations::dialect::{Request, Settings};
use serde_json::{Value, json};
use url::Url;

use super::super::Bench;
use super::{Lint, Wanted};
use crate::settings::check_config;

/// What stands in place of a token.
const WRONG: &str = "wrong-token";

/// A call, and how the other side will see it.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) request: Request,
    pub(super) inbound: Inbound,
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    write_encoded(text, false, &mut out);
    out
}

/// The call to a partner's door.
pub(super) fn door(wanted: &Wanted) -> Made {
    let click = wanted.click.iter().map(|click| ("click_id".to_owned(), click.clone()));
    let pairs: Vec<String> = click
        .chain(wanted.params.iter().cloned())
        .map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value)))
        .collect();
    let pairs = pairs.join("&");
    let asked = wanted.method.as_deref().map(str::to_ascii_uppercase);
    let is_post = asked.as_deref() == Some("POST") || wanted.json_body.is_some();
    let (query, body, content_type) = match &wanted.json_body {
        Some(body) => (pairs, body.clone().into_bytes(), "application/json"),
        None if is_post => (String::new(), pairs.into_bytes(), "application/x-www-form-urlencoded"),
        None => (pairs, Vec::new(), ""),
    };
    let method = if is_post { "POST" } else { "GET" };
    let target = if query.is_empty() { String::new() } else { format!("?{query}") };
    let base = wanted.url.trim_end_matches('/');
    let url = format!("{base}/postback/{}{target}", escaped(&wanted.partner));
    let headers = if content_type.is_empty() {
        Vec::new()
    } else {
        vec![("content-type".to_owned(), content_type.to_owned())]
    };
    let inbound = Inbound {
        method: method.to_owned(),
        query: query.into_bytes(),
        body: body.clone(),
        ..Inbound::default()
    };
    let tokens = wanted.params.iter().filter(|(name, _)| is_token(name) || is_secret_name(name));
    // An answer may repeat them under any name.
    let secrets = tokens.map(|(_, value)| value).chain(&wanted.secret).map(Secret::new).collect();
    let request = Request { method, url: url.into(), headers, body_shown: Vec::new(), body, secrets };
    Made { request, inbound }
}

/// The call that a delivery with this template would make; nothing if the template has mistakes.
pub(super) fn from_template(bench: &Bench<'_>, wanted: &Wanted, lints: &mut Vec<Lint>) -> Option<Made> {
    let mut document = String::from("[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n");
    document.push_str("[[destination]]\nslug = \"tried\"\nkind = \"postback\"\n");
    document.push_str(&format!("url = {}\n", json!(wanted.template)));
    document.push_str(&format!("allow_private = {}\n", wanted.allow_private));
    if let Some(method) = &wanted.method {
        document.push_str(&format!("method = {}\n", json!(method.to_ascii_uppercase())));
    }
    if wanted.secret.is_some() {
        document.push_str("secret = { env = \"NOT_LOOKED_UP\" }\n");
    }
    let config = match check_config(&document, "template") {
        Ok((config, warnings)) => {
            lints.extend(warnings.into_iter().map(|warning| Lint {
                is_error: false,
                problem: warning.problem,
                fix: warning.fix,
            }));
            config
        }
        Err(problems) => {
            let of = |problem: crosstally_core::config::Problem| Lint {
                is_error: true,
                problem: problem.problem,
                fix: problem.fix,
            };
            lints.extend(problems.into_iter().map(of));
            return None;
        }
    };
    let destination = config.destinations.first()?;
    let dialect = catalog::by_kind("postback")?;
    let mut settings = Settings { values: destination.settings.clone(), ..Settings::default() };
    if let Some(secret) = &wanted.secret {
        settings.secrets.insert("secret".to_owned(), Secret::new(secret.clone()));
    }
    let built = dialect.build(&settings, &[event(wanted, bench.now)], bench.now);
    let left = built.left_out.into_iter().map(|left| Lint {
        is_error: true,
        problem: left.detail,
        fix: "give the value as NAME=VALUE".to_owned(),
    });
    lints.extend(left);
    let request = built.request?;
    let query = request.url.read().ok()?.query().unwrap_or_default().as_bytes().to_vec();
    let inbound = Inbound {
        method: request.method.to_owned(),
        query,
        body: request.body.clone(),
        ..Inbound::default()
    };
    Some(Made { request, inbound })
}

/// An event with the values that were given under the macros' names.
fn event(wanted: &Wanted, now: Timestamp) -> OutboundEvent {
    let of =
        |name: &str| wanted.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let text = |name: &str| of(name).unwrap_or_default();
    let params = wanted.params.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
    OutboundEvent {
        event_name: of("event_name").unwrap_or_else(|| "Purchase".to_owned()),
        event_time: of("event_time").and_then(|at| Timestamp::parse(&at)).unwrap_or(now),
        event_id: text("event_id"),
        value: of("value").or_else(|| of("payout")),
        currency: of("currency"),
        origin: Origin {
            goal: text("goal"),
            conversion: text("conversion_id"),
            click_id: wanted.click.clone().unwrap_or_else(|| text("click_id")),
            click_time: Some(now),
            campaign: text("campaign"),
            source: text("source"),
            partner: text("partner"),
            transaction_id: text("transaction_id"),
            event: text("event"),
            external_id: text("external_id"),
            status: of("status").unwrap_or_else(|| "approved".to_owned()),
            payout: text("payout"),
            revenue: text("revenue"),
            currency: text("currency"),
            params: params.collect(),
            ..Origin::default()
        },
        ..OutboundEvent::default()
    }
}

fn is_token(name: &str) -> bool {
    TOKEN_PARAMS.iter().any(|token| token.eq_ignore_ascii_case(name))
}

fn is_secret_name(name: &str) -> bool {
    SECRET_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What is made wrong, and the call with it; or why nothing can be.
pub(super) fn spoiled(wanted: &Wanted, made: &Made) -> (String, Option<Made>) {
    if !wanted.template.is_empty() {
        let Some(url) = spoiled_url(&made.request.url) else {
            let none = "nothing in the template looks like a token: there is no wrong one to try".to_owned();
            return (none, None);
        };
        let request = Request { url: url.into(), ..made.request.clone() };
        return ("its token was made wrong".to_owned(), Some(Made { request, ..made.clone() }));
    }
    let mut other = wanted.clone();
    let mut touched = false;
    for (_, value) in other.params.iter_mut().filter(|(name, _)| is_token(name)) {
        WRONG.clone_into(value);
        touched = true;
    }
    let wrong = match (touched, &wanted.scheme) {
        (_, Some(_)) => "its signature was made wrong",
        (true, None) => "its token was made wrong",
        (false, None) => {
            other.params.push(("token".to_owned(), WRONG.to_owned()));
            "it had no token, and a wrong one was put in"
        }
    };
    (wrong.to_owned(), Some(door(&other)))
}

/// The URL with every secret parameter made wrong; nothing if there is none.
fn spoiled_url(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let secret = |name: &str| is_masked(name, None);
    if !url.query_pairs().any(|(name, _)| secret(&name)) {
        return None;
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| {
            let value = if secret(&name) { WRONG.to_owned() } else { value.into_owned() };
            (name.into_owned(), value)
        })
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    Some(url.into())
}
