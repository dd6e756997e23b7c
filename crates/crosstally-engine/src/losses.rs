//! The redirect-loss meter: of the visitors that were sent on, how many came to each hop, and where a hop cannot be seen.

use crosstally_core::ids::ClickId;
use crosstally_core::share::percent;
use crosstally_core::time::Timestamp;
use crosstally_store::{HopCount, StoreError};

use crate::Engine;
use crate::snapshot::Snapshot;

/// Clicks that one question counts.
pub const CLICKS_MAX: u32 = 200_000;

/// Which clicks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of this campaign only.
    pub campaign: Option<String>,
    /// Of this offer only.
    pub offer: Option<String>,
    /// Clicked at or after.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
}

/// One hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// `redirect`, `page_view`, `step`, `action` or `conversion`.
    pub name: &'static str,
    /// How many came to it, if it can be seen.
    pub count: Option<u64>,
    /// How many fewer than at the last hop that can be seen.
    pub lost: Option<u64>,
    /// The same of a hundred.
    pub lost_percent: Option<String>,
    /// Why it cannot be seen, or what its figures do not say.
    pub note: Option<String>,
}

/// The clicks of one campaign and day that went the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// How far they came.
    pub count: HopCount,
    /// The same hop by hop.
    pub hops: Vec<Hop>,
}

impl Engine {
    /// Counts hop by hop, oldest first. Behind which click to go on, if there were more than one question counts; the rows
    /// of the next answer then add to these.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn redirect_losses(
        &self,
        wanted: &Wanted,
        after: Option<ClickId>,
    ) -> Result<(Vec<Loss>, Option<ClickId>), StoreError> {
        let counts = self.store.hop_counts((wanted.from, wanted.to), after, CLICKS_MAX).await?;
        let snapshot = self.snapshot.load_full();
        let is = |wish: &Option<String>, text: &str| wish.as_deref().is_none_or(|wish| wish == text);
        let rows = counts.rows.into_iter();
        let rows = rows.filter(|row| is(&wanted.campaign, &row.campaign) && is(&wanted.offer, &row.offer));
        Ok((rows.map(|count| Loss { hops: hops(&snapshot, &count), count }).collect(), counts.next))
    }
}

/// A way through the hops, each beside the last that can be seen.
struct Meter {
    before: u64,
    hops: Vec<Hop>,
}

impl Meter {
    fn seen(&mut self, name: &'static str, count: u64) {
        let lost = self.before.saturating_sub(count);
        let more = count.saturating_sub(self.before);
        let more =
            (more > 0).then(|| format!("{more} more than at the hop before: they came past it unseen"));
        self.hops.push(Hop {
            name,
            count: Some(count),
            lost: Some(lost),
            lost_percent: percent(lost, self.before),
            note: more,
        });
        self.before = count;
    }

    fn unseen(&mut self, name: &'static str, why: &str) {
        let note = Some(why.to_owned());
        self.hops.push(Hop { name, count: None, lost: None, lost_percent: None, note });
    }
}

fn hops(snapshot: &Snapshot, count: &HopCount) -> Vec<Hop> {
    let campaign = snapshot.campaign(&count.campaign);
    let first =
        Hop { name: "redirect", count: Some(count.served), lost: None, lost_percent: None, note: None };
    let mut meter = Meter { before: count.served, hops: vec![first] };
    let blind = match campaign {
        None => {
            Some("the campaign is not configured any more: whether its pages had the script is not known")
        }
        Some(campaign) if campaign.sites.is_empty() => {
            Some("no script: the campaign names no `sites`, so that no page tells anything")
        }
        Some(_) if count.viewed == 0 && count.acted == 0 && count.served > 0 => Some(
            "no page was told of any of these clicks: either none arrived, or the script is not on the page",
        ),
        Some(_) => None,
    };
    match blind {
        Some(why) => meter.unseen("page_view", why),
        None => meter.seen("page_view", count.viewed),
    }
    if !count.lander.is_empty() {
        meter.seen("step", count.stepped);
    }
    match blind {
        Some(why) => meter.unseen("action", why),
        None => meter.seen("action", count.acted),
    }
    meter.seen("conversion", count.converted);
    meter.hops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_that_is_not_seen_loses_nobody() {
        let mut meter = Meter { before: 200, hops: Vec::new() };
        meter.unseen("page_view", "no script");
        meter.seen("action", 50);
        meter.seen("conversion", 60);
        let said: Vec<_> = meter
            .hops
            .iter()
            .map(|hop| (hop.count, hop.lost, hop.lost_percent.as_deref(), hop.note.is_some()))
            .collect();
        assert_eq!(
            said,
            [
                (None, None, None, true),
                (Some(50), Some(150), Some("75.0"), false),
                (Some(60), Some(0), Some("0.0"), true),
            ]
        );
    }
}
