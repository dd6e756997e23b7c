//! Reads partners.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::document::{Section, Text, shown};
use super::findings::{Findings, one_of};
use super::secret;
use crate::click::looks_like_macro;
use crate::config::secrets::names_a_token;
use crate::config::{Auth, DuplicateMode, Partner, ValueOf, Word};
use crate::fields::FIELDS;
use crate::ledger::Status;
use crate::limits;

const PRESETS: &[&str] = &["generic"];
const KEYS: &[&str] =
    &["slug", "preset", "currency", "value", "params", "statuses", "missing_status", "duplicates", "auth"];

pub(super) fn partner(section: &Section<'_>, slug: String, found: &mut Findings<'_>) -> Partner {
    section.refuse_unknown(KEYS.iter().copied(), found);
    preset(section, found);
    Partner {
        preset: "generic".to_owned(),
        currency: section.currency("currency", found),
        value: section.word::<ValueOf>("value", found).unwrap_or_default(),
        params: params(section, found),
        statuses: statuses(section, found),
        missing_status: section.word("missing_status", found).unwrap_or(Status::Approved),
        duplicates: duplicates(section, found),
        auth: auth(section, &slug, found),
        slug,
    }
}

fn preset(section: &Section<'_>, found: &mut Findings<'_>) {
    let Some(preset) = section.text("preset", found) else { return };
    if PRESETS.contains(&preset.text) {
        return;
    }
    // A preset that changed nothing would lie.
    let problem = format!("preset {} is not available in this version", shown(preset.text));
    found.problem(&preset.spot, problem, "use generic with params and statuses");
}

fn duplicates(section: &Section<'_>, found: &mut Findings<'_>) -> DuplicateMode {
    let Some(text) = section.text("duplicates", found) else { return DuplicateMode::default() };
    let mode = DuplicateMode::ALL.iter().copied().find(|mode| mode.word() == text.text);
    mode.unwrap_or_else(|| {
        let known: Vec<&str> = DuplicateMode::ALL.iter().map(|mode| mode.word()).collect();
        let problem = format!("duplicates = {} is not available in this version", shown(text.text));
        found.problem(&text.spot, problem, format!("use {}", one_of(&known)));
        DuplicateMode::default()
    })
}

/// Our field names to the partner's parameter names.
fn params(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    let Some(table) = section.table("params", r#"{ click_id = "aff_sub" }"#, found) else { return params };
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (spot, item) in table.items() {
        let field = item.key.clone();
        if !FIELDS.iter().any(|known| known.name == field) {
            let fix = match FIELDS.iter().find(|known| known.accepted.contains(&field.as_str())) {
                Some(known) => {
                    format!("write `{}`: the key is our name, the value is the partner's", known.name)
                }
                None => found.meant(&field, FIELDS.iter().map(|known| known.name)),
            };
            found.problem(&spot, format!("{} is not a field of a postback", shown(&field)), fix);
            continue;
        }
        let Some(text) = item.into_text(found) else { continue };
        let Some(theirs) = param_name(&text, &field, found) else { continue };
        // Parameter names are matched in any case.
        if let Some(other) = taken.insert(theirs.to_ascii_lowercase(), field.clone()) {
            let problem = format!("parameter {} is given to both `{other}` and `{field}`", shown(&theirs));
            found.problem(&text.spot, problem, "give each parameter to one field");
            continue;
        }
        params.insert(field, theirs);
    }
    params
}

fn param_name(text: &Text<'_>, field: &str, found: &mut Findings<'_>) -> Option<String> {
    let name = text.name(field, limits::PARAM_NAME_BYTES_MAX, found)?;
    if looks_like_macro(&name) {
        let bare = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let problem = format!("{} is a macro, not the name of a parameter", shown(&name));
        found.problem(
            &text.spot,
            problem,
            format!("write the name as it stands in the URL: {field} = \"{bare}\""),
        );
        return None;
    }
    if names_a_token(&name) {
        found.warning(
            &text.spot,
            format!(
                "parameter {} is taken for the partner's token, and its value is never kept",
                shown(&name)
            ),
            "ask the partner for another parameter name",
        );
    }
    Some(name)
}

/// The partner's words, in lower case, to ours.
fn statuses(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, Status> {
    let mut statuses = BTreeMap::new();
    let Some(table) = section.table("statuses", r#"{ "1" = "approved" }"#, found) else { return statuses };
    for (spot, item) in table.items() {
        let word = item.key.trim().to_lowercase();
        if word.is_empty() {
            let fix = "remove it; `missing_status` says what a call without a status means";
            found.problem(&spot, "the empty word is not a status", fix);
            continue;
        }
        if word.len() > limits::PARAM_NAME_BYTES_MAX || word.chars().any(char::is_control) {
            let problem = format!("{} cannot be a status word", shown(&word));
            found.problem(
                &spot,
                problem,
                format!("use at most {} bytes on one line", limits::PARAM_NAME_BYTES_MAX),
            );
            continue;
        }
        let key = item.key.clone();
        let status = item.into_text(found).and_then(|text| text.word::<Status>("statuses", found));
        let Some(status) = status else { continue };
        if statuses.insert(word, status).is_some_and(|other| other != status) {
            let problem = format!("{} is mapped twice: the case of status words does not count", shown(&key));
            found.problem(&spot, problem, "keep one of the two");
        }
    }
    statuses
}

fn auth(section: &Section<'_>, slug: &str, found: &mut Findings<'_>) -> Auth {
    let example = format!("{{ token = {} }}", secret::example(slug, "token"));
    let Some(auth) = section.table("auth", &example, found) else { return Auth::default() };
    auth.refuse_unknown(["token", "hmac", "allow"], found);
    let allow: Vec<Text<'_>> = auth.list("allow", found);
    if let Some(item) = auth.item("allow")
        && item.value.as_array().is_some_and(|array| array.is_empty())
    {
        let fix = "name the partner's addresses, or remove `allow`";
        found.warning(&item.spot, "`allow` is empty, which lets every address in", fix);
    }
    Auth {
        token: auth.item("token").and_then(|item| secret::read(item, slug, found)),
        hmac: auth.item("hmac").and_then(|item| secret::read(item, slug, found)),
        allow: allow.iter().filter_map(|text| range(text, found)).collect(),
    }
}

fn range(text: &Text<'_>, found: &mut Findings<'_>) -> Option<IpNet> {
    let single = || text.text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address));
    let Some(range) = text.text.parse::<IpNet>().ok().or_else(single) else {
        let problem = format!("{} is not an address range", shown(text.text));
        found.problem(&text.spot, problem, "write it like \"203.0.113.0/24\" or \"2001:db8::/32\"");
        return None;
    };
    if range.trunc() != range {
        let problem = format!("{} names an address within a range", shown(text.text));
        let fix =
            format!("write \"{}\" for the range or \"{}\" for the one address", range.trunc(), range.addr());
        found.problem(&text.spot, problem, fix);
        return None;
    }
    if let IpNet::V6(v6) = range
        && let Some(v4) = v6.addr().to_ipv4_mapped().filter(|_| v6.prefix_len() >= 96)
    {
        let problem = format!("{} is an IPv4 range in IPv6 form, which no call comes from", shown(text.text));
        found.problem(&text.spot, problem, format!("write \"{v4}/{}\"", v6.prefix_len() - 96));
        return None;
    }
    Some(range)
}
