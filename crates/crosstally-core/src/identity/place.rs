//! Cities, states and postal codes.

use super::text::{is_punctuation, is_space, trim, without_space};

/// The name of a city: lower case, letters of any script, no digits, punctuation or white space.
pub(super) fn city(input: &str) -> String {
    input
        .to_lowercase()
        .chars()
        .filter(|c| !(c.is_ascii_digit() || is_punctuation(*c) || is_space(*c)))
        .collect()
}

/// The two-letter code of a state of the United States or a province of Canada, else the full name as in [`city`].
pub(super) fn state(input: &str) -> String {
    let name = city(input);
    match code_of(&name).or_else(|| code_of(without_kind(&name))) {
        Some(code) => code.to_owned(),
        None => name,
    }
}

fn code_of(name: &str) -> Option<&'static str> {
    STATES.iter().find(|(state, _)| *state == name).map(|(_, code)| *code)
}

// "Washington State", "Commonwealth of Virginia", "Yukon Territory".
fn without_kind(name: &str) -> &str {
    ["stateof", "commonwealthof", "provinceof", "territoryof"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
        .or_else(|| ["state", "province", "territory"].iter().find_map(|kind| name.strip_suffix(kind)))
        .unwrap_or(name)
}

/// The postal code: lower case, no white space, nothing from the first hyphen on, and of a ZIP+4 the first five digits.
/// Nothing if fewer than two characters are left.
pub(super) fn postal_code(input: &str) -> Option<String> {
    let lower = input.to_lowercase();
    let head = trim(lower.split('-').next().unwrap_or_default());
    let mut parts = head.split(is_space).filter(|part| !part.is_empty());
    let code = match (parts.next(), parts.next(), parts.next()) {
        (Some(zip), Some(plus), None) if is_digits(zip, 5) && is_digits(plus, 4) => zip.to_owned(),
        _ => without_space(head),
    };
    (code.chars().count() >= 2).then_some(code)
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit())
}

/// English names as [`city`] writes them.
const STATES: &[(&str, &str)] = &[
    ("alabama", "al"),
    ("alaska", "ak"),
    ("alberta", "ab"),
    ("americansamoa", "as"),
    ("arizona", "az"),
    ("arkansas", "ar"),
    ("britishcolumbia", "bc"),
    ("california", "ca"),
    ("colorado", "co"),
    ("connecticut", "ct"),
    ("delaware", "de"),
    ("districtofcolumbia", "dc"),
    ("florida", "fl"),
    ("georgia", "ga"),
    ("guam", "gu"),
    ("hawaii", "hi"),
    ("idaho", "id"),
    ("illinois", "il"),
    ("indiana", "in"),
    ("iowa", "ia"),
    ("kansas", "ks"),
    ("kentucky", "ky"),
    ("louisiana", "la"),
    ("maine", "me"),
    ("manitoba", "mb"),
    ("maryland", "md"),
    ("massachusetts", "ma"),
    ("michigan", "mi"),
    ("minnesota", "mn"),
    ("mississippi", "ms"),
    ("missouri", "mo"),
    ("montana", "mt"),
    ("nebraska", "ne"),
    ("nevada", "nv"),
    ("newbrunswick", "nb"),
    ("newfoundland", "nl"),
    ("newfoundlandandlabrador", "nl"),
    ("newhampshire", "nh"),
    ("newjersey", "nj"),
    ("newmexico", "nm"),
    ("newyork", "ny"),
    ("northcarolina", "nc"),
    ("northdakota", "nd"),
    ("northernmarianaislands", "mp"),
    ("northwestterritories", "nt"),
    ("novascotia", "ns"),
    ("nunavut", "nu"),
    ("ohio", "oh"),
    ("oklahoma", "ok"),
    ("ontario", "on"),
    ("oregon", "or"),
    ("pennsylvania", "pa"),
    ("princeedwardisland", "pe"),
    ("puertorico", "pr"),
    ("quebec", "qc"),
    ("rhodeisland", "ri"),
    ("saskatchewan", "sk"),
    ("southcarolina", "sc"),
    ("southdakota", "sd"),
    ("tennessee", "tn"),
    ("texas", "tx"),
    ("unitedstatesvirginislands", "vi"),
    ("usvirginislands", "vi"),
    ("utah", "ut"),
    ("vermont", "vt"),
    ("virginia", "va"),
    ("virginislands", "vi"),
    ("washington", "wa"),
    ("washingtondc", "dc"),
    ("westvirginia", "wv"),
    ("wisconsin", "wi"),
    ("wyoming", "wy"),
    ("yukon", "yt"),
];
