#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_postgres::{Manager, Pool};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;

use super::*;

/// A piece of work that says what happens to it, and what is seen of the others.
struct Piece {
    key: Option<DedupeKey>,
    does: Does,
    seen: Arc<Seen>,
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Succeed,
    /// Is refused, and so is every batch with it.
    Refuse,
    Panic,
    /// Is told that its batch's connection broke, the first time.
    BreakOnce,
}

#[derive(Default)]
struct Seen {
    /// Keys of the batches that are on their way.
    on_their_way: Mutex<Vec<DedupeKey>>,
    batches: AtomicUsize,
    largest: AtomicUsize,
    broken: AtomicUsize,
    /// Lets batches begin.
    gate: Option<Semaphore>,
}

impl Work for Piece {
    type Answer = usize;

    const BATCHES_MAX: usize = 2;

    fn weight(&self) -> usize {
        1_000
    }

    fn key(&self) -> Option<&DedupeKey> {
        self.key.as_ref()
    }

    async fn record(_: &Database, batch: &mut [Waiting<Self>]) -> Result<(), Fault> {
        let seen = Arc::clone(&batch[0].work.seen);
        seen.batches.fetch_add(1, Ordering::SeqCst);
        seen.largest.fetch_max(batch.len(), Ordering::SeqCst);
        let keys: Vec<DedupeKey> = batch.iter().filter_map(|one| one.work.key.clone()).collect();
        {
            let mut all = seen.on_their_way.lock().unwrap();
            assert!(keys.iter().all(|key| !all.contains(key)), "two batches with one key at once");
            all.extend(keys.iter().cloned());
        }
        if let Some(gate) = &seen.gate {
            gate.acquire().await.unwrap().forget();
        }
        tokio::task::yield_now().await;
        seen.on_their_way.lock().unwrap().retain(|key| !keys.contains(key));
        assert!(batch.iter().all(|one| one.work.does != Does::Panic), "as asked for");
        if batch.iter().any(|one| one.work.does == Does::Refuse) {
            return Err(Fault::Data("bad".into()));
        }
        let breaks = batch.iter().any(|one| one.work.does == Does::BreakOnce);
        if breaks && seen.broken.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Fault::Lost("broken".into()));
        }
        let size = batch.len();
        for one in batch {
            one.answer = Some(Ok(size));
        }
        Ok(())
    }
}

struct Bench {
    queue: Queue<Piece>,
    places: Arc<Semaphore>,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl Bench {
    fn new(gate: Option<Semaphore>) -> Self {
        // Never connects: the pieces do not touch it.
        let pool = Pool::builder(Manager::new(tokio_postgres::Config::new(), NoTls)).build().unwrap();
        let mut tasks = JoinSet::new();
        let queue = Queue::start(&Database::new(pool), 1_000, &mut tasks);
        let seen = Arc::new(Seen { gate, ..Seen::default() });
        Self { queue, places: Arc::new(Semaphore::new(1_000)), seen, _tasks: tasks }
    }

    async fn join(&self, key: Option<&str>, does: Does) -> Result<usize, StoreError> {
        let key = key.map(|key| DedupeKey { partner: "p".into(), key: key.into() });
        let place = Arc::clone(&self.places).try_acquire_owned().unwrap();
        self.queue.join(Piece { key, does, seen: Arc::clone(&self.seen) }, place).await
    }
}

#[tokio::test]
async fn a_bad_piece_spoils_only_itself() {
    let bench = Bench::new(Some(Semaphore::new(0)));
    let (a, b, bad, c, d, ..) = tokio::join!(
        biased;
        bench.join(None, Does::Succeed),
        bench.join(None, Does::Succeed),
        bench.join(None, Does::Refuse),
        bench.join(None, Does::Succeed),
        bench.join(None, Does::Succeed),
        async { bench.seen.gate.as_ref().unwrap().add_permits(100) },
    );
    assert!(matches!(bad, Err(StoreError::Corrupt(_))), "{bad:?}");
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    // All five were in one batch at first, or this proves nothing.
    assert!(bench.seen.largest.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn work_under_one_key_is_in_one_batch_at_a_time_and_other_work_goes_by() {
    let bench = Bench::new(None);
    let mut same = Vec::new();
    for _ in 0..20 {
        same.push(bench.join(Some("same"), Does::Succeed));
    }
    let mut others = Vec::new();
    for at in 0..20 {
        let name = format!("other {at}");
        let bench = &bench;
        others.push(async move { bench.join(Some(&name), Does::Succeed).await });
    }
    // The assertion is inside the work: no two batches with one key at once.
    for result in all(same).await.into_iter().chain(all(others).await) {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_broken_connection_is_not_told_to_anybody() {
    let bench = Bench::new(None);
    assert_eq!(bench.join(None, Does::BreakOnce).await.unwrap(), 1);
    assert_eq!(bench.seen.broken.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_panic_frees_the_keys_and_the_places() {
    let bench = Bench::new(None);
    let broken = bench.join(Some("a"), Does::Panic).await;
    assert!(matches!(broken, Err(StoreError::Unavailable(_))), "{broken:?}");
    assert_eq!(bench.join(Some("a"), Does::Succeed).await.unwrap(), 1);
    assert_eq!(bench.places.available_permits(), 1_000);
}

#[tokio::test]
async fn batches_gather_while_others_are_on_their_way_and_have_a_limit() {
    let bench = Bench::new(Some(Semaphore::new(0)));
    let waiting = async {
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(bench.join(None, Does::Succeed));
        }
        all(waiting).await
    };
    let open = async {
        while bench.seen.batches.load(Ordering::SeqCst) < Piece::BATCHES_MAX {
            tokio::task::yield_now().await;
        }
        bench.seen.gate.as_ref().unwrap().add_permits(100);
    };
    let (done, ()) = tokio::join!(biased; waiting, open);
    assert_eq!(done.len(), 20);
    let limit = BATCH_WEIGHT_MAX / 1_000;
    assert_eq!(bench.seen.largest.load(Ordering::SeqCst), limit);
    assert_eq!(bench.seen.batches.load(Ordering::SeqCst), 20 / limit);
}

/// Runs all at once, each begun in order.
async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut futures {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if futures.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}
