//! Step: the name under which a conversion is unique.

use crate::contract::{Contract, DuplicateMode, TransactionScope};
use crate::conversion::DedupeKey;
use crate::limits;
use crate::postback::{ClickRef, Postback};

/// Names the conversion that a postback is about: by transaction id where there is one, else by click, within the
/// partner and the partner's name for what happened. A sign-up and a deposit of the same click are two conversions.
///
/// `None` if the postback names nothing that could tell it from another.
#[must_use]
pub fn key(postback: &Postback, contract: &Contract) -> Option<DedupeKey> {
    let click = match &postback.click {
        ClickRef::Ours(click) => Some(click),
        ClickRef::None | ClickRef::Foreign { .. } => None,
    };
    let scope = contract.transaction_scope();
    let mut key = match (&postback.transaction_id, click) {
        (Some(_), Some(click)) if scope == TransactionScope::None => format!("c:{click}"),
        (Some(transaction), Some(click)) if scope == TransactionScope::Click => {
            format!("t:{transaction}\n\n{click}")
        }
        (Some(transaction), _) => format!("t:{transaction}"),
        (None, Some(click)) => format!("c:{click}"),
        (None, None) => unnamed(postback)?,
    };
    let event = postback.event.as_deref().unwrap_or("").to_lowercase();
    if !event.is_empty() {
        key.push('\n');
        key.push_str(&event);
    }
    // Modes by which more than one conversion can bear one name: what tells them apart becomes part of it.
    match contract.duplicates(postback.event.as_deref()) {
        DuplicateMode::Update | DuplicateMode::Ignore | DuplicateMode::Add => {}
        DuplicateMode::EventId => {
            key.push_str(&postback.event_id.as_ref().map(|id| format!("\n#e:{id}")).unwrap_or_default());
        }
        DuplicateMode::Record => key.push_str(&apart(postback)),
    }
    (key.len() <= limits::KEY_BYTES_MAX).then(|| DedupeKey { partner: postback.partner.clone(), key })
}

/// A server event needs neither click nor transaction: its id names it, else all that it says.
fn unnamed(postback: &Postback) -> Option<String> {
    postback.given.as_ref()?;
    if matches!(postback.click, ClickRef::Foreign { .. }) {
        return None;
    }
    let content = || postback.content.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(postback.event_id.as_ref().map_or_else(|| format!("h:{}", content()), |id| format!("e:{id}")))
}

/// The amounts, the time and the event id: another one of these is another conversion, another status is not.
fn apart(postback: &Postback) -> String {
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    format!(
        "\n#r:{}:{}:{}:{}",
        number(postback.amounts.payout),
        number(postback.amounts.revenue),
        number(postback.event_time.map(|at| at.as_millis())),
        postback.event_id.as_deref().unwrap_or_default(),
    )
}
