//! What every handler has at hand.

use std::sync::Arc;

use crosstally_engine::Engine;
use ipnet::IpNet;

pub use crosstally_core::forwarded::ProxyHeader;

/// How the doors are set up.
#[derive(Debug, Clone)]
pub struct DoorOptions {
    /// Proxies whose word about the visitor's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// The header that they write.
    pub proxy_header: ProxyHeader,
    /// Connections of one address at once; trusted proxies speak for many and have no such cap.
    pub connections_of_one: usize,
}

impl Default for DoorOptions {
    fn default() -> Self {
        Self { trusted_proxies: Vec::new(), proxy_header: ProxyHeader::default(), connections_of_one: 4_096 }
    }
}

/// The engine and the doors' own settings. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The engine.
    pub engine: Engine,
    /// The doors' settings.
    pub options: Arc<DoorOptions>,
}
