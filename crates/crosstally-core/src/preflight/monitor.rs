//! A pre-flight that is flown once a day by itself.

use crate::money::Currency;

/// When and how a campaign is flown by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// Its name in the configuration.
    pub slug: String,
    /// The campaign.
    pub campaign: String,
    /// The minute of the day from which on it is due, in the workspace's time zone.
    pub at_minute: u16,
    /// The partner that reports the campaign's sales, where there are several.
    pub partner: Option<String>,
    /// How many test actions.
    pub actions: Option<u32>,
    /// The tracking address to go through.
    pub base: Option<String>,
    /// The page to visit in place of the target's.
    pub lander: Option<String>,
    /// The postback URL as it stands at the partner.
    pub postback: Option<String>,
    /// The status word that the partner sends for a sale.
    pub status: Option<String>,
    /// The partner's name for what is sold.
    pub event: Option<String>,
    /// The currency of what is sold.
    pub currency: Option<Currency>,
    /// Further parameters of the click link.
    pub params: Option<String>,
    /// Whether pages outside the public internet are visited.
    pub allow_private: bool,
}

/// Reads a time of day such as `03:30` into minutes.
#[must_use]
pub fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, most: u16| -> Option<u16> {
        let is_two = text.len() == 2 && text.bytes().all(|sign| sign.is_ascii_digit());
        text.parse().ok().filter(|number| is_two && *number <= most)
    };
    Some(number(hours, 23)? * 60 + number(minutes, 59)?)
}

/// Writes what [`minute_of`] reads.
#[must_use]
pub fn time_of(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
