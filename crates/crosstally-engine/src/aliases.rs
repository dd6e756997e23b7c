//! Click ids of other trackers: checked, compared with what is there, added. Safe to do twice.

use std::collections::HashMap;

use crosstally_core::ids::ClickId;
use crosstally_store::StoreError;

use crate::Engine;

/// The most rows at once.
pub const ROWS_MAX: usize = 1_000;
/// The longest click id of another tracker.
const ALIAS_BYTES_MAX: usize = 256;

/// An alias as somebody states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasIn {
    /// The other tracker's click id.
    pub alias: String,
    /// Our click id.
    pub click_id: String,
}

/// What became of a list of aliases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AliasesAdded {
    /// How many are new.
    pub new: u64,
    /// How many were there before, for the same click.
    pub known: u64,
    /// The rows that were not taken, by their number, and why.
    pub rejected: Vec<(usize, &'static str)>,
}

impl Engine {
    /// Adds aliases, or with `dry_run` tells what adding them would come to. What waits for them is looked at at once.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_aliases(&self, rows: Vec<AliasIn>, dry_run: bool) -> Result<AliasesAdded, StoreError> {
        let mut out = AliasesAdded::default();
        let mut fresh: HashMap<String, ClickId> = HashMap::new();
        for (number, row) in rows.into_iter().enumerate() {
            let (alias, click) = match self.checked(&row) {
                Ok(good) => good,
                Err(problem) => {
                    out.rejected.push((number, problem));
                    continue;
                }
            };
            let known = match fresh.get(&alias) {
                Some(click) => Some(*click),
                None => self.store.click_of_alias(alias.clone()).await?,
            };
            match known {
                None => {
                    fresh.insert(alias, click);
                }
                Some(same) if same == click => out.known += 1,
                Some(_) => out.rejected.push((number, "the alias stands for another click already")),
            }
        }
        let count = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        let added = if dry_run || fresh.is_empty() {
            count
        } else {
            self.store.add_aliases(fresh.into_iter().collect(), self.clock.now()).await?
        };
        // Somebody else may have added some of them meanwhile.
        out.new = added;
        out.known += count - added;
        Ok(out)
    }

    fn checked(&self, row: &AliasIn) -> Result<(String, ClickId), &'static str> {
        let alias = row.alias.trim();
        if alias.is_empty() {
            return Err("the alias is empty");
        }
        if alias.len() > ALIAS_BYTES_MAX || alias.chars().any(char::is_control) {
            return Err("the alias is longer than 256 bytes, or contains a control character");
        }
        if ClickId::parse(&self.click_id_key, alias).is_ok() {
            return Err("the alias is a click id of this installation, which needs none");
        }
        let click = ClickId::parse(&self.click_id_key, &row.click_id)
            .map_err(|_| "the click id is not one of this installation")?;
        if self.is_click_erased(click) || self.is_click_text_erased(alias) {
            return Err("the click was erased");
        }
        Ok((alias.to_owned(), click))
    }
}
