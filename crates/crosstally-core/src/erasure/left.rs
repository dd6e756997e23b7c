//! What is left of a record when its person is erased: that it was there, of which campaign and partner, when, and its money.

use std::sync::Arc;

use crate::click::{AdClickIds, Click};
use crate::conversion::{Conversion, DedupeKey};
use crate::event::{Origin, OutboundEvent};
use crate::identity::Contact;
use crate::ids::{ClickId, GoalEventId};
use crate::postback::{Headers, Receipt};

/// The label of what was erased.
pub const LABEL: &str = "erased";

/// A click under an id that nobody has: it was there, and it has cost.
#[must_use]
pub fn click(click: &Click, id: ClickId) -> Click {
    Click {
        id,
        at: click.at,
        campaign: click.campaign.clone(),
        source: click.source.clone(),
        query: String::new(),
        target: String::new(),
        ip: None,
        in_europe: None,
        user_agent: String::new(),
        referrer: String::new(),
        language: String::new(),
        fbc_cookie: String::new(),
        fbp_cookie: String::new(),
        ad_click_ids: AdClickIds::default(),
        cost: click.cost,
        gpc: click.gpc,
        test: click.test,
        labels: labelled(&[]),
        way: None,
    }
}

/// A call: its sender, its verdict and what it booked. The labels stay: by them a stranger's call is told and counted.
#[must_use]
pub fn receipt(receipt: Receipt) -> Receipt {
    Receipt {
        query: Vec::new(),
        body: Vec::new(),
        content_type: String::new(),
        peer: String::new(),
        user_agent: String::new(),
        detail: String::new(),
        click: None,
        read: Arc::default(),
        headers: Headers::default(),
        contact: Contact::default(),
        sealed: None,
        labels: labelled(&receipt.labels),
        awaits: None,
        ..receipt
    }
}

/// A conversion: its place and its money. Its name becomes one of its own id, since the one of before may name its click or
/// its order.
#[must_use]
pub fn conversion(conversion: Conversion) -> Conversion {
    let mut left = Conversion {
        transaction_id: None,
        click: None,
        event_id: None,
        external_id: None,
        contact: Contact::default(),
        labels: labelled(&conversion.labels),
        ..conversion
    };
    left.key.key = format!("{LABEL}:{}", left.id);
    left
}

/// The order that a conversion is known by, whatever else its name is made of. Not one that is an order within its click
/// only: it is also somebody else's.
#[must_use]
pub fn order<'t>(name: &DedupeKey, transaction_id: Option<&'t str>) -> Option<&'t str> {
    let order = transaction_id?;
    let rest = name.key.strip_prefix("t:")?.strip_prefix(order)?;
    let is_name = rest.is_empty() || rest.starts_with('\n') && !rest.starts_with("\n\n");
    is_name.then_some(order)
}

/// An event: what was sent under which name with which value. It is never sent again.
#[must_use]
pub fn event(id: GoalEventId, event: &OutboundEvent) -> OutboundEvent {
    let origin = &event.origin;
    OutboundEvent {
        event_name: event.event_name.clone(),
        event_time: event.event_time,
        event_id: id.to_string(),
        action_source: event.action_source.clone(),
        value: event.value.clone(),
        currency: event.currency.clone(),
        value_basis: event.value_basis.clone(),
        origin: Origin {
            goal: origin.goal.clone(),
            conversion: origin.conversion.clone(),
            campaign: origin.campaign.clone(),
            source: origin.source.clone(),
            partner: origin.partner.clone(),
            event: origin.event.clone(),
            status: origin.status.clone(),
            payout: origin.payout.clone(),
            revenue: origin.revenue.clone(),
            currency: origin.currency.clone(),
            value_of: origin.value_of.clone(),
            erased: true,
            ..Origin::default()
        },
        adjustment: event.adjustment.clone(),
        ..OutboundEvent::default()
    }
}

fn labelled(labels: &[String]) -> Vec<String> {
    let mut labels = labels.to_vec();
    if !labels.iter().any(|label| label == LABEL) {
        labels.push(LABEL.to_owned());
    }
    labels
}
