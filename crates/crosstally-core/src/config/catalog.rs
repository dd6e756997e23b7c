//! What the reader must know about kinds of destinations. The kinds themselves live on the floor above, which hands
//! its catalogue in.

use std::collections::BTreeMap;

use super::{MacroUse, Setting};

/// What a setting may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// Yes or no.
    Flag,
    /// A secret, or where to find it.
    Secret,
    /// An absolute http or https URL.
    Url,
    /// An absolute http or https URL with macros in its path and query.
    UrlTemplate,
    /// Texts by name.
    Map,
    /// A list of texts.
    List,
}

/// One setting of a kind of destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogField {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it may hold.
    pub field_type: FieldType,
    /// Whether it must be there.
    pub required: bool,
    /// What it is, in one sentence.
    pub help: &'static str,
}

/// The kinds of destinations.
pub trait Catalog {
    /// The names of all kinds, in the order in which messages list them.
    fn kinds(&self) -> Vec<&str>;

    /// The settings of a kind; `None` if there is no such kind. `slug`, `kind` and `allow_private` belong to every
    /// destination and are not listed.
    fn fields(&self, kind: &str) -> Option<Vec<CatalogField>>;

    /// Checks settings beyond presence and type. Each finding is the setting's name and a text: what is wrong, then,
    /// after a semicolon, how to mend it.
    fn check(&self, kind: &str, settings: &BTreeMap<String, Setting>) -> Vec<(String, String)>;

    /// How long after an event of this action source a destination still takes it, in milliseconds.
    fn max_age_ms(
        &self,
        _kind: &str,
        _settings: &BTreeMap<String, Setting>,
        _action_source: &str,
    ) -> Option<i64> {
        None
    }

    /// The macros of a destination's templates.
    fn macros(&self, _kind: &str, _settings: &BTreeMap<String, Setting>) -> Vec<MacroUse> {
        Vec::new()
    }
}
