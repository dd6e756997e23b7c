//! Which events of the pixel and of the server met: a platform counts one where both come under one name and one id, and
//! two where they do not. Judges each pair by what the browser told and what the server sent.
//!
//! Knows nothing of the pixel's own call, which no server sees: the browser's event stands for it, as both have one id.

use crate::browser::is_qualified;
use crate::delivery::DeliveryState;
use crate::reason::Reason;
use crate::time::Timestamp;

/// How an event stands to its other half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Browser and server have one name and one id.
    Met,
    /// The server's event is still on its way.
    Open,
    /// The server's event did not arrive.
    NotDelivered,
    /// They have one name and one id, and came too far apart.
    OutsideWindow,
    /// The browser told the id under a name that the server does not send.
    OtherName,
    /// They have one name and two ids.
    OtherId,
    /// The click's browser told no such event.
    NoBrowserEvent,
    /// The visitor does not allow it.
    Consent,
    /// No browser could have told it.
    ServerOnly,
    /// No event of the server has its id.
    BrowserOnly,
}

impl Verdict {
    /// All of them, the good ones first.
    pub const ALL: [Self; 10] = [
        Self::Met,
        Self::Open,
        Self::NotDelivered,
        Self::OutsideWindow,
        Self::OtherName,
        Self::OtherId,
        Self::NoBrowserEvent,
        Self::Consent,
        Self::ServerOnly,
        Self::BrowserOnly,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Open => "open",
            Self::NotDelivered => "not_delivered",
            Self::OutsideWindow => "outside_window",
            Self::OtherName => "other_name",
            Self::OtherId => "other_id",
            Self::NoBrowserEvent => "no_browser_event",
            Self::Consent => "consent",
            Self::ServerOnly => "server_only",
            Self::BrowserOnly => "browser_only",
        }
    }

    /// The one of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }

    /// What it means.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Met => "browser and server have one name and one id: the platform counts one",
            Self::Open => "the browser told it, and the server's event is still on its way",
            Self::NotDelivered => {
                "the browser told it, and the server's event did not arrive: the pixel's counts alone"
            }
            Self::OutsideWindow => "one name and one id, but too far apart: the platform counts two",
            Self::OtherName => {
                "the browser told another name under this id: the platform counts each by itself"
            }
            Self::OtherId => "one name under two ids: the platform counts two",
            Self::NoBrowserEvent => "the click's browser told no such event: the server's counts alone",
            Self::Consent => "the visitor does not allow it",
            Self::ServerOnly => "no browser could have told it: the server's counts alone",
            Self::BrowserOnly => "no event of the server has its id: the pixel's counts alone",
        }
    }
}

/// An event that a browser told, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Its id.
    pub event_id: String,
    /// When it happened.
    pub at: Timestamp,
    /// Whether the visitor denied the use of their data with it.
    pub denied: bool,
    /// Whether another conversion has it.
    pub is_anothers: bool,
}

/// An event of the server on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub event_id: &'a str,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it does not arrive.
    pub reason: Option<Reason>,
    /// When it arrived.
    pub arrived_at: Option<Timestamp>,
    /// How far apart the two may come, if the destination says so.
    pub window_ms: Option<i64>,
    /// What else its conversion sent, as names and ids.
    pub beside: &'a [(String, String)],
    /// Whether a browser could have told it: there is a click whose campaign has pages that tell, and its goal shares ids.
    pub could_be_told: bool,
}

/// How an event of the server stands to what its click's browser told, and the browser's event that it is about.
#[must_use]
pub fn judge<'t>(sent: &Sent<'_>, told: &'t [Told]) -> (Verdict, Option<&'t Told>) {
    if sent.reason == Some(Reason::ConsentDenied) {
        return (Verdict::Consent, half(sent.name, sent.event_id, told, sent.beside));
    }
    let Some(other) = half(sent.name, sent.event_id, told, sent.beside) else {
        let verdict = if told.iter().any(|told| told.denied) {
            Verdict::Consent
        } else if sent.could_be_told {
            Verdict::NoBrowserEvent
        } else {
            Verdict::ServerOnly
        };
        return (verdict, None);
    };
    let verdict = match (other.event_id == sent.event_id, other.name == sent.name) {
        (true, true) => match (sent.state, sent.arrived_at) {
            (DeliveryState::Delivered, at) => {
                let apart_ms = at.map_or(0, |at| at.millis_since(other.at).abs());
                let is_near = sent.window_ms.is_none_or(|window_ms| apart_ms <= window_ms);
                if is_near { Verdict::Met } else { Verdict::OutsideWindow }
            }
            (DeliveryState::Pending, _) => Verdict::Open,
            (DeliveryState::Dead | DeliveryState::Expired | DeliveryState::Cancelled, _) => {
                Verdict::NotDelivered
            }
        },
        (true, false) => Verdict::OtherName,
        (false, _) => Verdict::OtherId,
    };
    (verdict, Some(other))
}

/// The browser's half of an event: of the same name and id; else of the same id; else the first of the same name. None that
/// is the half of another event.
fn half<'t>(name: &str, event_id: &str, told: &'t [Told], sent: &[(String, String)]) -> Option<&'t Told> {
    let more_than_looks = || told.iter().filter(|told| is_qualified(&told.name));
    let is_sent = |told: &Told| sent.iter().any(|(name, id)| *name == told.name && *id == told.event_id);
    let same_id = || more_than_looks().filter(|told| told.event_id == event_id);
    let same_name = more_than_looks().filter(|told| told.name == name && !told.is_anothers && !is_sent(told));
    same_id()
        .find(|told| told.name == name)
        .or_else(|| same_id().find(|told| !is_sent(told)))
        .or_else(|| same_name.min_by_key(|told| (told.at, &told.event_id)))
}

