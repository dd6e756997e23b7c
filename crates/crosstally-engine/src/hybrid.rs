//! The hybrid check: which events of pixel and server met, which did not, and why. Reads what was sent, then what browsers
//! told and nothing was sent about; a question looks at so many rows and says where to go on.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crosstally_core::config::EventIdMode;
use crosstally_core::hybrid::{self, Sent, Told, Verdict};
use crosstally_core::ids::{ClickId, ConversionId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_core::{browser, delivery::DeliveryState};
use crosstally_destinations::catalog;
use crosstally_store::{SentEvent, StoreError, ToldClick};

use crate::Engine;
use crate::snapshot::Snapshot;

/// Deliveries that are read at once.
const SENT_PAGE: u32 = 500;
/// Clicks that are read at once.
const CLICKS_PAGE: u32 = 200;
/// Rows that one question looks at.
const LOOKED_AT_MAX: u32 = 20_000;

/// Which pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of this campaign only.
    pub campaign: Option<String>,
    /// Of this verdict only.
    pub verdict: Option<Verdict>,
    /// Booked, or clicked, at or after.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
}

/// The server's half of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHalf {
    /// Its id.
    pub event_id: String,
    /// Where it goes.
    pub destination: String,
    /// How.
    pub delivery: DeliveryId,
    /// Where that stands.
    pub state: DeliveryState,
    /// Why it does not arrive.
    pub reason: Option<Reason>,
    /// When it arrived.
    pub arrived_at: Option<Timestamp>,
    /// The conversion that it is about.
    pub conversion: ConversionId,
}

/// A pair, or one half that is alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// How they stand.
    pub verdict: Verdict,
    /// When the server booked it; of a browser's event that is alone, when its click was.
    pub at: Timestamp,
    /// The campaign; empty without a click.
    pub campaign: String,
    /// The click.
    pub click: Option<ClickId>,
    /// The event's name: the server's, else the browser's.
    pub event_name: String,
    /// The server's half.
    pub server: Option<ServerHalf>,
    /// The browser's half.
    pub browser: Option<Told>,
}

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// With what was sent before this delivery.
    Sent(DeliveryId),
    /// With what browsers told of this click and those before it, without so many of its own.
    Told(Option<ClickId>, usize),
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(id) => write!(out, "{id}"),
            Self::Told(None, _) => out.write_str("told"),
            Self::Told(Some(click), skip) => write!(out, "told.{click}.{skip}"),
        }
    }
}

/// A cursor is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of ours")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let Some(rest) = text.strip_prefix("told") else {
            return text.parse().map(Self::Sent).map_err(|_| NoCursor);
        };
        if rest.is_empty() {
            return Ok(Self::Told(None, 0));
        }
        let (click, skip) = rest.strip_prefix('.').and_then(|rest| rest.split_once('.')).ok_or(NoCursor)?;
        let click = ClickId::parse_unchecked(click).map_err(|_| NoCursor)?;
        Ok(Self::Told(Some(click), skip.parse().map_err(|_| NoCursor)?))
    }
}

/// What pairs are counted by: day, event name, destination (empty for a browser's event that is alone), verdict.
pub type CountKey = (Timestamp, String, String, Verdict);

impl Engine {
    /// Pairs, newest first: those of the server's events, then the browser's that are alone. Where to go on, unless all
    /// were looked at; a page may be short of its limit and not be the last.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn pairs(
        &self,
        wanted: &Wanted,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<Pair>, Option<Cursor>), StoreError> {
        let mut rows = Vec::new();
        let next = self
            .look(wanted, cursor, &mut |pair| {
                rows.push(pair);
                rows.len() < limit
            })
            .await?;
        Ok((rows, next))
    }

    /// The same, counted.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_pairs(
        &self,
        wanted: &Wanted,
        cursor: Option<Cursor>,
    ) -> Result<(BTreeMap<CountKey, u64>, Option<Cursor>), StoreError> {
        let mut counts: BTreeMap<CountKey, u64> = BTreeMap::new();
        let next = self
            .look(wanted, cursor, &mut |pair| {
                let day = Timestamp::from_millis(pair.at.as_millis().div_euclid(DAY_MS) * DAY_MS);
                let destination = pair.server.map(|server| server.destination).unwrap_or_default();
                *counts.entry((day, pair.event_name, destination, pair.verdict)).or_default() += 1;
                true
            })
            .await?;
        Ok((counts, next))
    }

    /// Hands over pair after pair, until that is enough or enough was looked at.
    async fn look(
        &self,
        wanted: &Wanted,
        cursor: Option<Cursor>,
        keep: &mut (dyn FnMut(Pair) -> bool + Send),
    ) -> Result<Option<Cursor>, StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut looked_at = 0;
        let told = match cursor {
            Some(Cursor::Told(click, skip)) => (click, skip),
            None | Some(Cursor::Sent(_)) => {
                let before = match cursor {
                    Some(Cursor::Sent(id)) => Some(id),
                    _ => None,
                };
                let next = self.look_at_sent(&snapshot, wanted, before, &mut looked_at, keep).await?;
                if let Some(next) = next {
                    return Ok(Some(Cursor::Sent(next)));
                }
                (None, 0)
            }
        };
        if looked_at >= LOOKED_AT_MAX {
            return Ok(Some(Cursor::Told(told.0, told.1)));
        }
        self.look_at_told(&snapshot, wanted, told, looked_at, keep).await
    }

    async fn look_at_sent(
        &self,
        snapshot: &Snapshot,
        wanted: &Wanted,
        mut before: Option<DeliveryId>,
        looked_at: &mut u32,
        keep: &mut (dyn FnMut(Pair) -> bool + Send),
    ) -> Result<Option<DeliveryId>, StoreError> {
        let span = (wanted.from, wanted.to);
        loop {
            let destinations = with_pixels(snapshot);
            let page = self.store.sent_events(destinations, span, before, SENT_PAGE).await?;
            for event in page.rows {
                let id = event.id;
                let pair = pair_of(snapshot, event);
                if wants(wanted, &pair) && !keep(pair) {
                    return Ok(Some(id));
                }
            }
            *looked_at += SENT_PAGE;
            match page.next {
                Some(next) if *looked_at < LOOKED_AT_MAX => before = Some(next),
                next => return Ok(next),
            }
        }
    }

    async fn look_at_told(
        &self,
        snapshot: &Snapshot,
        wanted: &Wanted,
        (mut from, mut skip): (Option<ClickId>, usize),
        mut looked_at: u32,
        keep: &mut (dyn FnMut(Pair) -> bool + Send),
    ) -> Result<Option<Cursor>, StoreError> {
        let span = (wanted.from, wanted.to);
        loop {
            let clicks = self.store.told_clicks(with_pixels(snapshot), span, from, CLICKS_PAGE).await?;
            let is_full = u32::try_from(clicks.len()).is_ok_and(|rows| rows == CLICKS_PAGE);
            for click in clicks {
                if from != Some(click.click) {
                    skip = 0;
                }
                from = Some(click.click);
                let is_test = click.click.is_test(&self.click_id_key);
                for pair in alone(snapshot, &click, is_test).into_iter().skip(skip) {
                    skip += 1;
                    if wants(wanted, &pair) && !keep(pair) {
                        return Ok(Some(Cursor::Told(from, skip)));
                    }
                }
            }
            looked_at += CLICKS_PAGE;
            if !is_full {
                return Ok(None);
            }
            if looked_at >= LOOKED_AT_MAX {
                return Ok(Some(Cursor::Told(from, skip)));
            }
        }
    }
}

