//! The configuration's versions, and values of the installation that are made once.

use crosstally_core::time::Timestamp;

use crate::{Applied, ConfigRecord, Store, StoreError, on};

impl Store {
    /// The version of the configuration in force; 0 if none was ever applied. Cheap: nodes ask twice a second.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn config_version(&self) -> Result<i64, StoreError> {
        on!(self, config_version())
    }

    /// The configuration in force.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn current_config(&self) -> Result<Option<ConfigRecord>, StoreError> {
        on!(self, current_config())
    }

    /// Applies a configuration on top of the version that it was planned against.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn apply_config(
        &self,
        base: i64,
        document: String,
        now: Timestamp,
        author: String,
    ) -> Result<Applied, StoreError> {
        on!(self, apply_config(base, document, now, author))
    }

    /// A value that is made once per installation: stores the candidate if there is none yet, and returns what is stored.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn installation_value(&self, name: String, candidate: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        on!(self, installation_value(name, candidate))
    }
}
