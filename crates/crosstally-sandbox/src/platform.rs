//! The closed list of platforms that the sandbox plays. Knows their names, not their rules.

/// A platform that the sandbox plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Meta's Conversions API and pixel.
    Meta,
    /// TikTok's Events API.
    Tiktok,
    /// Snapchat's Conversions API.
    Snapchat,
    /// Pinterest's API for Conversions.
    Pinterest,
    /// Reddit's Conversions API.
    Reddit,
    /// Microsoft's UET Conversions API.
    Microsoft,
    /// OpenAI's Conversions API.
    Openai,
    /// Google's Data Manager API.
    GoogleDataManager,
    /// The Google Ads API, of which only adjustments are played.
    GoogleAds,
    /// Google Analytics' Measurement Protocol.
    Ga4,
    /// LinkedIn's Conversions API.
    Linkedin,
    /// X's Conversions API.
    X,
    /// A receiver of signed webhooks.
    Webhook,
    /// A partner or traffic source that takes postbacks.
    Partner,
}

impl Platform {
    /// All of them, in the order in which they are shown.
    pub const ALL: &[Self] = &[
        Self::Meta,
        Self::Tiktok,
        Self::Snapchat,
        Self::Pinterest,
        Self::Reddit,
        Self::Microsoft,
        Self::Openai,
        Self::GoogleDataManager,
        Self::GoogleAds,
        Self::Ga4,
        Self::Linkedin,
        Self::X,
        Self::Webhook,
        Self::Partner,
    ];

    /// The name in listings and filters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Tiktok => "tiktok",
            Self::Snapchat => "snapchat",
            Self::Pinterest => "pinterest",
            Self::Reddit => "reddit",
            Self::Microsoft => "microsoft",
            Self::Openai => "openai",
            Self::GoogleDataManager => "google_data_manager",
            Self::GoogleAds => "google_ads",
            Self::Ga4 => "ga4",
            Self::Linkedin => "linkedin",
            Self::X => "x",
            Self::Webhook => "webhook",
            Self::Partner => "partner",
        }
    }

    /// The platform with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|platform| platform.name() == name)
    }
}
