//! Where secrets outside the configuration are looked up. The roof hands in the real environment; a test its own.

use std::collections::BTreeMap;

use crosstally_core::config::SecretRef;
use crosstally_core::secret::Secret;

pub use files::SecretFiles;
pub(crate) use files::{Reader, WithFiles, paths};

use crate::keys::Keys;

mod files;

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
        SecretRef::File(path) => source.file(path)?,
        SecretRef::Literal(secret) => secret.expose().to_owned(),
        SecretRef::Sealed(sealed) => keys.unseal(record, sealed)?,
    };
    let text = without_line_break(&text);
    (!text.is_empty()).then(|| Secret::new(text))
}

/// Editors, `echo` and secret stores end a text with a line break, which is no part of it.
fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_line_break_behind_a_secret_is_no_part_of_it() {
        for (text, expected) in
            [("s3c", Some("s3c")), ("s3c\r\n", Some("s3c")), ("s\n3c \n", Some("s\n3c ")), ("\n", None)]
        {
            let source = FixedSecrets(BTreeMap::from([("S".to_owned(), text.to_owned())]));
            for reference in [SecretRef::Env("S".to_owned()), SecretRef::Literal(Secret::new(text))] {
                let keys = Keys::new(&[3; 32], Random::seeded(1));
                let found = resolve(&reference, "destination/a/secret", &source, &keys);
                assert_eq!(found.as_ref().map(Secret::expose), expected, "{text:?}");
            }
        }
    }
}
