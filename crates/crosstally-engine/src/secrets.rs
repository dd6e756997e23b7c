//! Where secrets outside the configuration are looked up. The roof hands in the real environment; a test its own.

use std::collections::BTreeMap;

use crosstally_core::config::{self, Config, SecretRef};
use crosstally_core::secret::Secret;
use sha2::{Digest, Sha256};

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
        SecretRef::File(path) => source.file(path)?,
        SecretRef::Literal(secret) => secret.expose().to_owned(),
        SecretRef::Sealed(sealed) => keys.unseal(record, sealed)?,
    };
    // Editors, `echo` and secret stores end a text with a line break, which is no part of it.
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| Secret::new(text))
}

/// What the files of secrets hold, as digests by their paths; nothing of one that is not there or is empty.
pub type FileDigests = BTreeMap<String, Option<[u8; 32]>>;

/// The files of a configuration's secrets.
#[must_use]
pub fn files(config: &Config, source: &dyn SecretSource) -> FileDigests {
    let digest = |path: &String| {
        let text = source.file(path).filter(|text| !text.is_empty())?;
        Some(Sha256::digest(text.as_bytes()).into())
    };
    let paths = config::secrets(config).into_iter().filter_map(|(_, reference)| match reference {
        SecretRef::File(path) => Some(path),
        SecretRef::Env(_) | SecretRef::Literal(_) | SecretRef::Sealed(_) => None,
    });
    paths.map(|path| (path.clone(), digest(path))).collect()
}

/// Whether a file holds another secret than before. One that is gone for a moment, as while it is written anew, takes none
/// away: it counts when the others are read again.
#[must_use]
pub fn are_others(before: &FileDigests, now: &FileDigests) -> bool {
    now.iter().any(|(path, digest)| digest.is_some() && before.get(path) != Some(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_file_that_is_gone_for_a_moment_takes_no_secret_away() {
        let files = |all: &[(&str, Option<u8>)]| -> FileDigests {
            all.iter().map(|(path, byte)| ((*path).to_owned(), byte.map(|byte| [byte; 32]))).collect()
        };
        let before = files(&[("a", Some(1)), ("b", None)]);
        for (now, others) in [
            ([("a", Some(1)), ("b", None)], false),
            ([("a", Some(2)), ("b", None)], true),
            ([("a", Some(1)), ("b", Some(1))], true),
            ([("a", None), ("b", None)], false),
            ([("a", None), ("b", Some(1))], true),
        ] {
            assert_eq!(are_others(&before, &files(&now)), others, "{now:?}");
        }
    }

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
