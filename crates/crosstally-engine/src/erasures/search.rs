//! Looking for a person, page by page. Where the search stands is a word that can be kept.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crosstally_core::conversion::Conversion;
use crosstally_core::erasure::{Names, Person};
use crosstally_core::ids::{ClickId, ConversionId, ReceiptId, RunId};
use crosstally_core::postback::Receipt;
use crosstally_core::time::Timestamp;
use crosstally_store::{StoreError, ToolRun};

use crate::Engine;
use crate::tools;

/// Rows of a page.
const PAGE: u32 = 500;
/// Clicks whose browser's events make a page: each is asked for by itself.
const BROWSER_PAGE: u32 = 100;
/// Calls and conversions that one click can have; what is beyond is found by the pages.
const OF_ONE_MAX: u32 = 5_000;

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The clicks that were named.
    Named,
    /// Conversions.
    Conversions,
    /// What browsers told.
    Browsers,
    /// Clicks, by what came with them.
    Clicks,
    /// Calls.
    Receipts,
    /// Runs of the tools.
    Runs,
}

impl Stage {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Named, "named"),
        (Self::Conversions, "conversions"),
        (Self::Browsers, "browsers"),
        (Self::Clicks, "clicks"),
        (Self::Receipts, "receipts"),
        (Self::Runs, "runs"),
    ];

    fn next(self) -> Option<Self> {
        let mut stages = Self::ALL.iter().map(|(stage, _)| *stage).skip_while(|stage| *stage != self);
        stages.nth(1)
    }
}

/// Where the search stands: in which pass and stage, behind which row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// 1 for the first; what was found in one pass is looked for in the next.
    pub(super) pass: u32,
    /// When the pass may begin.
    pub(super) not_before: Timestamp,
    /// Whether the next pass has more to look for.
    pub(super) grew: bool,
    pub(super) stage: Stage,
    pub(super) behind: Option<String>,
}

impl Place {
    /// The beginning of a pass.
    pub(super) const fn first(pass: u32, not_before: Timestamp) -> Self {
        Self { pass, not_before, grew: false, stage: Stage::Named, behind: None }
    }

    /// The beginning of the next stage.
    pub(super) fn after_stage(&self) -> Option<Self> {
        Some(Self { stage: self.stage.next()?, behind: None, ..*self })
    }

    fn behind<T: FromStr>(&self) -> Option<T> {
        self.behind.as_deref()?.parse().ok()
    }

    fn behind_click(&self) -> Option<ClickId> {
        ClickId::parse_unchecked(self.behind.as_deref()?).ok()
    }

    /// The place behind the last row of a full page, else the next stage.
    fn then(&self, last: Option<String>, is_full: bool) -> Option<Self> {
        match last.filter(|_| is_full) {
            Some(last) => Some(Self { behind: Some(last), ..*self }),
            None => self.after_stage(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Stage::ALL.iter().find(|(stage, _)| *stage == self.stage).map_or("", |(_, word)| word);
        let Self { pass, not_before, grew, .. } = self;
        let behind = self.behind.as_deref().unwrap_or("");
        write!(out, "{word}:{pass}:{}:{}:{behind}", not_before.as_millis(), u8::from(*grew))
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(5, ':');
        let mut part = || parts.next().ok_or(());
        let (word, pass, not_before, grew, behind) = (part()?, part()?, part()?, part()?, part()?);
        let stage = Stage::ALL.iter().find(|(_, known)| *known == word).map(|(stage, _)| *stage).ok_or(())?;
        Ok(Self {
            pass: pass.parse().map_err(|_| ())?,
            not_before: Timestamp::from_millis(not_before.parse().map_err(|_| ())?),
            grew: grew == "1",
            stage,
            behind: (!behind.is_empty()).then(|| behind.to_owned()),
        })
    }
}

/// What speaks of the person.
pub(super) enum Found {
    Click(ClickId),
    Conversion(Box<Conversion>),
    Receipt(Box<Receipt>),
    Run(RunId),
}

/// A page of the search.
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    /// Where to go on; `None` at the end.
    pub(super) next: Option<Place>,
}

fn is_full(rows: usize, page: u32) -> bool {
    u32::try_from(rows).unwrap_or(u32::MAX) >= page
}

impl Engine {
    /// One page of what has a mark of a person. Of the `whole` person some may have been looked for already.
    pub(super) async fn search(
        &self,
        person: &Person,
        whole: &Person,
        at: &Place,
    ) -> Result<Page, StoreError> {
        match at.stage {
            Stage::Named => {
                let found = self.named(person).await?;
                Ok(Page { found, next: at.after_stage() })
            }
            Stage::Conversions => {
                let rows = self.store.list_conversions(at.behind::<ConversionId>(), PAGE).await?;
                let next = at.then(rows.last().map(|row| row.id.to_string()), is_full(rows.len(), PAGE));
                let own = rows.into_iter().filter(|row| person.has_conversion(row));
                Ok(Page { found: own.map(|row| Found::Conversion(Box::new(row))).collect(), next })
            }
            // A click that is known by its id alone has been found already, with all around it.
            Stage::Browsers | Stage::Clicks if whole.is_known_by_clicks_only() => {
                Ok(Page { found: Vec::new(), next: at.after_stage() })
            }
            Stage::Receipts | Stage::Runs if person.is_known_by_names_only() => {
                Ok(Page { found: Vec::new(), next: at.after_stage() })
            }
            Stage::Browsers => self.browsers(person, at).await,
            Stage::Clicks => {
                let rows = self.store.list_clicks(at.behind_click(), PAGE).await?;
                let next = at.then(rows.last().map(|row| row.id.to_string()), is_full(rows.len(), PAGE));
                let names = self.snapshot.load().link_names();
                let own = rows.iter().filter(|row| person.has_click(row, &names));
                Ok(Page { found: own.map(|row| Found::Click(row.id)).collect(), next })
            }
            Stage::Receipts => {
                let rows = self.store.list_receipts(None, at.behind::<ReceiptId>(), PAGE).await?;
                let next = at.then(rows.last().map(|row| row.id.to_string()), is_full(rows.len(), PAGE));
                let snapshot = self.snapshot.load_full();
                let mut of_partners: HashMap<String, Names> = HashMap::new();
                let own = rows.into_iter().filter(|row| {
                    let names = of_partners.entry(row.partner.clone());
                    let names = names.or_insert_with(|| snapshot.call_names(&row.partner));
                    person.has_receipt(row, names) || self.has_original(person, row, names)
                });
                Ok(Page { found: own.map(|row| Found::Receipt(Box::new(row))).collect(), next })
            }
            Stage::Runs => {
                let rows = self.store.list_tool_runs(None, at.behind::<RunId>(), PAGE).await?;
                let next = at.then(rows.last().map(|row| row.id.to_string()), is_full(rows.len(), PAGE));
                let names = self.snapshot.load().link_names();
                let own = rows.iter().filter(|run| self.has_run(person, run, &names));
                Ok(Page { found: own.map(|run| Found::Run(run.id)).collect(), next })
            }
        }
    }

