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
