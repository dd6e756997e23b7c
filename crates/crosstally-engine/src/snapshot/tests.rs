#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config;

use super::*;
use crate::random::Random;
use crate::secrets::FixedSecrets;
use crate::settings::DestinationCatalog;

const CONFIG: &str = r#"
[[destination]]
slug = "crm"
kind = "postback"
url = "https://crm.example/pb?key={secret}"
secret = { env = "CRM_KEY" }
"#;

/// What the destination's settings are known by where this is the master key and that the secret.
fn digest(master: [u8; 32], secret: &str) -> String {
    let (config, _) = config::read(CONFIG, "test", &DestinationCatalog).unwrap();
    let source = FixedSecrets(BTreeMap::from([("CRM_KEY".to_owned(), secret.to_owned())]));
    let snapshot = Snapshot::new(1, config, &source, &Keys::new(&master, Random::seeded(1)));
    snapshot.destination("crm").unwrap().digest.clone()
}

#[test]
fn what_a_secret_is_known_by_cannot_be_tried_out_without_the_master_key() {
    assert_eq!(digest([1; 32], "s3cret"), digest([1; 32], "s3cret"));
    assert_ne!(digest([1; 32], "s3cret"), digest([1; 32], "s3cret2"));
    assert_ne!(digest([1; 32], "s3cret"), digest([2; 32], "s3cret"));
}
