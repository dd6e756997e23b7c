//! Batches: whatever waits is done together in one transaction, so that many share one sync and one round trip.
//!
//! Nothing lingers: while some batches are on their way the next one gathers by itself, so batches grow exactly when the
//! database is slow. Work under one key is on its way in one batch at a time, so that each piece sees what the one before
//! it left. A batch that fails because of what is in it is cut in halves until the bad piece is alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinSet;

use crosstally_core::conversion::DedupeKey;

use super::fault::Fault;
use super::transact::{Database, Tries};
use crate::StoreError;

#[cfg(test)]
mod tests;

/// How much goes into one transaction; the unit is about one row of usual length.
const BATCH_WEIGHT_MAX: usize = 4_000;

/// A kind of work that is done in batches.
pub(super) trait Work: Send + Sized + 'static {
    /// What the one who waits is told.
    type Answer: Send + 'static;

    /// How many batches may be on their way at once.
    const BATCHES_MAX: usize;

    /// About how many rows of usual length it is.
    fn weight(&self) -> usize;

    /// The name under which no two batches may be on their way at once.
    fn key(&self) -> Option<&DedupeKey> {
        None
    }

    /// Does all of a batch in one transaction and notes everybody's answer. On a fault nothing was done, whatever was
    /// noted.
    fn record(
        database: &Database,
        batch: &mut [Waiting<Self>],
    ) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Work with the one who waits for it.
pub(super) struct Waiting<W: Work> {
    pub(super) work: W,
    pub(super) answer: Option<Result<W::Answer, StoreError>>,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
    _place: OwnedSemaphorePermit,
}

impl<W: Work> Waiting<W> {
    fn tell(self, answer: Result<W::Answer, StoreError>) {
        // Whoever waited may have gone.
        self.reply.send(answer).ok();
    }
}

/// Where work of one kind waits for its batch.
pub(super) struct Queue<W: Work> {
    waiting: flume::Sender<Waiting<W>>,
}

impl<W: Work> Queue<W> {
    /// Starts the task that makes the batches. It ends when nobody is left who could send it anything.
    pub(super) fn start(database: &Database, queue_max: usize, tasks: &mut JoinSet<()>) -> Self {
        let (waiting, arriving) = flume::bounded(queue_max.max(1));
        let batcher = Batcher {
            database: database.clone(),
            arriving,
            waiting: VecDeque::new(),
            keys: Keys::default(),
            running: JoinSet::new(),
        };
        tasks.spawn(batcher.run());
        Self { waiting }
    }

    /// Waits for the work to be done.
    pub(super) async fn join(&self, work: W, place: OwnedSemaphorePermit) -> Result<W::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { work, answer: None, reply, _place: place };
        self.waiting.try_send(waiting).map_err(|error| match error {
            flume::TrySendError::Full(_) => StoreError::Busy,
            flume::TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the batch was broken off".into())))
    }
}

/// The keys that are on their way.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<HashSet<DedupeKey>>>);

impl Keys {
    fn lock(&self) -> MutexGuard<'_, HashSet<DedupeKey>> {
        // A set of keys is whole whatever its last user did.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of one batch; free again when it is over, however it ended.
struct Taken {
    all: Keys,
    own: HashSet<DedupeKey>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        for key in &self.own {
            all.remove(key);
        }
    }
}

struct Batcher<W: Work> {
    database: Database,
    arriving: flume::Receiver<Waiting<W>>,
    /// Taken out of the queue, but not on its way yet. What is here holds a place, so it is as limited as the queue.
    waiting: VecDeque<Waiting<W>>,
    keys: Keys,
    running: JoinSet<()>,
}

impl<W: Work> Batcher<W> {
    async fn run(mut self) {
        loop {
            self.waiting.extend(self.arriving.try_iter());
            while self.running.len() < W::BATCHES_MAX
                && let Some((batch, keys)) = self.gather()
            {
                let database = self.database.clone();
                self.running.spawn(async move {
                    record(&database, batch).await;
                    drop(keys);
                });
            }
            tokio::select! {
                Some(done) = self.running.join_next() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "a batch of the store broke off");
                    }
                }
                arrived = self.arriving.recv_async() => match arrived {
                    Ok(one) => self.waiting.push_back(one),
                    Err(_) => return,
                },
            }
        }
    }

    /// The next batch: whatever waits, up to the limit, but nothing under a key that is on its way.
    fn gather(&mut self) -> Option<(Vec<Waiting<W>>, Taken)> {
        let mut taken = Taken { all: self.keys.clone(), own: HashSet::new() };
        let mut batch = Vec::new();
        let mut held_back = VecDeque::new();
        let mut weight = 0;
        {
            let mut all = self.keys.lock();
            while weight < BATCH_WEIGHT_MAX
                && let Some(one) = self.waiting.pop_front()
            {
                if let Some(key) = one.work.key()
                    && !taken.own.contains(key)
                {
                    if !all.insert(key.clone()) {
                        held_back.push_back(one);
                        continue;
                    }
                    taken.own.insert(key.clone());
                }
                weight += one.work.weight();
                batch.push(one);
            }
        }
        held_back.append(&mut self.waiting);
        self.waiting = held_back;
        if batch.is_empty() { None } else { Some((batch, taken)) }
    }
}

/// Does a batch until everybody has an answer.
async fn record<W: Work>(database: &Database, batch: Vec<Waiting<W>>) {
    let mut parts = vec![batch];
    while let Some(mut part) = parts.pop() {
        let mut tries = Tries::default();
        let done = loop {
            match W::record(database, &mut part).await {
                Ok(()) => break Ok(()),
                Err(Fault::Data(problem)) if part.len() > 1 => {
                    tracing::warn!(problem, pieces = part.len(), "a batch was refused; it is done in halves");
                    parts.push(part.split_off(part.len() / 2));
                }
                Err(fault) => {
                    if let Err(error) = tries.again_after(fault).await {
                        break Err(error);
                    }
                }
            }
        };
        if let Err(error) = &done {
            tracing::error!(%error, pieces = part.len(), "a batch of the store failed");
        }
        for mut one in part {
            let noted = one.answer.take().unwrap_or(Err(StoreError::Closed));
            one.tell(done.clone().and(noted));
        }
    }
}
