//! Step: from a partner's parameters to our field names.

use std::collections::BTreeMap;

use crate::contract::Contract;
use crate::fields::{FIELDS, Field, FieldKind, field_named};
use crate::params::{Param, Params};
use crate::postback::Headers;
use crate::postback::replay::Repair;
use crate::reason::Reason;
use crate::verdict::Stop;

/// A call's fields by our names, and all its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Values by our names; empty values are left out.
    pub by_name: BTreeMap<&'static str, String>,
    /// Every parameter as it came, in order.
    pub params: Params,
    /// What the contract reads from headers, by their names; contact values are left out.
    pub headers: Vec<(String, String)>,
}

impl Fields {
    /// The value of one field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str)
    }
}

/// Picks our fields out of the parameters: first by the partner's own names, then by the accepted ones.
///
/// # Errors
/// A field that decides what is booked came several times with different values, or is not clean text.
pub fn fields(params: Params, headers: &Headers, contract: &Contract) -> Result<Fields, Stop> {
    let mut by_name = BTreeMap::new();
    for field in FIELDS {
        let mut value = None;
        for theirs in contract.params(field.name) {
            value = match header_name(theirs) {
                Some(name) => headers.get(name).map(|text| text.trim().to_owned()),
                None => pick(&params, theirs, field)?,
            };
            if value.as_ref().is_some_and(|value| !value.is_empty()) {
                break;
            }
        }
        if value.is_none() {
            value = by_accepted_names(&params, field, contract)?;
        }
        if let Some(value) = value {
            by_name.insert(field.name, value);
        }
    }
    if let Some(both) = more_of_status(&by_name, &params, contract)? {
        by_name.insert("status", both);
    }
    Ok(Fields { by_name, params, headers: from_headers(headers, contract) })
}

/// The status word with what another parameter says about it, where the contract tells such calls apart.
fn more_of_status(
    by_name: &BTreeMap<&'static str, String>,
    params: &Params,
    contract: &Contract,
) -> Result<Option<String>, Stop> {
    let (Some(word), Some(status)) = (by_name.get("status"), field_named("status")) else { return Ok(None) };
    for theirs in contract.status_with() {
        if let Some(value) = pick(params, theirs, status)? {
            return Ok(contract.word_with(word, &value));
        }
    }
    Ok(None)
}

/// What the contract reads from headers: as much a part of what a call says as its parameters.
#[must_use]
pub fn from_headers(headers: &Headers, contract: &Contract) -> Vec<(String, String)> {
    let said = FIELDS.iter().filter(|field| field.kind != FieldKind::Personal);
    let names = said.flat_map(|field| contract.params(field.name)).filter_map(|theirs| header_name(theirs));
    names.filter_map(|name| Some((name.to_ascii_lowercase(), headers.get(name)?.to_owned()))).collect()
}

/// The fields with a repair's values in their places.
#[must_use]
pub fn repaired(mut fields: Fields, repair: &Repair) -> Fields {
    for field in FIELDS {
        match repair.set.get(field.name).and_then(|value| value.as_str()) {
            Some("") => {
                fields.by_name.remove(field.name);
            }
            Some(value) => {
                fields.by_name.insert(field.name, value.to_owned());
            }
            None => {}
        }
    }
    fields
}

fn header_name(theirs: &str) -> Option<&str> {
    let (prefix, name) = theirs.split_once(':')?;
    prefix.eq_ignore_ascii_case("header").then_some(name)
}

fn by_accepted_names(params: &Params, field: &Field, contract: &Contract) -> Result<Option<String>, Stop> {
    let mut found: Option<(&str, String)> = None;
    for name in field.accepted {
        // A name that the partner's map gives to another field is that field's alone.
        if contract.taken().any(|taken| taken.eq_ignore_ascii_case(name)) {
            continue;
        }
        let Some(value) = pick(params, name, field)? else { continue };
        match &found {
            None => found = Some((name, value)),
            Some((first, other)) if field.kind == FieldKind::Money && *other != value => {
                return Err(Stop::refused(
                    Reason::RepeatedField,
                    format!("`{first}` and `{name}` both mean {} and differ", field.name),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(found.map(|(_, value)| value))
}

fn pick(params: &Params, name: &str, field: &Field) -> Result<Option<String>, Stop> {
    let strict = matches!(field.kind, FieldKind::Key | FieldKind::Money);
    let mut found: Option<&Param> = None;
    for param in params.iter().filter(|param| param.name.eq_ignore_ascii_case(name)) {
        if param.value.trim().is_empty() {
            continue;
        }
        match found {
            None => found = Some(param),
            Some(first) if strict && first.value != param.value => {
                return Err(Stop::refused(
                    Reason::RepeatedField,
                    format!("`{name}` came with different values"),
                ));
            }
            Some(_) => {}
        }
    }
    let Some(param) = found else { return Ok(None) };
    if strict {
        if param.lossy {
            return Err(Stop::refused(Reason::BadEncoding, format!("`{name}` is not UTF-8")));
        }
        if param.value.chars().any(char::is_control) {
            return Err(Stop::refused(
                Reason::ControlCharacter,
                format!("`{name}` contains a control character"),
            ));
        }
    }
    Ok(Some(param.value.trim().to_owned()))
}

/// A text from outside, cut and cleaned so that it can stand in an answer or a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    // A value in the wrong place may be anybody's address.
    if text.contains('@') {
        return "`***`".into();
    }
    let clean: String = text.chars().filter(|c| !c.is_control() && !is_bidi(*c)).take(64).collect();
    format!("`{clean}`")
}

const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}
