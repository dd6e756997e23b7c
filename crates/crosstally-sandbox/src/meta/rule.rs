//! The rules that an event can break, and the `error_subcode` that Meta's error 100 carries for each.
//!
//! Meta publishes no list of the subcodes. "reference" is a code whose meaning the project's reference gives, "seen" one
//! that senders report from the real edge, "chosen" a code of the real family whose meaning here is the sandbox's own.
//! Senders should decide by code 100, not by these.
//!
//! | subcode | rule | evidence |
//! |---|---|---|
//! | 2804001 | a required key is missing or empty | chosen |
//! | 2804003 | `event_time` older than 7 days, or 62 days for `physical_store` | reference |
//! | 2804004 | `event_time` more than 60 s ahead | seen; the real bound is not published |
//! | 2804007 | a key has the wrong type, shape or word | chosen |
//! | 2804008 | an item of `contents` without `id` or `quantity` | seen |
//! | 2804009 | a Purchase without a numeric `value` of at least 0, or without a currency | reference |
//! | 2804011 | a Purchase whose currency is not ISO 4217 | seen |
//! | 2804016 | a contact key that is not hashed | reference, seen |
//! | 2804017 | a key that must stay plain arrived hashed | chosen |
//! | 2804019 | a website event without `event_source_url` or `client_user_agent` | chosen |
//! | 2804043 | an app event whose `app_data` is not complete | seen |
//! | 2804048 | data processing options that do not fit together | chosen |
//! | 2804050 | too little in `user_data` to recognise anybody | seen |
//! | 2804079 | an Instagram message without its account and sender | seen |
//! | 2804116 | a WhatsApp or Messenger message without its page and sender | seen |

/// A rule that an event can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Missing,
    TooOld,
    InFuture,
    Malformed,
    ContentItem,
    PurchaseMoney,
    PurchaseCurrency,
    NotHashed,
    MustBePlain,
    Website,
    AppData,
    Privacy,
    TooLittleUser,
    InstagramMessage,
    PageMessage,
}

impl Rule {
    /// Meta's `error_subcode`.
    pub(crate) const fn subcode(self) -> u64 {
        match self {
            Self::Missing => 2_804_001,
            Self::TooOld => 2_804_003,
            Self::InFuture => 2_804_004,
            Self::Malformed => 2_804_007,
            Self::ContentItem => 2_804_008,
            Self::PurchaseMoney => 2_804_009,
            Self::PurchaseCurrency => 2_804_011,
            Self::NotHashed => 2_804_016,
            Self::MustBePlain => 2_804_017,
            Self::Website => 2_804_019,
            Self::AppData => 2_804_043,
            Self::Privacy => 2_804_048,
            Self::TooLittleUser => 2_804_050,
            Self::InstagramMessage => 2_804_079,
            Self::PageMessage => 2_804_116,
        }
    }

    /// Meta's `error_user_title`.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Missing => "Missing Required Parameter",
            Self::TooOld => "Event Timestamp Too Old",
            Self::InFuture => "Event Timestamp In The Future",
            Self::Malformed => "Invalid Parameter Value",
            Self::ContentItem => "Incomplete Content Item",
            Self::PurchaseMoney => "Missing Purchase Value Or Currency",
            Self::PurchaseCurrency => "Invalid Currency For Purchase Event",
            Self::NotHashed => "User Parameter Not Hashed",
            Self::MustBePlain => "User Parameter Must Not Be Hashed",
            Self::Website => "Incomplete Website Event",
            Self::AppData => "Invalid App Data",
            Self::Privacy => "Invalid Data Processing Options",
            Self::TooLittleUser => "Insufficient Customer Information",
            Self::InstagramMessage | Self::PageMessage => "Incomplete Messaging Event",
        }
    }
}

/// A broken rule, in words for people. Holds keys, lengths and words of closed lists, never a contact value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) rule: Rule,
    pub(crate) detail: String,
}

impl Broken {
    pub(crate) fn new(rule: Rule, detail: impl Into<String>) -> Self {
        Self { rule, detail: detail.into() }
    }
}
