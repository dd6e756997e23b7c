//! Reads offers and landers.

use std::collections::HashMap;

use super::campaign::target;
use super::document::{Section, shown};
use super::findings::Findings;
use super::slugs::Slugs;
use crate::offer::{Cap, Lander, Offer};

/// The most that a cap may be.
const CAP_MAX: i64 = 1_000_000_000_000;
const TARGET: &str = "\"https://shop.example/p?cid={click_id}\"";

pub(super) fn offer(
    section: &Section<'_>,
    slug: String,
    offers: &Slugs,
    found: &mut Findings<'_>,
) -> Option<Offer> {
    section.refuse_unknown(["slug", "target", "cap", "redirect"], found);
    let cap = cap(section, offers, found);
    let redirect = section.word("redirect", found).unwrap_or_default();
    let target = section.required("target", TARGET, found).and_then(|text| target(&text, found))?;
    Some(Offer { slug, target, cap, redirect })
}

pub(super) fn lander(section: &Section<'_>, slug: String, found: &mut Findings<'_>) -> Option<Lander> {
    section.refuse_unknown(["slug", "target"], found);
    let target = section.required("target", TARGET, found).and_then(|text| target(&text, found))?;
    Some(Lander { slug, target })
}

fn cap(section: &Section<'_>, offers: &Slugs, found: &mut Findings<'_>) -> Option<Cap> {
    const EXAMPLE: &str = "{ daily = 100, overflow = \"another-offer\" }";
    let cap = section.table("cap", EXAMPLE, found)?;
    cap.refuse_unknown(["daily", "total", "overflow"], found);
    let (daily, total) = (most(&cap, "daily", found), most(&cap, "total", found));
    if cap.item("daily").is_none() && cap.item("total").is_none() {
        found.problem(&cap.spot, "`cap` has neither `daily` nor `total`", format!("write cap = {EXAMPLE}"));
    }
    let overflow = cap.required("overflow", "\"another-offer\"", found)?;
    known(offers, "offer", overflow.text, &overflow.spot, found);
    Some(Cap { daily, total, overflow: overflow.text.to_owned() })
}

fn most(cap: &Section<'_>, key: &str, found: &mut Findings<'_>) -> Option<u64> {
    let item = cap.item(key)?;
    let number = item.integer(found)?;
    if (0..=CAP_MAX).contains(&number) {
        return u64::try_from(number).ok();
    }
    let problem = format!("`{key}` is not between 0 and {CAP_MAX}");
    found.problem(&item.spot, problem, format!("write {key} = 100"));
    None
}

/// Notes a reference to nothing.
pub(super) fn known(
    slugs: &Slugs,
    kind: &str,
    slug: &str,
    spot: &super::findings::Spot,
    found: &mut Findings<'_>,
) {
    if !slugs.contains(slug) {
        let add = || format!("add a [[{kind}]] with slug = {}", crate::config::print::quoted(slug));
        let fix = slugs.meant(slug, found).unwrap_or_else(add);
        found.problem(spot, format!("there is no {kind} {}", shown(slug)), fix);
    }
}

/// However full everything is, there is somewhere to go: every overflow ends at an offer without a cap.
pub(super) fn check_overflows(offers: &[Offer], placed: &[(Section<'_>, String)], found: &mut Findings<'_>) {
    let capped: HashMap<&str, &str> = offers
        .iter()
        .filter_map(|offer| Some((offer.slug.as_str(), offer.cap.as_ref()?.overflow.as_str())))
        .collect();
    let next = |slug: &str| capped.get(slug).copied();
    for (section, slug) in placed {
        let (mut at, mut steps) = (slug.as_str(), 0);
        while let Some(overflow) = next(at) {
            (at, steps) = (overflow, steps + 1);
            if steps > OVERFLOWS_MAX {
                let problem = format!(
                    "the overflow of {} does not end at an offer without a cap within {OVERFLOWS_MAX} steps",
                    shown(slug)
                );
                found.problem(
                    &section.spot_of("cap"),
                    problem,
                    "let the last overflow be an offer without `cap`",
                );
                break;
            }
        }
    }
}

/// The longest way from one full offer to the next.
pub(super) const OVERFLOWS_MAX: usize = 8;
