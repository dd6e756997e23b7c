//! Offers and landers: where paths lead. An offer may take only so many visitors; what comes above goes to another one.

use crate::redirect::Redirect;
use crate::target::Target;

/// What is sold: the advertiser's or the network's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name in the configuration and in `/o/{offer}`.
    pub slug: String,
    /// Where visitors are sent, with macros.
    pub target: Target,
    /// How many visitors it takes, if that is limited.
    pub cap: Option<Cap>,
    /// How visitors come there from `/o/{offer}`.
    pub redirect: Redirect,
}

/// How many visitors an offer takes. One of the two is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// On one day of the workspace's time zone.
    pub daily: Option<u64>,
    /// In all, since the offer first had a cap.
    pub total: Option<u64>,
    /// The offer that those above are sent to.
    pub overflow: String,
}

/// How many visitors an offer has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Today.
    pub today: u64,
    /// In all.
    pub total: u64,
}

impl Cap {
    /// Whether there is no room for another one.
    #[must_use]
    pub fn is_full(&self, taken: Taken) -> bool {
        self.daily.is_some_and(|most| taken.today >= most)
            || self.total.is_some_and(|most| taken.total >= most)
    }
}

/// A page before the offer, whose links lead to `/o/{offer}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lander {
    /// Its name in the configuration.
    pub slug: String,
    /// Where visitors are sent, with macros.
    pub target: Target,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_full_when_either_limit_is_reached() {
        let cap = |daily, total| Cap { daily, total, overflow: "other".into() };
        let taken = |today, total| Taken { today, total };
        for (cap, taken, full) in [
            (cap(Some(2), None), taken(1, 90), false),
            (cap(Some(2), None), taken(2, 90), true),
            (cap(None, Some(90)), taken(0, 89), false),
            (cap(Some(5), Some(90)), taken(0, 90), true),
            (cap(Some(0), None), taken(0, 0), true),
        ] {
            assert_eq!(cap.is_full(taken), full, "{cap:?} {taken:?}");
        }
    }
}
