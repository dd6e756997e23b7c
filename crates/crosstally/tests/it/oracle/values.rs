//! Contact values through the platforms' own libraries and through ours. Where the two differ, the difference is one of a
//! list: each stands, decided, on the destination's page, and each occurs.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use crosstally_core::identity::meta::{Field, normalise};
use crosstally_core::identity::{Contact, ContactIn, country, hash_contact, phone, sha256_hex};
use serde_json::{Value, json};

use super::asked::ask;
use super::inputs::values;

const YEAR: i16 = 2026;

/// One value on both sides.
struct Case<'a> {
    field: Field,
    value: &'a str,
    /// Their normal form, if they send any.
    theirs: Option<&'a str>,
    /// Ours, if we send any.
    ours: Option<String>,
}

impl Case<'_> {
    fn ours(&self) -> &str {
        self.ours.as_deref().unwrap_or_default()
    }

    fn theirs(&self) -> &str {
        self.theirs.unwrap_or_default()
    }

    fn theirs_without(&self, left_out: fn(char) -> bool) -> String {
        self.theirs().chars().filter(|c| !left_out(*c)).collect()
    }
}

/// A difference: how its page names it, and what it looks like.
type Difference = (Field, &'static str, fn(&Case<'_>) -> bool);

fn contact(field: Field, value: &str) -> Contact {
    let mut given = ContactIn::default();
    let list = match field {
        Field::Em => &mut given.email,
        Field::Ph => &mut given.phone,
        Field::Fn => &mut given.first_name,
        Field::Ln => &mut given.last_name,
        Field::Ge => &mut given.gender,
        Field::Db => &mut given.birthdate,
        Field::Ct => &mut given.city,
        Field::St => &mut given.state,
        Field::Zp => &mut given.zip,
        Field::Country => &mut given.country,
        _ => &mut given.external_id,
    };
    list.push(value.to_owned());
    hash_contact(&given, None, YEAR).0
}

fn for_meta(contact: &Contact) -> Vec<String> {
    contact.meta().flat_map(|(_, hashes)| hashes.to_vec()).collect()
}

fn for_google(field: Field, contact: Contact) -> Vec<String> {
    match field {
        Field::Em => contact.google_email,
        Field::Ph => contact.google_phone,
        Field::Fn => contact.google_first_name,
        _ => contact.google_last_name,
    }
}

fn told(field: Field, value: &str) -> Option<String> {
    let normal = normalise(field, value, YEAR).map(|normal| normal.as_str().to_owned());
    match field {
        Field::Country => normal.or_else(|| country::from_any_name(value).map(str::to_owned)),
        _ => normal,
    }
}

/// Compares hash by hash. What differs must be one of `known`, all of which must occur and stand on the page.
fn compare(
    said: &[Value],
    given: &[(Field, String)],
    ours: impl Fn(Field, &str) -> Vec<String>,
    known: &[Difference],
    page: &str,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for ((field, value), said) in given.iter().zip(said) {
        let hash = said["hash"].as_str().map(|hash| hash.split('.').next().unwrap_or(hash));
        let ours = ours(*field, value);
        let is_same = hash.map_or(ours.is_empty(), |hash| ours.iter().any(|own| own == hash));
        if is_same {
            continue;
        }
        // A hash without a text is that of the empty text.
        let theirs = said["text"].as_str().or(hash.map(|_| ""));
        let text = if ours.is_empty() { None } else { told(*field, value) };
        let case = Case { field: *field, value, theirs, ours: text };
        match known.iter().find(|(of, _, holds)| of == field && holds(&case)) {
            Some((_, name, _)) => _ = seen.insert(*name),
            None => {
                problems.push(format!("{} {value:?}: {theirs:?}, ours {:?}", case.field.key(), case.ours))
            }
        }
    }
    ensure!(problems.is_empty(), "differences that nobody decided:\n{}", problems.join("\n"));
    let page = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/destinations").join(page),
    )?;
    for (field, name, _) in known {
        ensure!(seen.contains(name), "{}: `{name}` no longer occurs", field.key());
        ensure!(
            page.contains(&format!("| `{}`: {name} |", field.key())),
            "{}: `{name}` is not on the page",
            field.key()
        );
    }
    Ok(())
}

fn is_punctuation(c: char) -> bool {
    !c.is_alphanumeric()
}

fn is_not_digit(c: char) -> bool {
    !c.is_ascii_digit()
}

