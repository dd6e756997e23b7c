//! The files of secrets, each read once for a snapshot, and watched for changes. What a file held stays in use while it is
//! gone or empty, as it is for a moment when it is written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crosstally_core::config::{self, Config, SecretRef};
use crosstally_core::secret::Secret;
use futures_util::future::join_all;

use super::{SecretSource, without_line_break};
use crate::clock::Clock;

/// So many times in a row a file must be seen gone until it is told: one that is written anew is gone for a moment.
const GONE_FOR: u8 = 2;
/// How long files may take to be read: one that lies on a network may hang for ever.
const READ_MS_MAX: u64 = 2_000;
/// The same of one that has taken longer before: nobody is to wait for it each time.
const READ_AGAIN_MS_MAX: u64 = 100;

/// What files hold, by their paths; nothing of one that is not there or is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFiles(BTreeMap<String, Secret>);

/// The files of a configuration's secrets.
pub(crate) fn paths(config: &Config) -> Vec<String> {
    let file = |reference: &SecretRef| match reference {
        SecretRef::File(path) => Some(path.clone()),
        SecretRef::Env(_) | SecretRef::Literal(_) | SecretRef::Sealed(_) => None,
    };
    config::secrets(config).into_iter().filter_map(|(_, reference)| file(reference)).collect()
}

impl SecretFiles {
    pub(crate) fn read(paths: &[String], source: &dyn SecretSource) -> Self {
        let holds = |text: &String| !without_line_break(text).is_empty();
        let held = |path: &String| Some((path.clone(), source.file(path).filter(holds)?));
        Self(paths.iter().filter_map(held).map(|(path, text)| (path, Secret::new(text))).collect())
    }

    /// Whether one of them holds another secret than before. One that is gone takes none away.
    pub(crate) fn are_others(&self, before: &Self) -> bool {
        self.0.iter().any(|(path, secret)| before.0.get(path) != Some(secret))
    }

    /// Which of those that held something before are gone now.
    fn gone(&self, before: &Self) -> BTreeSet<String> {
        before.0.keys().filter(|path| !self.0.contains_key(*path)).cloned().collect()
    }

    /// With what those of these that are gone held before.
    pub(crate) fn or_before(mut self, before: &Self, paths: &[String]) -> Self {
        for (path, secret) in before.0.iter().filter(|(path, _)| paths.contains(path)) {
            self.0.entry(path.clone()).or_insert_with(|| secret.clone());
        }
        self
    }
}

/// What was read of files, and for everything else the source that they were read from.
pub(crate) struct WithFiles<'a> {
    pub(crate) files: &'a SecretFiles,
    pub(crate) source: &'a dyn SecretSource,
}

impl SecretSource for WithFiles<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.source.env(name)
    }

    fn file(&self, path: &str) -> Option<String> {
        self.files.0.get(path).map(|secret| secret.expose().to_owned())
    }
}

/// Reads files beside everything else, and each beside the others; each one time after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// One for each file, held while it is read.
    reading: Mutex<BTreeMap<String, Arc<Turn>>>,
    /// Files that could not be read in time.
    slow: Mutex<BTreeSet<String>>,
    /// Files whose secrets stay in use, and how many times in a row they were seen gone.
    gone: Mutex<BTreeMap<String, u8>>,
}

type Turn = tokio::sync::Mutex<()>;

impl Reader {
    /// What the files hold; nothing of those that could not be read in time.
    pub(crate) async fn read(
        &self,
        paths: Vec<String>,
        source: &Arc<dyn SecretSource>,
        clock: &dyn Clock,
    ) -> SecretFiles {
        lock(&self.reading).retain(|path, turn| paths.contains(path) || Arc::strong_count(turn) > 1);
        let reading = paths.into_iter().map(|path| self.read_one(path, source, clock));
        SecretFiles(join_all(reading).await.into_iter().flatten().collect())
    }

