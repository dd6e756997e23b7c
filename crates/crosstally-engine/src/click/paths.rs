//! Where the visitors of a campaign with paths go: the first path whose rule holds, then one of its landers and offers.

use crosstally_core::config::Campaign;
use crosstally_core::device::Device;
use crosstally_core::ids::ClickId;
use crosstally_core::offer::Offer;
use crosstally_core::reason::Reason;
use crosstally_core::rotation::{self, Kind, Sticky};
use crosstally_core::target::{Target, TargetValues};
use crosstally_core::time::Timestamp;
use crosstally_core::visit::{Place, Visit, Way};

use super::step::CLICK_COOKIE;
use super::{Chosen, ClickIn, Cookie, cookie};
use crate::Engine;
use crate::snapshot::{Rotation, Snapshot};

/// The cookie that tells a visitor of a campaign again: the id of the first click.
const VISITOR_COOKIE: &str = "ct_v";
/// Offers that are tried one after the other; the configuration allows fewer.
const OVERFLOWS_MAX: usize = 16;

/// A click that is to be sent somewhere.
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) campaign: &'a Campaign,
    pub(super) rotation: &'a Rotation,
    pub(super) input: ClickIn<'a>,
    pub(super) values: TargetValues<'a>,
    pub(super) now: Timestamp,
    pub(super) id: ClickId,
}

impl Engine {
    /// Chooses where a click goes.
    pub(super) fn choose(&self, asked: Asked<'_>) -> Result<Chosen, Reason> {
        let Asked { snapshot, campaign, rotation, input, values, now, id } = asked;
        let needs = rotation.needs;
        let first = if rotation.knows_visitors { self.first_click(input.cookies) } else { None };
        let place = match input.ip.filter(|_| needs.place) {
            Some(ip) => self.geo.place(ip),
            None => Place::default(),
        };
        let visit = Visit {
            at: now,
            zone: &snapshot.zone,
            campaign: &campaign.slug,
            source: &campaign.source,
            params: values.params,
            language: input.language,
            place: &place,
            device: if needs.device { Device::of(input.user_agent) } else { Device::default() },
            returning: first.is_some(),
        };
        let path =
            rotation::first(rotation.paths(&snapshot.config), &visit).ok_or(Reason::UnknownCampaign)?;
        let number = match campaign.sticky {
            Sticky::None => u64::from_be_bytes(self.random.bytes()),
            Sticky::Visitor => {
                let ip = input.ip.map(|ip| ip.to_canonical().to_string()).unwrap_or_default();
                let visitor = format!("{ip}\0{}", input.user_agent);
                rotation::number_of(visitor.as_bytes(), &campaign.slug, &path.slug)
            }
            Sticky::Cookie => rotation::number_of(first.unwrap_or(id).as_bytes(), &campaign.slug, &path.slug),
        };
        let member = path.draw(number).ok_or(Reason::UnknownCampaign)?;
        let mut way = way(&visit);
        way.path.clone_from(&path.slug);
        way.returning = needs.returning.then_some(visit.returning);
        let target = match member.kind {
            Kind::Lander => {
                way.lander.clone_from(&member.slug);
                &snapshot.lander(&member.slug).ok_or(Reason::UnknownCampaign)?.target
            }
            Kind::Offer => {
                let offer = self
                    .offer_with_room(snapshot, &member.slug, now, !input.test)
                    .ok_or(Reason::UnknownCampaign)?;
                way.goes_to(&offer.slug, &member.slug);
                &offer.target
            }
        };
        let mut cookies = Vec::new();
        if rotation.knows_visitors && first.is_none() {
            let path = format!("/c/{}", campaign.slug);
            cookies.push(Cookie { name: VISITOR_COOKIE, value: values.click_id.to_owned(), path });
        }
        if rotation.has_landers {
            let value = values.click_id.to_owned();
            cookies.push(Cookie { name: CLICK_COOKIE, value, path: "/o/".to_owned() });
        }
        Ok(Chosen {
            target: filled(target, values, &way),
            how: path.redirect.unwrap_or(campaign.redirect),
            way: Some(Box::new(way)),
            cookies,
        })
    }

    /// The offer that a visitor of this one goes to: itself, or the first behind it that has room. Unless it is a test, the
    /// visitor is counted.
    pub(super) fn offer_with_room<'s>(
        &self,
        snapshot: &'s Snapshot,
        slug: &str,
        now: Timestamp,
        counts: bool,
    ) -> Option<&'s Offer> {
        let mut offer = snapshot.offer(slug)?;
        for _ in 0..OVERFLOWS_MAX {
            let Some(cap) = &offer.cap else { return Some(offer) };
            let day = snapshot.zone.day(now);
            let has_room = if counts {
                self.caps.take(&offer.slug, cap, day)
            } else {
                self.caps.has_room(&offer.slug, cap, day)
            };
            if has_room {
                return Some(offer);
            }
            offer = snapshot.offer(&cap.overflow)?;
        }
        None
    }

    /// The first click of a visitor on a campaign, if a cookie of ours names it.
    fn first_click(&self, cookies: &str) -> Option<ClickId> {
        ClickId::parse(&self.click_id_key, &cookie(cookies, VISITOR_COOKIE)).ok()
    }
}

/// What was looked up.
fn way(visit: &Visit<'_>) -> Way {
    Way {
        country: visit.place.country.clone(),
        region: visit.place.region.clone(),
        city: visit.place.city.clone(),
        isp: visit.place.isp.clone(),
        asn: visit.place.asn,
        device: visit.device.kind.to_owned(),
        os: visit.device.os.to_owned(),
        browser: visit.device.browser.to_owned(),
        ..Way::default()
    }
}

/// A target with what is known of the way.
pub(super) fn filled(target: &Target, values: TargetValues<'_>, way: &Way) -> String {
    let asn = way.asn.map(|asn| asn.to_string()).unwrap_or_default();
    let known: Vec<(&str, &str)> = [
        ("path", way.path.as_str()),
        ("lander", &way.lander),
        ("offer", &way.offer),
        ("country", &way.country),
        ("region", &way.region),
        ("city", &way.city),
        ("isp", &way.isp),
        ("asn", &asn),
        ("device", &way.device),
        ("os", &way.os),
        ("browser", &way.browser),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect();
    target.fill_along(values, &known)
}