/// The destinations that a pixel tells as well.
fn with_pixels(snapshot: &Snapshot) -> Vec<String> {
    let destinations = snapshot.config.destinations.iter();
    destinations
        .filter(|destination| catalog::has_pixel(&destination.kind))
        .map(|destination| destination.slug.clone())
        .collect()
}

fn wants(wanted: &Wanted, pair: &Pair) -> bool {
    wanted.campaign.as_ref().is_none_or(|campaign| *campaign == pair.campaign)
        && wanted.verdict.is_none_or(|verdict| verdict == pair.verdict)
}

fn tells(snapshot: &Snapshot, campaign: &str) -> bool {
    snapshot.campaign(campaign).is_some_and(|campaign| !campaign.sites.is_empty())
}

fn pair_of(snapshot: &Snapshot, event: SentEvent) -> Pair {
    let goal = snapshot.config.goals.iter().find(|goal| goal.slug == event.goal);
    let is_shared = goal.is_none_or(|goal| goal.event_id == EventIdMode::Shared);
    let dialect =
        snapshot.destination(&event.destination).and_then(|ready| catalog::by_kind(&ready.config.kind));
    let arrived_at = event.finished_at.filter(|_| event.state == DeliveryState::Delivered);
    let sent = Sent {
        name: &event.event_name,
        event_id: &event.event_id,
        state: event.state,
        reason: event.reason,
        arrived_at,
        window_ms: dialect.and_then(|dialect| dialect.recognises_for_ms()),
        beside: &event.beside,
        could_be_told: is_shared
            && event.action_source == "website"
            && event.click.is_some()
            && tells(snapshot, &event.campaign),
    };
    let (verdict, browser) = hybrid::judge(&sent, &event.told);
    Pair {
        verdict,
        at: event.created_at,
        campaign: event.campaign,
        click: event.click,
        event_name: event.event_name.clone(),
        browser: browser.cloned(),
        server: Some(ServerHalf {
            event_id: event.event_id,
            destination: event.destination,
            delivery: event.id,
            state: event.state,
            reason: event.reason,
            arrived_at,
            conversion: event.conversion,
        }),
    }
}

/// What a click's browser told and no event of the server is about. Tests are none of it: neither test campaigns nor the
/// test visitors of a live one.
fn alone(snapshot: &Snapshot, click: &ToldClick, is_test: bool) -> Vec<Pair> {
    if is_test || snapshot.campaign(&click.campaign).is_some_and(|campaign| campaign.test) {
        return Vec::new();
    }
    let counts = |told: &&Told| browser::is_qualified(&told.name) && !told.denied;
    let alone =
        click.told.iter().filter(counts).filter(|told| hybrid::is_alone(told, &click.told, &click.sent));
    alone
        .map(|told| Pair {
            verdict: Verdict::BrowserOnly,
            at: click.click.time(),
            campaign: click.campaign.clone(),
            click: Some(click.click),
            event_name: told.name.clone(),
            server: None,
            browser: Some(told.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let click = ClickId::from_bytes([7; 16]);
        for cursor in [
            Cursor::Sent(DeliveryId::from_bytes([9; 16])),
            Cursor::Told(None, 0),
            Cursor::Told(Some(click), 0),
            Cursor::Told(Some(click), 17),
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "told.", "told.x.1", "told.x", "dlv_", "untold"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
