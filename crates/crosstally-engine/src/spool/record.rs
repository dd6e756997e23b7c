//! The records of a spool file.

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::ids::ClickId;
use crosstally_core::money::{Currency, Money};
use crosstally_core::time::Timestamp;
use crosstally_core::visit::{Step, Way};
use serde::{Deserialize, Serialize};

use super::Spooled;

const HEAD_BYTES: usize = 8;
const RECORD_BYTES_MAX: usize = 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Stored {
    id: ClickId,
    at: i64,
    campaign: String,
    source: String,
    query: String,
    target: String,
    ip: Option<std::net::IpAddr>,
    user_agent: String,
    referrer: String,
    language: String,
    fbc_cookie: String,
    fbp_cookie: String,
    ad_click_ids: String,
    cost_minor: Option<i64>,
    cost_currency: Option<Currency>,
    gpc: bool,
    test: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    way: Option<Box<Way>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_europe: Option<bool>,
}

/// No click has a key of this name.
#[derive(Serialize, Deserialize)]
struct StoredStep {
    step_of: ClickId,
    at: i64,
    offer: String,
    instead_of: String,
}

/// One click as a record.
pub(super) fn encode(click: &Click) -> Vec<u8> {
    let stored = Stored {
        id: click.id,
        at: click.at.as_millis(),
        campaign: click.campaign.clone(),
        source: click.source.clone(),
        query: click.query.clone(),
        target: click.target.clone(),
        ip: click.ip,
        user_agent: click.user_agent.clone(),
        referrer: click.referrer.clone(),
        language: click.language.clone(),
        fbc_cookie: click.fbc_cookie.clone(),
        fbp_cookie: click.fbp_cookie.clone(),
        ad_click_ids: click.ad_click_ids.to_stored(),
        cost_minor: click.cost.map(|cost| cost.minor),
        cost_currency: click.cost.map(|cost| cost.currency),
        gpc: click.gpc,
        test: click.test,
        labels: click.labels.clone(),
        way: click.way.clone(),
        in_europe: click.in_europe,
    };
    record(&stored)
}

/// One step as a record.
pub(super) fn encode_step(step: &Step) -> Vec<u8> {
    let Step { click, at, offer, instead_of } = step;
    let (offer, instead_of) = (offer.clone(), instead_of.clone());
    record(&StoredStep { step_of: *click, at: at.as_millis(), offer, instead_of })
}

fn record(stored: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_vec(stored).expect("plain texts and numbers always serialise");
    let length = u32::try_from(body.len()).expect("a click is far smaller than 4 GiB");
    let mut record = Vec::with_capacity(HEAD_BYTES + body.len());
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    record.extend_from_slice(&body);
    record
}

/// What a record holds.
enum Held {
    Click(Box<Click>),
    Step(Step),
}

fn decode(body: &[u8]) -> Option<Held> {
    if let Ok(stored) = serde_json::from_slice::<StoredStep>(body) {
        let StoredStep { step_of: click, at, offer, instead_of } = stored;
        return Some(Held::Step(Step { click, at: Timestamp::from_millis(at), offer, instead_of }));
    }
    decode_click(body).map(|click| Held::Click(Box::new(click)))
}

fn decode_click(body: &[u8]) -> Option<Click> {
    let stored: Stored = serde_json::from_slice(body).ok()?;
    Some(Click {
        id: stored.id,
        at: Timestamp::from_millis(stored.at),
        campaign: stored.campaign,
        source: stored.source,
        query: stored.query,
        target: stored.target,
        ip: stored.ip,
        in_europe: stored.in_europe,
        user_agent: stored.user_agent,
        referrer: stored.referrer,
        language: stored.language,
        fbc_cookie: stored.fbc_cookie,
        fbp_cookie: stored.fbp_cookie,
        ad_click_ids: AdClickIds::from_stored(&stored.ad_click_ids),
        cost: stored
            .cost_minor
            .zip(stored.cost_currency)
            .map(|(minor, currency)| Money::new(minor, currency)),
        gpc: stored.gpc,
        test: stored.test,
        labels: stored.labels,
        way: stored.way,
    })
}

/// Reads every whole record; always ends, and steps over damage byte by byte until the next whole record.
pub(super) fn read_all(bytes: &[u8]) -> Spooled {
    let mut spooled = Spooled::default();
    let mut at = 0;
    while at < bytes.len() {
        match record_at(bytes, at) {
            Some((held, end)) => {
                match held {
                    Held::Click(click) => spooled.clicks.push(*click),
                    Held::Step(step) => spooled.steps.push(step),
                }
                at = end;
            }
            None => {
                spooled.damaged_bytes += 1;
                at += 1;
            }
        }
    }
    spooled
}

fn record_at(bytes: &[u8], at: usize) -> Option<(Held, usize)> {
    let head = bytes.get(at..at + HEAD_BYTES)?;
    let length = usize::try_from(u32::from_be_bytes(head.get(..4)?.try_into().ok()?)).ok()?;
    if length > RECORD_BYTES_MAX {
        return None;
    }
    let sum = u32::from_be_bytes(head.get(4..)?.try_into().ok()?);
    let end = at + HEAD_BYTES + length;
    let body = bytes.get(at + HEAD_BYTES..end)?;
    if crc32fast::hash(body) != sum {
        return None;
    }
    Some((decode(body)?, end))
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use crosstally_core::ids::ClickIdKey;
    use proptest::prelude::*;

    use super::*;

    pub(in crate::spool) fn click(at: i64) -> Click {
        Click {
            id: ClickId::new(&ClickIdKey::new(&[1; 32]), Timestamp::from_millis(at), [2; 7]),
            at: Timestamp::from_millis(at),
            campaign: "summer".into(),
            source: "facebook".into(),
            query: "fbclid=AbC&x=é".into(),
            target: "https://lander.example/".into(),
            ip: Some("2001:db8::1".parse().unwrap()),
            in_europe: Some(true),
            user_agent: "UA/1.0".into(),
            referrer: String::new(),
            language: "en".into(),
            fbc_cookie: String::new(),
            fbp_cookie: String::new(),
            ad_click_ids: AdClickIds::from_stored("{\"fbclid\":\"AbC\"}"),
            cost: Some(Money::new(25, "USD".parse().unwrap())),
            gpc: true,
            test: false,
            labels: vec!["click_flood".into()],
            way: Some(Box::new(Way { path: "rest".into(), asn: Some(1), ..Way::default() })),
        }
    }

    #[test]
    fn whole_records_before_and_after_damage_are_found() {
        let (first, second) = (click(1_764_201_600_000), click(1_764_201_600_001));
        let step = Step { click: first.id, at: second.at, offer: "shop".into(), instead_of: "small".into() };
        let mut bytes = encode(&first);
        bytes.extend_from_slice(&encode(&first)[..40]);
        bytes.extend_from_slice(&encode_step(&step));
        bytes.extend_from_slice(&encode(&second));
        let spooled = read_all(&bytes);
        assert_eq!((spooled.clicks, spooled.steps), (vec![first, second], vec![step]));
        assert_eq!(spooled.damaged_bytes, 40);
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let spooled = read_all(&bytes);
            prop_assert!(spooled.clicks.is_empty() && spooled.steps.is_empty());
        }
    }
}
