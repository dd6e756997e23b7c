//! Where secrets outside the configuration are looked up. The roof hands in the real environment; a test its own.

use std::collections::BTreeMap;

use crosstally_core::config::SecretRef;
use crosstally_core::secret::Secret;

use crate::keys::Keys;

/// Looks secrets up.
pub trait SecretSource: Send + Sync {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;
    /// The content of a file.
    fn file(&self, path: &str) -> Option<String>;
}

/// A fixed set of environment variables, for tests.
#[derive(Debug, Clone, Default)]
pub struct FixedSecrets(pub BTreeMap<String, String>);

impl SecretSource for FixedSecrets {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn file(&self, _path: &str) -> Option<String> {
        None
    }
}

/// Finds a secret; `None` if it is not set here, is empty, or was sealed for another record or with another key.
#[must_use]
pub fn resolve(
    reference: &SecretRef,
    record: &str,
    source: &dyn SecretSource,
    keys: &Keys,
) -> Option<Secret> {
    let text = match reference {
        SecretRef::Env(name) => source.env(name)?,
        SecretRef::File(path) => source.file(path)?.trim_end_matches(['\r', '\n']).to_owned(),
        SecretRef::Literal(secret) => secret.expose().to_owned(),
        SecretRef::Sealed(sealed) => keys.unseal(record, sealed)?,
    };
    (!text.is_empty()).then(|| Secret::new(text))
}
