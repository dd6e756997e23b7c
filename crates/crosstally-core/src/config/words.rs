//! The words of choices, as a document writes them.

use super::{EventIdMode, Otherwise, Role, SendValue, TokenPlace, ValueAt};
use crate::cost::Per;
use crate::drop_in::Dialect;
use crate::ledger::Status;
use crate::redirect::Redirect;
use crate::rotation::Sticky;
use crate::word::Word;

impl Word for Status {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for Redirect {
    const ALL: &'static [Self] =
        &[Self::Found, Self::Temporary, Self::Meta, Self::DoubleMeta, Self::NoReferrer, Self::Script];

    fn word(self) -> &'static str {
        match self {
            Self::Found => "302",
            Self::Temporary => "307",
            Self::Meta => "meta",
            Self::DoubleMeta => "double_meta",
            Self::NoReferrer => "no_referrer",
            Self::Script => "js",
        }
    }
}

impl Word for Sticky {
    const ALL: &'static [Self] = &[Self::None, Self::Visitor, Self::Cookie];

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Cookie => "cookie",
        }
    }
}

impl Word for Per {
    const ALL: &'static [Self] = &[Self::Click, Self::Mille];

    fn word(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Mille => "mille",
        }
    }
}

impl Word for Role {
    const ALL: &'static [Self] = &[Self::LearningSignal, Self::FunnelFact];

    fn word(self) -> &'static str {
        match self {
            Self::LearningSignal => "learning_signal",
            Self::FunnelFact => "funnel_fact",
        }
    }
}

impl Word for EventIdMode {
    const ALL: &'static [Self] = &[Self::Shared, Self::Own];

    fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Own => "own",
        }
    }
}

impl Word for SendValue {
    const ALL: &'static [Self] = &[Self::Value, Self::Payout, Self::Revenue, Self::None];

    fn word(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Payout => "payout",
            Self::Revenue => "revenue",
            Self::None => "none",
        }
    }
}

impl Word for ValueAt {
    const ALL: &'static [Self] = &[Self::Lead, Self::Hold, Self::Approval];

    fn word(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Hold => "hold",
            Self::Approval => "approval",
        }
    }
}

impl Word for Otherwise {
    const ALL: &'static [Self] = &[Self::None, Self::Full];

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
        }
    }
}

impl Word for TokenPlace {
    const ALL: &'static [Self] = &[Self::Header, Self::Query];

    fn word(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
        }
    }
}

impl Word for Dialect {
    const ALL: &'static [Self] = &[
        Self::Keitaro,
        Self::Voluum,
        Self::BeMob,
        Self::RedTrack,
        Self::Binom,
        Self::FunnelFlux,
        Self::Tune,
        Self::Affise,
        Self::Scaleo,
        Self::Prosper202,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Keitaro => "keitaro",
            Self::Voluum => "voluum",
            Self::BeMob => "bemob",
            Self::RedTrack => "redtrack",
            Self::Binom => "binom",
            Self::FunnelFlux => "funnelflux",
            Self::Tune => "tune",
            Self::Affise => "affise",
            Self::Scaleo => "scaleo",
            Self::Prosper202 => "prosper202",
        }
    }
}
