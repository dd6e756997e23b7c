//! What of a page's own words is kept: no contact values and no secrets, by the rules of partners' calls.

use serde_json::{Map, Value};

use super::shown;
use crate::browser::FIELDS_MAX;
use crate::fields::{FieldKind, field_named};
use crate::postback::redact::{self, Keep};

/// Names that partners' calls have for other things, and pages for a person.
const CLOSE: &[&str] = &["e-mail", "em", "ph", "tel", "fn", "ln", "name"];
/// What is told of many at once, as sources do of their traffic: in an address it stays.
const COARSE: &[&str] = &["country", "state", "city", "gender"];

/// The fields of an event that are kept: neither contact values nor secrets, by name at any depth, and no text with an `@`.
#[must_use]
pub fn kept_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let open = fields.into_iter().filter(|(name, _)| !is_closed(name)).collect();
    match shown::masked(&Value::Object(open)) {
        Value::Object(masked) => masked.into_iter().filter_map(member).take(FIELDS_MAX).collect(),
        _ => Map::new(),
    }
}

fn is_closed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_personal = field_named(&name).is_some_and(|field| field.kind == FieldKind::Personal);
    is_personal || CLOSE.contains(&name.as_str())
}

fn member((name, value): (String, Value)) -> Option<(String, Value)> {
    let value = kept(value)?;
    (!tells(&name)).then_some((name, value))
}

/// A value without what is masked in it; nothing of what is empty then.
fn kept(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => (!tells(&text) && text.as_bytes() != redact::MASK).then_some(text.into()),
        Value::Array(list) => {
            let list: Vec<Value> = list.into_iter().filter_map(kept).collect();
            (!list.is_empty()).then_some(list.into())
        }
        Value::Object(map) => {
            let map: Map<String, Value> = map.into_iter().filter_map(member).collect();
            (!map.is_empty()).then_some(map.into())
        }
        other => Some(other),
    }
}

/// Whether a text may hold a mail address.
fn tells(text: &str) -> bool {
    text.contains('@') || redact::without_mails(text).is_some()
}

/// A query without the parameters that hold contact values or secrets. The others stay byte for byte.
#[must_use]
pub fn kept_query(query: &str) -> String {
    let masked = redact::pairs(query.as_bytes(), Keep::default());
    // What is masked holds no `&`: piece stands beside piece.
    let pieces = query.split('&').zip(masked.split(|&byte| byte == b'&'));
    let open = pieces.filter(|(piece, masked)| {
        let is_coarse = piece.split_once('=').is_some_and(|(name, value)| {
            COARSE.iter().any(|coarse| coarse.eq_ignore_ascii_case(name)) && !value.contains(['=', ';', '%'])
        });
        (is_coarse || piece.as_bytes() == *masked) && redact::without_mails(piece).is_none()
    });
    open.map(|(piece, _)| piece).collect::<Vec<_>>().join("&")
}

/// A page's URL with what is kept of its query, without mail addresses in its path and without its fragment.
#[must_use]
pub fn kept_page(page: &str) -> String {
    let page = page.split('#').next().unwrap_or_default();
    match page.split_once('?') {
        None => kept_path(page),
        Some((path, query)) => match kept_query(query) {
            kept if kept.is_empty() && !query.is_empty() => kept_path(path),
            kept => format!("{}?{kept}", kept_path(path)),
        },
    }
}

/// A URL up to its query. What stands before the path is no mail address, though it may look like one.
fn kept_path(url: &str) -> String {
    let site = url.find("://").map_or(0, |at| at + 3);
    let site = url.get(site..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| site + at);
    let (site, path) = url.split_at(site);
    format!("{site}{}", redact::without_mails(path).as_deref().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_lose_what_is_personal() {
        let given = json!({"value": "12.34", "email": "a@b.example", "Phone": "1", "note": "write to a@b.example",
            "token": "x", "content_ids": ["a"], "empty": null, "user_data": {"email": "x", "fbp": "fb.1.1.5", "zp": "1"},
            "list": ["jane@doe.example", "b"], "all": ["jane%40doe.example"], "phone_number": "1", "firstName": "J", "dob": "1",
            "iban": "D", "contents": [{"id": "A-1", "name": "Shirt"}], "asked": [{"name": "email", "value": "j"}],
            "link": "https://a.example/?token=s3cret&x=1", "jane@doe.example": 1, "num": 1.10});
        let Value::Object(given) = given else { panic!() };
        let kept = json!({"value": "12.34", "content_ids": ["a"], "user_data": {"fbp": "fb.1.1.5"}, "list": ["b"],
            "contents": [{"id": "A-1", "name": "Shirt"}], "asked": [{"name": "email"}],
            "link": "https://a.example/?token=***&x=1", "num": 1.10});
        assert_eq!(Value::Object(kept_fields(given)), kept);
    }

    #[test]
    fn pages_lose_parameters_with_contacts_and_secrets_and_nothing_else() {
        for (page, kept) in [
            (
                "https://a.example/thanks?email=jane@doe.example&order=%41%2b1&phone=1&token=s&x",
                "https://a.example/thanks?order=%41%2b1&x",
            ),
            ("https://a.example/t?user%5Bemail%5D=j&a=1", "https://a.example/t?a=1"),
            ("https://a.example/t?who=jane%40doe.example", "https://a.example/t"),
            ("https://a.example/t?who=jane%2540doe.example&b=", "https://a.example/t?b="),
            (
                "https://a.example/t?fields[0][name]=email&fields[0][value]=j&c",
                "https://a.example/t?fields[0][name]=email&c",
            ),
            (
                "https://a.example/t?back=https%3A%2F%2Fb.example%2F%3Ftoken%3Ds&c=%40jane",
                "https://a.example/t?c=%40jane",
            ),
            (
                "https://a.example/t?country=US&zip=10001&sub1=a;b&fbclid=IwAR",
                "https://a.example/t?country=US&sub1=a;b&fbclid=IwAR",
            ),
            ("https://a.example/@jane?", "https://a.example/@jane?"),
            ("https://a.example/#token=s", "https://a.example/"),
            ("https://a.example/u/jane%40doe.example/thanks?a=1", "https://a.example/u/***/thanks?a=1"),
            ("https://a.example/u/jane@doe.example", "https://a.example/u/***"),
            ("https://jane@a.example/t", "https://jane@a.example/t"),
            ("", ""),
        ] {
            assert_eq!(kept_page(page), kept);
        }
    }
}
