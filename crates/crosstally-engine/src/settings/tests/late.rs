//! What is read late, and is not the last word.

use std::sync::Mutex;
use std::sync::mpsc;

use crosstally_core::time::Timestamp;
use crosstally_store::{Location, OpenOptions, Store};
use tokio::sync::Notify;

use super::*;
use crate::clock::FakeClock;
use crate::open::Parts;
use crate::random::Random;
use crate::secrets::SecretSource;

/// A file that is read when it is told to be.
struct Slow {
    asked: Notify,
    go: Mutex<mpsc::Receiver<()>>,
}

impl SecretSource for Slow {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Option<String> {
        self.asked.notify_one();
        self.go.lock().ok()?.recv().ok().map(|()| "secret".to_owned())
    }
}

#[tokio::test]
async fn a_configuration_whose_secrets_are_read_late_replaces_no_newer_one() {
    let (go, told) = mpsc::sync_channel(1);
    let slow = Arc::new(Slow { asked: Notify::new(), go: Mutex::new(told) });
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::at(Location::Directory(folder.path().join("data")));
    let engine = Engine::build(Parts {
        store: Store::open(options).await.unwrap(),
        clock: Arc::new(FakeClock::at(Timestamp::from_millis(1_764_201_600_000))),
        random: Random::seeded(1),
        secret_source: Arc::clone(&slow) as Arc<dyn SecretSource>,
        master_key: None,
        spool: folder.path(),
    })
    .await
    .unwrap();
    let destination = "[[destination]]\nslug = \"crm\"\nkind = \"webhook\"\nurl = \"https://crm.example/\"\n";
    let with_file = format!("{destination}secret = {{ file = \"/run/secret\" }}\n");
    let first = engine.apply_config(&with_file, "first", None, "test");
    let second = async {
        slow.asked.notified().await;
        let applied = engine.apply_config("", "second", Some(1), "test").await.unwrap();
        assert_eq!((applied.version, engine.snapshot.load().version), (2, 2));
        go.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.unwrap().version, 1);
    assert_eq!(engine.snapshot.load().version, 2);
}
