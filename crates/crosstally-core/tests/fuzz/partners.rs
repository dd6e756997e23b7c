//! Who calls: a partner of each preset, in one workspace, at one moment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use crosstally_core::config::preset::{self, Preset};
use crosstally_core::config::{self, Catalog, CatalogField, Config, Partner, Setting as Value};
use crosstally_core::contract::{Contract, Terms};
use crosstally_core::ids::{ClickId, ClickIdKey};
use crosstally_core::postback::normalise::Setting;
use crosstally_core::time::Timestamp;

/// When all calls come: 2026-11-21, 10:00 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_255_200_000);

/// The key behind our click ids.
static KEY: LazyLock<ClickIdKey> = LazyLock::new(|| ClickIdKey::new(&[7; 32]));

/// A workspace with a partner of each preset, by the preset's name.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let mut document = String::from("[workspace]\nbase_currency = \"USD\"\ndefault_region = \"US\"\n");
    for name in preset::names() {
        write!(document, "[[partner]]\nslug = \"{name}\"\npreset = \"{name}\"\n")
            .expect("a String takes all");
    }
    let (config, _) = config::read(&document, "fuzz", &NoDestinations).expect("a configuration");
    config
});

struct NoDestinations;

impl Catalog for NoDestinations {
    fn kinds(&self) -> Vec<&str> {
        Vec::new()
    }

    fn fields(&self, _kind: &str) -> Option<Vec<CatalogField>> {
        None
    }

    fn check(&self, _kind: &str, _settings: &BTreeMap<String, Value>) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// A click of ours.
pub(crate) fn click() -> ClickId {
    ClickId::new(&KEY, NOW.plus_millis(-3_600_000), [1; 7])
}

/// A partner that has only named its preset.
pub(crate) fn of(preset: &Preset) -> &'static Partner {
    CONFIG.partners.iter().find(|partner| partner.slug == preset.name).expect("each preset has a partner")
}

/// A partner with terms of its own.
pub(crate) fn with(own: Terms, preset: &Preset) -> Partner {
    let mut partner = of(preset).clone();
    partner.contract = Contract::new(&own, &preset.terms);
    partner.own = own;
    partner
}

/// A partner's call, now.
pub(crate) fn setting(partner: &Partner) -> Setting<'_> {
    Setting { partner, workspace: &CONFIG.workspace, click_id_key: &KEY, received_at: NOW }
}