    async fn named(&self, person: &Person) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        let mut clicks: Vec<ClickId> = person.clicks().collect();
        for text in person.click_texts() {
            clicks.extend(self.store.click_of_alias(text.to_owned()).await?);
        }
        for click in clicks {
            for conversion in self.store.conversions_of_click(click, OF_ONE_MAX).await? {
                found.push(Found::Conversion(Box::new(conversion)));
            }
            for receipt in self.store.receipts_of_click(click, OF_ONE_MAX).await? {
                found.push(Found::Receipt(Box::new(receipt)));
            }
            found.push(Found::Click(click));
        }
        Ok(found)
    }

    async fn browsers(&self, person: &Person, at: &Place) -> Result<Page, StoreError> {
        let clicks = self.store.list_browser_clicks(at.behind_click(), BROWSER_PAGE).await?;
        let next = at.then(clicks.last().map(ToString::to_string), is_full(clicks.len(), BROWSER_PAGE));
        let mut found = Vec::new();
        let names = self.snapshot.load().link_names();
        for click in clicks {
            let events = self.store.browser_events(click).await?;
            if events.iter().any(|event| person.has_browser_event(event, &names)) {
                found.push(Found::Click(click));
            }
        }
        Ok(Page { found, next })
    }

    /// Whether the original of a call speaks of the person, which is kept where nothing of it is in the open.
    fn has_original(&self, person: &Person, receipt: &Receipt, names: &Names) -> bool {
        let sealed = receipt.sealed.as_ref();
        let original = sealed.and_then(|sealed| self.keys.unseal_bytes(&receipt.id.to_string(), sealed));
        original.is_some_and(|body| person.has_bytes(&body, names))
    }

    fn has_run(&self, person: &Person, run: &ToolRun, names: &Names) -> bool {
        let whole = self.keys.unseal_bytes(&tools::record(run.id), &run.sealed).unwrap_or_default();
        [run.request.as_bytes(), run.answer.as_bytes(), &whole]
            .iter()
            .any(|text| person.has_bytes(text, names))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_place_can_be_kept_and_every_stage_is_reached() {
        let mut place = Place::first(1, Timestamp::from_millis(7));
        let mut stages = 1;
        loop {
            let behind = Place { behind: Some("cnv_x".into()), grew: true, ..place.clone() };
            for kept in [&place, &behind] {
                assert_eq!(kept.to_string().parse::<Place>().unwrap(), *kept);
            }
            match place.after_stage() {
                Some(next) => place = next,
                None => break,
            }
            stages += 1;
        }
        assert_eq!(stages, Stage::ALL.len());
    }
}
