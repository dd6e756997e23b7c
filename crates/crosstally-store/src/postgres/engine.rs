//! All that is open on one database: the pool, the batches that gather, and how much may wait.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::task::JoinSet;
use tokio_postgres::Row;

use super::clicks::NewClick;
use super::connect::connect;
use super::fault::Fault;
use super::migrate::migrate;
use super::postbacks::NewPostback;
use super::receipts::NewReceipt;
use super::transact::{Database, Fate, Transaction, Tries, Values};
use super::writer::{Queue, Work};
use crate::{OpenError, StoreError};

/// Work inside a transaction; `None` rolls it back.
pub(super) type InTransaction<'t, T> = Pin<Box<dyn Future<Output = Result<Option<T>, Fault>> + Send + 't>>;

/// All that is open on one database.
pub(super) struct Engine {
    database: Database,
    /// One place per write that was accepted and not answered yet.
    writes: Places,
    /// One place per question.
    reads: Places,
    closing: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    pub(super) clicks: Queue<NewClick>,
    pub(super) receipts: Queue<NewReceipt>,
    pub(super) postbacks: Queue<NewPostback>,
}

impl Engine {
    /// Opens the database and brings it to the present schema.
    pub(super) async fn open(url: &str, queue_max: usize, connections_max: usize) -> Result<Self, OpenError> {
        let database = Database::new(connect(url, connections_max).await?);
        migrate(&database).await?;
        let mut tasks = JoinSet::new();
        Ok(Self {
            writes: Places::new(queue_max),
            reads: Places::new(queue_max),
            closing: AtomicBool::new(false),
            clicks: Queue::start(&database, queue_max, &mut tasks),
            receipts: Queue::start(&database, queue_max, &mut tasks),
            postbacks: Queue::start(&database, queue_max, &mut tasks),
            tasks: Mutex::new(tasks),
            database,
        })
    }

    /// Waits for everything that was accepted, then closes every connection.
    pub(super) async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.writes.close().await;
        self.reads.close().await;
        self.tasks.lock().await.shutdown().await;
        self.database.close();
    }

    /// Runs one statement in a transaction of its own; answers when it is on disk.
    pub(super) async fn write(&self, statement: &str, values: &Values<'_>) -> Result<Vec<Row>, StoreError> {
        let _place = self.take(&self.writes)?;
        let mut tries = Tries::default();
        loop {
            match self.database.run(statement, values).await {
                Ok(rows) => return Ok(rows),
                Err(fault) => tries.again_after(fault).await?,
            }
        }
    }

    /// Does work of several statements over some data in one transaction; answers when it is on disk. Work that answers
    /// `None` is rolled back.
    pub(super) async fn transact<D: Sync, T>(
        &self,
        data: &D,
        work: impl for<'t> Fn(&'t Transaction, &'t D) -> InTransaction<'t, T> + Sync,
    ) -> Result<Option<T>, StoreError> {
        let _place = self.take(&self.writes)?;
        let mut tries = Tries::default();
        loop {
            match self.attempt(data, &work).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => tries.again_after(fault).await?,
            }
        }
    }

    async fn attempt<D: Sync, T>(
        &self,
        data: &D,
        work: &(impl for<'t> Fn(&'t Transaction, &'t D) -> InTransaction<'t, T> + Sync),
    ) -> Result<Option<T>, Fault> {
        let transaction = self.database.transaction().await?;
        let ticket = transaction.begin().await?;
        let Some(answer) = work(&transaction, data).await? else { return Ok(None) };
        match self.database.commit(transaction, ticket).await? {
            Fate::Committed => Ok(Some(answer)),
            Fate::RolledBack => Err(Fault::Lost("the connection broke before the commit".into())),
            Fate::SeeRows => Err(Fault::Unknown("the server went away at the commit".into())),
        }
    }

    /// Asks one question.
    pub(super) async fn read(&self, statement: &str, values: &Values<'_>) -> Result<Vec<Row>, StoreError> {
        let _place = self.take(&self.reads)?;
        let mut tries = Tries::default();
        loop {
            match self.database.ask(statement, values).await {
                Ok(rows) => return Ok(rows),
                Err(fault) => tries.again_after(fault).await?,
            }
        }
    }

    /// Does work together with other work of its kind; answers when it is on disk.
    pub(super) async fn join<W: Work>(&self, queue: &Queue<W>, work: W) -> Result<W::Answer, StoreError> {
        let place = self.take(&self.writes)?;
        queue.join(work, place).await
    }

    fn take(&self, places: &Places) -> Result<OwnedSemaphorePermit, StoreError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        Arc::clone(&places.free).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::Closed => StoreError::Closed,
            TryAcquireError::NoPermits => StoreError::Busy,
        })
    }
}

/// A limit on how much is under way at once.
struct Places {
    free: Arc<Semaphore>,
    all: u32,
}

impl Places {
    fn new(all: usize) -> Self {
        let all = u32::try_from(all.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let free = Semaphore::new(usize::try_from(all).unwrap_or(Semaphore::MAX_PERMITS));
        Self { free: Arc::new(free), all }
    }

    /// Waits until nothing is under way. With all places in hand nothing new can begin; after that nothing may.
    async fn close(&self) {
        let all = self.free.acquire_many(self.all).await;
        self.free.close();
        drop(all);
    }
}
