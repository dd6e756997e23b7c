//! A click: look the campaign up, make the click, fill the target, append it, redirect.
//!
//! The redirect waits for the disk, but not for ever: past the deadline, or when the store turns clicks away, the visitor
//! is sent on and the click goes through the spool. A sick store never stops a redirect.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::config::CostModel;
use crosstally_core::ids::ClickId;
use crosstally_core::limits;
use crosstally_core::params::Params;
use crosstally_core::reason::Reason;
use crosstally_core::target::TargetValues;

use crate::Engine;
use crate::metrics::Name;

/// How long a redirect waits for the store.
pub const COMMIT_WAIT: Duration = Duration::from_millis(50);

/// A click as it came to the door.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClickIn<'a> {
    /// The campaign's slug from the path.
    pub campaign: &'a str,
    /// The query string.
    pub query: &'a str,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: &'a str,
    /// The `Referer` header.
    pub referrer: &'a str,
    /// The `Accept-Language` header.
    pub language: &'a str,
    /// The `Cookie` header.
    pub cookies: &'a str,
    /// Whether the browser sent `Sec-GPC: 1`.
    pub gpc: bool,
}

/// What the visitor gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClickOut {
    /// A redirect to this URL.
    Redirect(String),
    /// An answer with this reason.
    Refused(Reason),
}

impl Engine {
    /// Captures a click.
    pub async fn capture_click(&self, input: ClickIn<'_>) -> ClickOut {
        let click = match self.make_click(input) {
            Ok(click) => Arc::new(click),
            Err(reason) => return ClickOut::Refused(reason),
        };
        let target = click.target.clone();
        match tokio::time::timeout(COMMIT_WAIT, self.store.append_click(Arc::clone(&click))).await {
            Ok(Ok(())) => self.metrics.clicks_stored.increment(1),
            Ok(Err(_)) | Err(_) => self.spool_click(&click).await,
        }
        ClickOut::Redirect(target)
    }

    fn make_click(&self, input: ClickIn<'_>) -> Result<Click, Reason> {
        let snapshot = self.snapshot.load();
        let campaign = snapshot.campaign(input.campaign).ok_or(Reason::UnknownCampaign)?;
        if input.query.len() > limits::QUERY_BYTES_MAX {
            return Err(Reason::QueryTooLarge);
        }
        let params = Params::parse(input.query.as_bytes())?;
        let now = self.clock.now();
        let id = ClickId::new(&self.click_id_key, now, self.random.bytes());
        let id_text = id.to_string();
        let target = campaign.target.fill(TargetValues {
            click_id: &id_text,
            campaign: &campaign.slug,
            source: &campaign.source,
            params: &params,
        });
        if target.len() > limits::TARGET_BYTES_MAX {
            return Err(Reason::ParamTooLong);
        }
        let flood = snapshot.config.fraud.click_flood.zip(input.ip);
        let floods = flood.is_some_and(|(often, ip)| self.flood.is_too_often(&campaign.slug, ip, often, now));
        Ok(Click {
            id,
            at: now,
            campaign: campaign.slug.clone(),
            source: campaign.source.clone(),
            query: input.query.to_owned(),
            target,
            ip: input.ip,
            user_agent: kept(input.user_agent),
            referrer: kept(input.referrer),
            language: kept(input.language),
            fbc_cookie: cookie(input.cookies, "_fbc"),
            fbp_cookie: cookie(input.cookies, "_fbp"),
            ad_click_ids: AdClickIds::from_params(&params),
            cost: campaign.cost_model.map(|CostModel::Cpc(cost)| cost),
            gpc: input.gpc,
            test: campaign.test,
            labels: if floods { vec![Reason::ClickFlood.code().to_owned()] } else { Vec::new() },
        })
    }

    async fn spool_click(&self, click: &Arc<Click>) {
        // A disk that hangs must not hold the visitor: the writer goes on, the redirect does not wait for it.
        let written = tokio::time::timeout(COMMIT_WAIT, self.spool.append(click)).await;
        let how = if written.unwrap_or(false) { "spooled" } else { "lost" };
        self.metrics.count(Name::Clicks, &[("mode", how)], 1);
    }
}

fn kept(header: &str) -> String {
    let mut end = header.len().min(limits::HEADER_BYTES_MAX);
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    header.get(..end).unwrap_or_default().to_owned()
}

fn cookie(header: &str, name: &str) -> String {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| kept(value))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let header = "a_fbc=x; _fbc=fb.1.1.AbC; _fbp=fb.1.1.5";
        assert_eq!(cookie(header, "_fbc"), "fb.1.1.AbC");
        assert_eq!(cookie(header, "_fbp"), "fb.1.1.5");
        assert_eq!(cookie("", "_fbc"), "");
        assert_eq!(kept(&"é".repeat(2000)).len(), limits::HEADER_BYTES_MAX);
    }
}
