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
        }
    }

    /// The platform with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|platform| platform.name() == name)
    }
}
