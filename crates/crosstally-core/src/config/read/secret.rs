//! Reads a secret: where to find it, or, with a warning, the secret itself. No message here shows a value.

use toml::de::DeValue;

use super::document::{Item, Section};
use super::findings::Findings;
use crate::config::SecretRef;
use crate::secret::Secret;

/// Where a secret can be.
const PLACES: [&str; 3] = ["env", "file", "sealed"];
const NAME_BYTES_MAX: usize = 4 * 1024;

/// Reads a secret. `owner` is the slug of its section, to suggest a variable's name.
pub(super) fn read(item: Item<'_>, owner: &str, found: &mut Findings<'_>) -> Option<SecretRef> {
    let key = item.key.clone();
    let example = format!("{key} = {}", example(owner, &key));
    match item.value {
        DeValue::String(_) => {
            let text = item.into_text(found)?;
            found.warning(
                &text.spot,
                format!("`{key}` is a secret and stands in the document"),
                format!("write {example} and set the variable where the server runs"),
            );
            Some(SecretRef::Literal(Secret::new(text.text)))
        }
        DeValue::Table(_) => {
            let section = item.into_table("", found)?;
            section.refuse_unknown(PLACES, found);
            reference(&section, &example, found)
        }
        _ => {
            item.wrong_shape("a secret", &format!("write {example}"), found);
            None
        }
    }
}

fn reference(section: &Section<'_>, example: &str, found: &mut Findings<'_>) -> Option<SecretRef> {
    let stated: Vec<&str> = PLACES.into_iter().filter(|name| section.item(name).is_some()).collect();
    let [kind] = stated.as_slice() else {
        let fix = format!("write one place: {example}");
        if !stated.is_empty() {
            let problem = format!("`{}` names more than one place for the secret", section.name);
            found.problem(&section.spot, problem, fix);
        } else if section.items().is_empty() {
            found.problem(&section.spot, format!("`{}` does not say where the secret is", section.name), fix);
        }
        return None;
    };
    let item = section.item(kind)?;
    if !matches!(item.value, DeValue::String(_)) {
        item.wrong_shape("a text", &format!("write {example}"), found);
        return None;
    }
    let text = item.into_text(found)?;
    let name = text.name(kind, NAME_BYTES_MAX, found)?;
    match *kind {
        "file" => Some(SecretRef::File(name)),
        "sealed" => Some(SecretRef::Sealed(name)),
        _ if is_variable(&name) => Some(SecretRef::Env(name)),
        _ => {
            // The name is not shown: whoever takes `env` for the place of the secret itself has written it here.
            let problem = "`env` is not the name of an environment variable";
            found.problem(&text.spot, problem, format!("use letters, digits and _ only: {example}"));
            None
        }
    }
}

/// How a secret is written at its best.
pub(super) fn example(owner: &str, key: &str) -> String {
    format!("{{ env = \"{}\" }}", variable(owner, key))
}

fn is_variable(name: &str) -> bool {
    name.len() <= 256
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn variable(owner: &str, key: &str) -> String {
    let name: String = format!("{owner}_{key}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let name = name.trim_start_matches('_');
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name.to_owned() }
}