const NODE_SDK: &[Difference] = &[
    (Field::Em, "an address at an IP address", |case| {
        case.theirs.is_none() && case.ours().ends_with(|c: char| c.is_ascii_digit())
    }),
    (Field::Ph, "dots, slashes, blanks and dashes of another kind", |case| {
        case.theirs_without(is_not_digit).trim_start_matches('0') == case.ours() && case.theirs.is_some()
    }),
    (Field::Ph, "more than 16 digits", |case| case.theirs.is_none() && case.ours().len() > 16),
    (Field::Ge, "other words than female and male", |case| case.theirs.is_none() && case.ours().len() == 1),
    (Field::Db, "a date in another form", |case| {
        case.theirs() == case.value.trim().to_lowercase() && matches!(case.ours().len(), 0 | 8)
    }),
    (Field::Ct, "punctuation but dots, dashes and parentheses", |case| {
        !case.theirs().is_empty() && case.theirs_without(is_punctuation) == case.ours()
    }),
    (Field::Ct, "nothing but digits or punctuation", |case| case.theirs == Some("") && case.ours.is_none()),
    (Field::St, "a state's name", |case| case.theirs().len() > 2 && case.ours().len() == 2),
    (Field::St, "punctuation", |case| {
        !case.theirs().is_empty() && case.theirs_without(is_punctuation) == case.ours()
    }),
    (Field::St, "nothing but punctuation", |case| case.theirs == Some("") && case.ours.is_none()),
    (Field::Zp, "ZIP+4 with a blank", |case| {
        case.ours().len() == 5 && case.theirs().starts_with(case.ours())
    }),
    (Field::Country, "a name", |case| case.theirs.is_none() && case.ours().len() == 2),
    (Field::ExternalId, "blanks within", |case| case.theirs_without(char::is_whitespace) == case.ours()),
];

const BUILDER: &[Difference] = &[
    (Field::Ph, "fewer than seven digits", |case| case.theirs().len() < 7 && case.ours.is_none()),
    (Field::Ge, "a word with a dot", |case| case.theirs.is_none() && case.value.contains('.')),
    (Field::Db, "a date that no calendar has, or of no living person", |case| {
        case.theirs().len() == 8 && case.ours.is_none()
    }),
    (Field::Ct, "letters beyond a to z", |case| {
        case.ours().chars().filter(char::is_ascii).collect::<String>() == case.theirs()
            && !case.ours().is_ascii()
    }),
    (Field::Ct, "digits", |case| case.theirs_without(|c| c.is_ascii_digit()) == case.ours()),
    (Field::St, "cut after two letters", |case| case.theirs().len() == 2 && case.ours().len() >= 2),
    (Field::St, "another script", |case| case.theirs.is_none() && !case.ours().is_ascii()),
    (Field::Zp, "a blank within", |case| {
        case.theirs().contains(' ') && case.theirs_without(char::is_whitespace).starts_with(case.ours())
    }),
    (Field::Country, "cut after two letters", |case| {
        let letters: String =
            case.value.to_lowercase().chars().filter(char::is_ascii_lowercase).take(2).collect();
        case.theirs() == letters && case.ours() != letters
    }),
    (Field::Country, "another script", |case| case.theirs.is_none() && case.ours().len() == 2),
];

const GOOGLE: &[Difference] = &[
    (Field::Ph, "an extension or a trunk zero", |case| {
        phone::to_e164(case.value, None).is_some_and(|number| number.len() < case.theirs().len())
    }),
    (Field::Ph, "digits of another script", |case| !case.theirs().is_ascii() && case.ours.is_none()),
];

#[test]
fn contact_values_equal_the_node_sdks() -> Result<()> {
    let given = values();
    let asked: Vec<Value> = given.iter().map(|(field, value)| json!([field.key(), value])).collect();
    let said = ask("meta_fields.js", &asked)?;
    compare(&said, &given, |field, value| for_meta(&contact(field, value)), NODE_SDK, "meta.md")
}

#[test]
fn contact_values_equal_the_parameter_builders() -> Result<()> {
    let given = values();
    let asked: Vec<Value> = given.iter().map(|(field, value)| json!(["value", field.key(), value])).collect();
    let said = ask("meta_builder.js", &asked)?;
    compare(&said, &given, |field, value| for_meta(&contact(field, value)), BUILDER, "meta.md")
}

#[test]
fn contact_values_equal_googles() -> Result<()> {
    let mut given = values();
    given.retain(|(field, _)| matches!(field, Field::Em | Field::Ph | Field::Fn | Field::Ln));
    let asked: Vec<Value> = given.iter().map(|(field, value)| json!([field.key(), value])).collect();
    let said = ask("google_format.py", &asked)?;
    let ours = |field, value: &str| for_google(field, contact(field, value));
    compare(&said, &given, ours, GOOGLE, "google_data_manager.md")?;
    // Wherever both know the number, both send the same one: what we send in its place is the number itself.
    let cut = for_google(Field::Ph, contact(Field::Ph, "+44 (0)20 7946 0958"));
    assert_eq!(cut, [sha256_hex("+442079460958")]);
    Ok(())
}
