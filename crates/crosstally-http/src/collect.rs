//! Public ingest: fast, forgiving, always with an answer that tells the truth.

pub(crate) mod browser;
pub(crate) mod click;
pub(crate) mod drop_in;
pub(crate) mod events;
pub(crate) mod offer;
pub(crate) mod postback;
pub(crate) mod script;
