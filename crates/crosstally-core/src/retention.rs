//! How long fields that tell of a person are kept. When the time has come is told by the age of the record, which its id
//! begins with.

use crate::click::Click;
use crate::event::OutboundEvent;
use crate::time::{DAY_MS, HOUR_MS, Timestamp};
use crate::word::Word;

/// The shortest time: what is written late is never older than a day, but for clicks out of a spool, which lose what is over
/// on their way in.
pub const SPAN_MS_MIN: i64 = 2 * DAY_MS;
/// The longest time.
pub const SPAN_MS_MAX: i64 = 3650 * DAY_MS;
/// The label of a call whose raw bytes are gone: it is never read again.
pub const PURGED: &str = "purged";

/// A class of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Addresses of visitors and senders.
    Ip,
    /// Their user agents.
    UserAgent,
    /// What was sent and answered, byte for byte: calls, payloads, answers.
    Raw,
}

impl Word for Class {
    const ALL: &'static [Self] = &[Self::Ip, Self::UserAgent, Self::Raw];

    fn word(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::UserAgent => "user_agent",
            Self::Raw => "raw",
        }
    }
}

/// How long each class is kept; for ever, if nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Addresses, in milliseconds.
    pub ip: Option<i64>,
    /// User agents.
    pub user_agent: Option<i64>,
    /// Raw bytes.
    pub raw: Option<i64>,
}

impl Retention {
    /// How long a class is kept.
    #[must_use]
    pub const fn of(&self, class: Class) -> Option<i64> {
        match class {
            Class::Ip => self.ip,
            Class::UserAgent => self.user_agent,
            Class::Raw => self.raw,
        }
    }

    /// A click that comes late, without what its time is over for: the purge has passed its place, or is about to.
    #[must_use]
    pub fn late_click(&self, click: Click, now: Timestamp) -> Click {
        let age_ms = now.millis_since(click.at).saturating_add(HOUR_MS);
        let is_over = |span: Option<i64>| span.is_some_and(|span| age_ms >= span);
        Click {
            ip: click.ip.filter(|_| !is_over(self.ip)),
            user_agent: if is_over(self.user_agent) { String::new() } else { click.user_agent },
            ..click
        }
    }
}

/// An event without the fields of a class; `None` if it has none of them. That its visitor is in Europe, or may be, is not
/// forgotten with the address: whether it may be sent hangs on it.
#[must_use]
pub fn without(event: &OutboundEvent, class: Class) -> Option<OutboundEvent> {
    let visitor = &event.visitor;
    let has = match class {
        Class::Ip => visitor.client_ip_address.is_some(),
        Class::UserAgent => visitor.client_user_agent.is_some(),
        Class::Raw => false,
    };
    has.then(|| {
        let mut left = event.clone();
        match class {
            Class::Ip => {
                left.visitor.client_ip_address = None;
                left.origin.europe = left.origin.europe.without_address();
            }
            Class::UserAgent => left.visitor.client_user_agent = None,
            Class::Raw => {}
        }
        left
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::consent::Europe;

    #[test]
    fn a_late_click_loses_what_its_time_is_over_for() {
        let at = Timestamp::from_millis(DAY_MS);
        let click = Click {
            id: crate::ids::ClickId::new(&crate::ids::ClickIdKey::new(&[7; 32]), at, [1; 7]),
            at,
            campaign: "summer".into(),
            source: String::new(),
            query: "sub1=x".into(),
            target: String::new(),
            ip: Some([192, 0, 2, 7].into()),
            in_europe: None,
            user_agent: "UA".into(),
            referrer: String::new(),
            language: String::new(),
            fbc_cookie: String::new(),
            fbp_cookie: String::new(),
            ad_click_ids: crate::click::AdClickIds::default(),
            cost: None,
            gpc: false,
            test: false,
            labels: Vec::new(),
            way: None,
        };
        let kept = Retention { ip: Some(2 * DAY_MS), user_agent: Some(9 * DAY_MS), raw: Some(2 * DAY_MS) };
        for (days, ip, agent) in [(1, true, true), (2, false, true), (9, false, false)] {
            let late = kept.late_click(click.clone(), at.plus_millis(days * DAY_MS));
            assert_eq!((late.ip.is_some(), !late.user_agent.is_empty()), (ip, agent), "{days} days");
            assert_eq!(late.query, click.query);
            assert_eq!(Retention::default().late_click(click.clone(), at.plus_millis(days * DAY_MS)), click);
        }
    }

    #[test]
    fn an_event_loses_what_its_time_is_over_for() {
        let mut event = OutboundEvent { event_id: "e-1".into(), ..OutboundEvent::default() };
        event.visitor.client_ip_address = Some("192.0.2.7".into());
        event.visitor.client_user_agent = Some("UA".into());
        let left = without(&event, Class::Ip).unwrap();
        assert_eq!((left.visitor.client_ip_address.as_deref(), left.event_id.as_str()), (None, "e-1"));
        assert_eq!(left.visitor.client_user_agent.as_deref(), Some("UA"));
        assert_eq!(without(&left, Class::Ip), None, "there is nothing to write");
        assert_eq!(left.origin.europe, Europe::Unknown, "nobody has asked the address");
        event.origin.europe = Europe::Outside;
        assert_eq!(without(&event, Class::Ip).unwrap().origin.europe, Europe::Outside);
        let left = without(&left, Class::UserAgent).unwrap();
        assert_eq!(left.visitor, crate::event::Visitor::default());
        assert_eq!(without(&event, Class::Raw), None);
    }
}
