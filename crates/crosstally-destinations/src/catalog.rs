//! The closed list of destination kinds.

use crate::dialect::Dialect;

/// Every kind, in the order that docs and errors list them.
pub const KINDS: &[&dyn Dialect] = &[
    &crate::meta::Meta,
    &crate::tiktok::TIKTOK,
    &crate::snapchat::SNAPCHAT,
    &crate::pinterest::PINTEREST,
    &crate::reddit::REDDIT,
    &crate::microsoft::MICROSOFT,
    &crate::openai::OPENAI,
    &crate::google_data_manager::GoogleDataManager,
    &crate::ga4::GA4,
    &crate::linkedin::LINKEDIN,
    &crate::x::X,
    &crate::postback::Postback,
    &crate::webhook::Webhook,
];

/// The dialect of this kind.
#[must_use]
pub fn by_kind(kind: &str) -> Option<&'static dyn Dialect> {
    KINDS.iter().copied().find(|dialect| dialect.kind() == kind)
}

/// The kinds that count one where the page's pixel and the server tell an event of one name under one id.
const WITH_PIXELS: [&str; 9] =
    ["meta", "tiktok", "snapchat", "pinterest", "reddit", "microsoft", "openai", "linkedin", "x"];

/// Whether a pixel may tell a destination of this kind the same event.
#[must_use]
pub fn has_pixel(kind: &str) -> bool {
    WITH_PIXELS.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_with_a_pixel_is_a_kind() {
        assert!(WITH_PIXELS.iter().all(|kind| by_kind(kind).is_some()));
    }
}
