//! Fields that come as items: shops send their own as `{"name": "email", "value": "…"}`, forms as `fields[0][name]=email` and
//! `fields[0][value]=…`, and others as `["email", "…"]`. The one parameter names what the other holds.

use std::borrow::Cow;
use std::collections::HashSet;

use super::inside;
use super::names::{self, Keep};
use crate::config::Partner;
use crate::params::{Params, decode};

/// The paths of items that name something to be masked.
pub(super) type Items = HashSet<String>;

/// The items of a raw query or form.
pub(super) fn of_form(raw: &[u8], keep: Keep<'_>) -> Items {
    let mut items = Items::new();
    for piece in raw.split(|&byte| byte == b'&') {
        let Some((name, value)) = halves(piece) else { continue };
        if let Some(item) = named_item(&readable(name)).filter(|_| !value.is_empty())
            && keep.masks(&decode(value).0)
        {
            items.insert(item);
        }
    }
    items
}

/// The raw name of a piece that holds what such an item names, unless it decides what is booked.
pub(super) fn held_name<'p>(piece: &'p [u8], items: &Items, keep: Keep<'_>) -> Option<&'p [u8]> {
    if items.is_empty() {
        return None;
    }
    let (name, value) = halves(piece)?;
    let read = readable(name);
    (!value.is_empty() && is_held(&read, items) && !names::is_key(&read, keep.partner)).then_some(name)
}

/// The items of parameters that were read.
pub(super) fn of_params(params: &Params, partner: Option<&Partner>) -> Items {
    let keep = Keep { partner, contact: false };
    params.iter().filter_map(|param| named_item(&param.name).filter(|_| keep.masks(&param.value))).collect()
}

/// Whether a parameter holds what such an item names.
pub(super) fn is_held(name: &str, items: &Items) -> bool {
    let Some(path) = dotted(name) else { return false };
    path.match_indices('.').any(|(at, _)| {
        let (item, rest) = path.split_at(at);
        let key = rest.get(1..).and_then(|rest| rest.split('.').next()).unwrap_or_default();
        (key == "1" || inside::is_holding(key)) && items.contains(item)
    })
}

/// The item that a parameter of this name would name something of.
fn named_item(name: &str) -> Option<String> {
    let path = dotted(name)?;
    let (item, key) = path.rsplit_once('.')?;
    (key == "0" || inside::is_naming(key)).then(|| item.to_owned())
}

/// A name that is a path, its parts joined by points: `fields[0][name]` as `fields.0.name`.
fn dotted(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('[') {
        return name.contains('.').then_some(Cow::Borrowed(name));
    }
    let parts: Vec<&str> = name.split(['[', ']', '.']).filter(|part| !part.is_empty()).collect();
    Some(Cow::Owned(parts.join(".")))
}

fn halves(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = piece.iter().position(|&byte| byte == b'=')?;
    let (name, value) = piece.split_at(at);
    // Most names are no paths, and cost nothing more.
    let is_path = name.iter().any(|byte| matches!(byte, b'[' | b'.' | b'%'));
    is_path.then_some((name, value.get(1..).unwrap_or_default()))
}

/// A raw name as text, also if it was escaped over again.
fn readable(name: &[u8]) -> String {
    let (once, _) = decode(name);
    if once.contains('%') { decode(once.as_bytes()).0 } else { once }
}