/// Whether no event of the server is about what a browser told: of all that its click's conversions sent, none has it for
/// its half.
#[must_use]
pub fn is_alone(event: &Told, told: &[Told], sent: &[(String, String)]) -> bool {
    let is_it = |half: &Told| half.name == event.name && half.event_id == event.event_id;
    !sent.iter().any(|(name, event_id)| half(name, event_id, told, sent).is_some_and(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn told(name: &str, event_id: &str) -> Told {
        Told {
            name: name.to_owned(),
            event_id: event_id.to_owned(),
            at: Timestamp::from_millis(0),
            denied: false,
            is_anothers: false,
        }
    }

    fn sent() -> Sent<'static> {
        Sent {
            name: "Purchase",
            event_id: "a",
            state: DeliveryState::Delivered,
            reason: None,
            arrived_at: Some(Timestamp::from_millis(HOUR_MS)),
            window_ms: Some(48 * HOUR_MS),
            beside: &[],
            could_be_told: true,
        }
    }

    #[test]
    fn each_way_to_miss_each_other_has_its_word() {
        let late = Sent { arrived_at: Some(Timestamp::from_millis(49 * HOUR_MS)), ..sent() };
        let in_state = |state| Sent { state, arrived_at: None, ..sent() };
        let denied = Sent { state: DeliveryState::Cancelled, reason: Some(Reason::ConsentDenied), ..sent() };
        let both = [("Lead".to_owned(), "a".to_owned()), ("Purchase".to_owned(), "a".to_owned())];
        let taken = Told { is_anothers: true, ..told("Purchase", "b") };
        let cases: &[(Sent<'_>, Vec<Told>, Verdict, Option<&str>)] = &[
            (sent(), vec![told("Lead", "a"), told("Purchase", "a")], Verdict::Met, Some("Purchase a")),
            (late.clone(), vec![told("Purchase", "a")], Verdict::OutsideWindow, Some("Purchase a")),
            (Sent { window_ms: None, ..late }, vec![told("Purchase", "a")], Verdict::Met, Some("Purchase a")),
            (
                in_state(DeliveryState::Pending),
                vec![told("Purchase", "a")],
                Verdict::Open,
                Some("Purchase a"),
            ),
            (
                in_state(DeliveryState::Dead),
                vec![told("Purchase", "a")],
                Verdict::NotDelivered,
                Some("Purchase a"),
            ),
            (in_state(DeliveryState::Pending), vec![], Verdict::NoBrowserEvent, None),
            (sent(), vec![told("Lead", "a")], Verdict::OtherName, Some("Lead a")),
            // The lead is the other half of the lead that the server sent.
            (Sent { beside: &both, ..sent() }, vec![told("Lead", "a")], Verdict::NoBrowserEvent, None),
            (sent(), vec![told("purchase", "a")], Verdict::OtherName, Some("purchase a")),
            (
                sent(),
                vec![told("Purchase", "c"), told("Purchase", "b")],
                Verdict::OtherId,
                Some("Purchase b"),
            ),
            (sent(), vec![taken.clone()], Verdict::NoBrowserEvent, None),
            (sent(), vec![told("PageView", "a")], Verdict::NoBrowserEvent, None),
            (Sent { could_be_told: false, ..sent() }, vec![], Verdict::ServerOnly, None),
            (denied, vec![told("Purchase", "a")], Verdict::Consent, Some("Purchase a")),
            (sent(), vec![Told { denied: true, ..told("Consent", "x") }], Verdict::Consent, None),
        ];
        for (sent, told, verdict, half) in cases {
            let (found, other) = judge(sent, told);
            let other = other.map(|other| format!("{} {}", other.name, other.event_id));
            assert_eq!((found, other.as_deref()), (*verdict, *half), "{sent:?} {told:?}");
        }
    }

    #[test]
    fn a_browsers_event_is_alone_if_no_event_of_the_server_is_about_it() {
        let pair = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        let all = [told("Purchase", "a"), told("Purchase", "b"), told("Lead", "a")];
        let [first, second, lead] = &all;
        assert!(is_alone(first, &all, &[]) && is_alone(lead, &all, &[]));
        // Met, and the one beside it is not.
        let met = [pair("Purchase", "a")];
        assert!(!is_alone(first, &all, &met) && is_alone(second, &all, &met) && is_alone(lead, &all, &met));
        // Told at the server's event as the other half of another id.
        let other = [pair("Purchase", "z")];
        assert!(!is_alone(first, &all, &other) && is_alone(second, &all, &other));
        assert!(is_alone(lead, &all, &[pair("Signup", "z")]));
        let both = [pair("Purchase", "z"), pair("Purchase", "a")];
        assert!(
            !is_alone(first, &all, &both) && !is_alone(second, &all, &both),
            "one met, one is told there"
        );
    }

    #[test]
    fn every_verdict_has_a_word_of_its_own() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_word(verdict.word()), Some(verdict));
            assert!(!verdict.sentence().is_empty());
        }
        assert_eq!(Verdict::from_word("lost"), None);
    }
}