    async fn read_one(
        &self,
        path: String,
        source: &Arc<dyn SecretSource>,
        clock: &dyn Clock,
    ) -> Option<(String, Secret)> {
        let turn = Arc::clone(lock(&self.reading).entry(path.clone()).or_default());
        let reading = async {
            // As long as it hangs, no further thread hangs with it.
            let turn = turn.lock_owned().await;
            let (source, path) = (Arc::clone(source), path.clone());
            let read = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                SecretFiles::read(&[path], source.as_ref())
            });
            read.await.ok()
        };
        let wait_ms = if lock(&self.slow).contains(&path) { READ_AGAIN_MS_MAX } else { READ_MS_MAX };
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = clock.sleep(wait_ms) => None,
        };
        self.tell_slow(&path, read.is_none());
        read?.0.into_iter().next()
    }

    fn tell_slow(&self, path: &str, is_slow: bool) {
        let mut slow = lock(&self.slow);
        if is_slow && slow.insert(path.to_owned()) {
            tracing::warn!(
                file = path,
                "a file of a secret cannot be read in time; what it held before stays in use"
            );
        } else if !is_slow && slow.remove(path) {
            tracing::info!(file = path, "a file of a secret can be read again");
        }
    }

    /// Says of which files the secrets stay in use although they are gone: the next start would not find them.
    pub(crate) fn tell_gone(&self, now: &SecretFiles, before: &SecretFiles) {
        for path in self.newly_gone(&now.gone(before)) {
            tracing::warn!(
                file = path,
                "a file of a secret is gone, empty or not to be read; what it held stays in use until this program ends"
            );
        }
    }

    /// Those of these that have been gone for so long just now.
    fn newly_gone(&self, gone: &BTreeSet<String>) -> Vec<String> {
        let mut known = lock(&self.gone);
        known.retain(|path, _| gone.contains(path));
        let mut told = Vec::new();
        for path in gone {
            let times = known.entry(path.clone()).or_default();
            *times = times.saturating_add(1);
            if *times == GONE_FOR {
                told.push(path.clone());
            }
        }
        told
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;
    use crosstally_core::time::Timestamp;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;

    fn files(all: &[(&str, &str)]) -> SecretFiles {
        SecretFiles(all.iter().map(|(path, text)| ((*path).to_owned(), Secret::new(*text))).collect())
    }

    #[test]
    fn a_file_that_is_gone_takes_no_secret_away() {
        let before = files(&[("a", "1")]);
        for (now, others, then) in [
            (files(&[("a", "1")]), false, files(&[("a", "1")])),
            (files(&[("a", "2")]), true, files(&[("a", "2")])),
            (files(&[("a", "1"), ("b", "1")]), true, files(&[("a", "1"), ("b", "1")])),
            (files(&[]), false, files(&[("a", "1")])),
            (files(&[("b", "1")]), true, files(&[("a", "1"), ("b", "1")])),
        ] {
            assert_eq!(now.are_others(&before), others, "{now:?}");
            assert_eq!(now.or_before(&before, &["a".to_owned(), "b".to_owned()]), then);
        }
        assert_eq!(
            files(&[]).or_before(&before, &["b".to_owned()]),
            files(&[]),
            "nobody asks for it any more"
        );
    }

    #[test]
    fn a_file_that_stays_away_is_told_once_each_time() {
        let (reader, before) = (Reader::default(), files(&[("a", "1"), ("b", "1")]));
        for (now, told) in [
            (files(&[("a", "1"), ("b", "1")]), vec![]),
            (files(&[("b", "1")]), vec![]),
            (files(&[("a", "1"), ("b", "1")]), vec![]),
            (files(&[("b", "1")]), vec![]),
            (files(&[("b", "2")]), vec!["a"]),
            (files(&[]), vec![]),
            (files(&[]), vec!["b"]),
            (files(&[("a", "1")]), vec![]),
            (files(&[]), vec![]),
            (files(&[]), vec!["a"]),
        ] {
            assert_eq!(reader.newly_gone(&now.gone(&before)), told, "{now:?}");
        }
    }

    #[test]
    fn a_file_of_line_breaks_holds_nothing() {
        struct Lines;
        impl SecretSource for Lines {
            fn env(&self, _: &str) -> Option<String> {
                None
            }
            fn file(&self, path: &str) -> Option<String> {
                Some(format!("{}\r\n", path.trim_start_matches("empty")))
            }
        }
        let paths = ["empty".to_owned(), "full".to_owned()];
        assert_eq!(SecretFiles::read(&paths, &Lines), files(&[("full", "full\r\n")]));
    }

    /// A file that answers when it is told to, beside one that always does.
    struct Hung {
        is_asked: AtomicBool,
        good: AtomicU32,
        go: Mutex<mpsc::Receiver<()>>,
    }

    impl SecretSource for Hung {
        fn env(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, path: &str) -> Option<String> {
            if path == "good" {
                self.good.fetch_add(1, Ordering::SeqCst);
                return Some("good".to_owned());
            }
            self.is_asked.store(true, Ordering::SeqCst);
            self.go.lock().ok()?.recv().ok().map(|()| "secret".to_owned())
        }
    }

    #[tokio::test]
    async fn a_file_that_hangs_holds_nobody_up() {
        let (go, told) = mpsc::sync_channel(2);
        let hung = Arc::new(Hung {
            is_asked: AtomicBool::new(false),
            good: AtomicU32::new(0),
            go: Mutex::new(told),
        });
        let source: Arc<dyn SecretSource> = Arc::clone(&hung) as Arc<dyn SecretSource>;
        let (reader, clock) = (Reader::default(), FakeClock::at(Timestamp::from_millis(0)));
        let read = async || reader.read(vec!["hung".into(), "good".into()], &source, &clock).await;
        let late = async |good: u32| {
            while hung.good.load(Ordering::SeqCst) < good {
                tokio::task::yield_now().await;
            }
            // The thread that has read it has to end.
            for _ in 0..100 {
                tokio::task::yield_now().await;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            clock.advance(2_000);
        };
        let good = files(&[("good", "good")]);
        let (first, ()) = tokio::join!(read(), async {
            while !hung.is_asked.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            late(1).await;
        });
        assert_eq!(first, good, "the other one is read");
        hung.is_asked.store(false, Ordering::SeqCst);
        assert_eq!(tokio::join!(read(), late(2)).0, good);
        assert!(!hung.is_asked.load(Ordering::SeqCst), "no thread that hangs too");
        // The one that hung, and the next.
        assert!(go.send(()).is_ok() && go.send(()).is_ok());
        assert_eq!(read().await, files(&[("good", "good"), ("hung", "secret")]), "whoever waits gets it");
    }
}
