//! Reads pre-flights that are flown by themselves.

use super::document::{Section, shown};
use super::findings::Findings;
use super::offer::known;
use super::slugs::Slugs;
use crate::preflight::monitor::{Monitor, minute_of};
use crate::preflight::{ACTIONS_MAX, fits_before_mark};

const KEYS: [&str; 13] = [
    "slug",
    "campaign",
    "at",
    "partner",
    "actions",
    "base",
    "lander",
    "postback",
    "status",
    "event",
    "currency",
    "params",
    "allow_private",
];

pub(super) fn monitor(
    section: &Section<'_>,
    slug: String,
    (campaigns, partners): (&Slugs, &Slugs),
    found: &mut Findings<'_>,
) -> Option<Monitor> {
    section.refuse_unknown(KEYS, found);
    let text =
        |key: &str, found: &mut Findings<'_>| section.text(key, found).map(|text| text.text.to_owned());
    let campaign = section.required("campaign", "\"summer\"", found);
    if let Some(campaign) = &campaign {
        known(campaigns, "campaign", campaign.text, &campaign.spot, found);
    }
    let partner = section.text("partner", found);
    if let Some(partner) = &partner {
        known(partners, "partner", partner.text, &partner.spot, found);
    }
    let at_minute = section.required("at", "\"03:30\"", found).and_then(|text| {
        let minute = minute_of(text.text);
        if minute.is_none() {
            let problem = format!("{} is not a time of day", shown(text.text));
            found.problem(&text.spot, problem, "write hours and minutes: at = \"03:30\"");
        }
        minute
    });
    let actions = actions(section, found);
    for key in ["base", "lander", "postback"] {
        url(section, key, found);
    }
    params(section, found);
    Some(Monitor {
        slug,
        campaign: campaign?.text.to_owned(),
        at_minute: at_minute?,
        partner: partner.map(|partner| partner.text.to_owned()),
        actions,
        base: text("base", found),
        lander: text("lander", found),
        postback: text("postback", found),
        status: text("status", found),
        event: text("event", found),
        currency: section.currency("currency", found),
        params: text("params", found),
        allow_private: section.flag("allow_private", found),
    })
}

fn actions(section: &Section<'_>, found: &mut Findings<'_>) -> Option<u32> {
    let item = section.item("actions")?;
    let number = item.integer(found)?;
    let most = i64::try_from(ACTIONS_MAX).unwrap_or(i64::MAX);
    if (1..=most).contains(&number) {
        return u32::try_from(number).ok();
    }
    found.problem(&item.spot, format!("`actions` is not between 1 and {most}"), "write actions = 24");
    None
}

fn params(section: &Section<'_>, found: &mut Findings<'_>) {
    let Some(params) = section.item("params").filter(super::document::Item::is_text) else { return };
    let Some(params) = params.into_text(found).filter(|params| !fits_before_mark(params.text)) else {
        return;
    };
    let problem = format!("{} has a `#` or a blank, which ends a query", shown(params.text));
    found.problem(&params.spot, problem, "write params = \"sub2=x&sub3=y\", encoded as in a URL");
}

fn url(section: &Section<'_>, key: &str, found: &mut Findings<'_>) {
    let Some(text) =
        section.item(key).filter(super::document::Item::is_text).and_then(|item| item.into_text(found))
    else {
        return;
    };
    // Behind the base stands the path of the link.
    let ends = key == "base" && text.text.contains(['?', '#']);
    let good = !ends
        && url::Url::parse(text.text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !good {
        let problem = format!("{} is not an address", shown(text.text));
        found.problem(&text.spot, problem, format!("write {key} = \"https://host/path\""));
    }
}
