//! Reads which other tracker's endpoint a partner keeps calling; no two partners can have one.

use std::collections::BTreeMap;

use super::document::{Section, shown};
use super::findings::Findings;
use crate::config::Word as _;
use crate::drop_in::{Dialect, DropIn};

const EXAMPLE: &str = "{ dialect = \"keitaro\", key = \"abc123\" }";
/// The longest key.
const KEY_BYTES_MAX: usize = 128;

pub(super) fn read(section: &Section<'_>, found: &mut Findings<'_>) -> Option<DropIn> {
    let table = section.table("drop_in", EXAMPLE, found)?;
    table.refuse_unknown(["dialect", "key"], found);
    if table.item("dialect").is_none() {
        table.missing("dialect", "\"keitaro\"", found);
    }
    let dialect: Dialect = table.word("dialect", found)?;
    let key = table.text("key", found);
    if key.is_none() && table.item("key").is_none() && dialect.needs_key() {
        let problem = format!("the endpoint of `{}` has a key in its path", dialect.word());
        found.problem(&table.spot_of("dialect"), problem, "add the `key` that its postback URL has");
    }
    if let Some(text) = &key
        && !is_key(text.text)
    {
        let problem = format!("{} cannot stand in a URL as it is", shown(text.text));
        found.problem(
            &text.spot,
            problem,
            "write letters, digits, `-`, `_` and `.`, as in the old postback URL",
        );
    }
    Some(DropIn { dialect, key: key.map(|text| text.text.to_owned()).unwrap_or_default() })
}

fn is_key(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= KEY_BYTES_MAX && text.bytes().all(is_plain)
}

/// The endpoints that partners have, each with its partner.
#[derive(Default)]
pub(super) struct DropIns(BTreeMap<DropIn, String>);

impl DropIns {
    /// Notes a partner's endpoint, or that another partner has it.
    pub(super) fn take(
        &mut self,
        section: &Section<'_>,
        drop_in: &DropIn,
        slug: &str,
        found: &mut Findings<'_>,
    ) {
        let mut door = drop_in.clone();
        // Their calls look alike.
        if door.dialect == Dialect::BeMob {
            door.dialect = Dialect::Voluum;
        }
        if let Some(other) = self.0.get(&door) {
            let problem = format!("calls to this endpoint go to partner {} already", shown(other));
            found.problem(&section.spot_of("drop_in"), problem, "give one of them another `key`");
            return;
        }
        self.0.insert(door, slug.to_owned());
    }
}
