//! What every handler has at hand.

use std::sync::Arc;

use crosstally_engine::Engine;
use ipnet::IpNet;

/// How the doors are set up.
#[derive(Debug, Clone, Default)]
pub struct DoorOptions {
    /// Proxies whose word about the visitor's address is taken.
    pub trusted_proxies: Vec<IpNet>,
}

/// The engine and the doors' own settings. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The engine.
    pub engine: Engine,
    /// The doors' settings.
    pub options: Arc<DoorOptions>,
}
