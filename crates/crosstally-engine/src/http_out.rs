//! The only door for outbound HTTP.

/// The outbound client.
#[derive(Debug, Clone, Default)]
pub struct HttpOut;
