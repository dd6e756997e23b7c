//! The group commit: one thread takes everything that waits, does it in one transaction, syncs once, answers everybody.
//!
//! Nothing lingers: while one batch is being synced the next one gathers by itself, so batches grow exactly when the disk
//! is slow.
//!
//! A batch is first done without savepoints, because a savepoint costs a copy of every page that is touched. Only if
//! something in it fails is the batch rolled back and done again with a savepoint around each piece of work, so that a bad
//! one spoils nothing but itself. Work must therefore be such that it can be done again.

use std::path::PathBuf;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::connect::{Access, connect};
use super::tally::Tally;
use crate::{OpenError, StoreError, Watch};

use checkpoint::Checkpointer;
use disk::disk_reads;
use warm::Warmer;

mod checkpoint;
mod disk;
mod synced;
#[cfg(test)]
mod tests;
mod warm;

/// How much work goes into one transaction; the unit is about one row.
const BATCH_WEIGHT_MAX: usize = 2_000;

/// What waits in the writer's queue.
pub(super) enum Message {
    /// Work to do.
    Write(Box<dyn Write>),
    /// The end: everything before it is still done.
    Close(oneshot::Sender<()>),
}

/// A piece of work that waits for its transaction.
pub(super) trait Write: Send {
    /// About how many rows it is.
    fn weight(&self) -> usize;
    /// Whether it is known beforehand what it will look up.
    fn looks_up(&self) -> bool;
    /// Looks that up, for nothing but to have it in memory.
    fn look_up(&self, reader: &Connection);
    /// Whether it must outlive a power cut once it is answered.
    fn lasts(&self) -> bool;
    /// Does the work and keeps what came of it; whether it succeeded.
    fn work(&mut self, connection: &Connection) -> bool;
    /// Adds what was done to the counts of its transaction.
    fn count(&self, tally: &mut Tally);
    /// Tells whoever waits, once it is known what became of the transaction.
    fn answer(self: Box<Self>, transaction: Result<(), StoreError>);
}

/// Asks for what a piece of work will ask for, and forgets the answers.
pub(super) type LookUp = Box<dyn Fn(&Connection) + Send>;

/// Work with the one who waits for it.
pub(super) struct Request<T, W> {
    work: W,
    looked_up: Option<LookUp>,
    weight: usize,
    lasts: bool,
    counted: fn(&T, &mut Tally),
    done: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Request<T, W> {
    pub(super) const fn new(
        weight: usize,
        work: W,
        counted: fn(&T, &mut Tally),
        looked_up: Option<LookUp>,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self { work, looked_up, weight, lasts: true, counted, done: None, reply }
    }

    /// The same for work that nobody misses after a power cut: it need not wait for the disk.
    pub(super) const fn fleeting(mut self) -> Self {
        self.lasts = false;
        self
    }
}

impl<T, W> Write for Request<T, W>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T, StoreError> + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn looks_up(&self) -> bool {
        self.looked_up.is_some()
    }

    fn lasts(&self) -> bool {
        self.lasts
    }

    fn look_up(&self, reader: &Connection) {
        if let Some(look_up) = &self.looked_up {
            // Whatever is wrong, the work itself will find it too.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look_up(reader))).ok();
        }
    }

    fn work(&mut self, connection: &Connection) -> bool {
        let work = std::panic::AssertUnwindSafe(|| (self.work)(connection));
        let done = std::panic::catch_unwind(work).unwrap_or_else(|_| {
            tracing::error!("a decision inside the store panicked; its write was rolled back");
            Err(StoreError::Unavailable("the decision inside the transaction broke off".into()))
        });
        let succeeded = done.is_ok();
        self.done = Some(done);
        succeeded
    }

    fn count(&self, tally: &mut Tally) {
        if let Some(Ok(done)) = &self.done {
            (self.counted)(done, tally);
        }
    }

    fn answer(self: Box<Self>, transaction: Result<(), StoreError>) {
        let answer = match (self.done, transaction) {
            (Some(done), Ok(())) => done,
            // It failed by itself: its own reason says more.
            (Some(Err(error)), Err(_)) => Err(error),
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // Whoever waited may have gone.
        self.reply.send(answer).ok();
    }
}

/// The writing thread's own things.
pub(super) struct Writer {
    path: PathBuf,
    /// `None` after a failure, until it could be opened again.
    connection: Option<Connection>,
    closed: bool,
    queue: flume::Receiver<Message>,
    checkpointer: Option<Checkpointer>,
    warmer: Warmer,
}

impl Writer {
    /// Starts the thread. It ends when nobody is left who could send it anything.
    pub(super) fn start(
        path: PathBuf,
        mut connection: Connection,
        queue: flume::Receiver<Message>,
        watch: Watch,
    ) -> Result<(), OpenError> {
        let checkpointer = Checkpointer::start(path.clone())?;
        checkpointer.watch(&mut connection).map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let writer = Self {
            path: path.clone(),
            connection: Some(connection),
            closed: false,
            queue,
            checkpointer: Some(checkpointer),
            warmer: Warmer::new(path, watch, disk_reads()),
        };
        spawn("store-writer", move || writer.run()).map(drop)
    }

    fn run(mut self) {
        let mut batch = Vec::new();
        while let Ok(first) = self.queue.recv() {
            let close = self.gather(first, &mut batch);
            let transaction = self.transact(&mut batch);
            for request in batch.drain(..) {
                request.answer(transaction.clone());
            }
            if let Some(done) = close {
                self.close();
                done.send(()).ok();
            } else if let (Some(checkpointer), Some(connection)) = (&mut self.checkpointer, &self.connection)
            {
                checkpointer.after_commit(connection);
            }
        }
        self.close();
    }

    /// Takes everything that waits, up to the limit or the end.
    fn gather(&self, first: Message, batch: &mut Vec<Box<dyn Write>>) -> Option<oneshot::Sender<()>> {
        let mut weight = 0;
        let mut next = Some(first);
        loop {
            match next {
                Some(Message::Write(request)) => {
                    weight += request.weight();
                    batch.push(request);
                }
                Some(Message::Close(done)) => return Some(done),
                None => return None,
            }
            if weight >= BATCH_WEIGHT_MAX {
                return None;
            }
            next = self.queue.try_recv().ok();
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Write>]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.connect()?;
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        let result = if batch.iter().any(|request| request.lasts()) {
            transact(connection, batch, &mut self.warmer)
        } else {
            unsynced(connection, || transact(connection, batch, &mut self.warmer))
        };
        if let Err(error) = &result {
            // After a failed sync nobody knows what the file holds: only a new look at it from the start is sound.
            tracing::error!(error = %error, writes = batch.len(), "a transaction of the store failed");
            self.connection = None;
        }
        result
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        if self.connection.is_none() {
            let mut connection = connect(&self.path, Access::Write)
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            if let Some(checkpointer) = &self.checkpointer {
                checkpointer.watch(&mut connection)?;
            }
            self.connection = Some(connection);
        }
        Ok(())
    }

    fn close(&mut self) {
        self.closed = true;
        if let Some(checkpointer) = self.checkpointer.take() {
            checkpointer.stop();
        }
        // The last connection to go writes the log back and removes it.
        self.connection = None;
    }
}

/// Does something that is in the file when it is over, as ever, but perhaps not yet on the disk: a power cut may take it
/// back, and nothing before it. The next transaction that is synced brings it to the disk as well. Whatever happens, the
/// connection syncs again afterwards or is given up.
fn unsynced(
    connection: &Connection,
    work: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let set = |how: &str| connection.pragma_update(None, "synchronous", how);
    set("normal")?;
    let done = work();
    let again = set("full");
    // What it failed over says more than that a transaction left open takes no setting.
    done?;
    Ok(again?)
}

/// Does a batch in one transaction. An error is one of the transaction; those of single pieces are kept with them.
fn transact(
    connection: &Connection,
    batch: &mut [Box<dyn Write>],
    warmer: &mut Warmer,
) -> Result<(), StoreError> {
    begin(connection)?;
    let all_good =
        warmer.lead(connection, batch) && batch.iter_mut().skip(1).all(|request| request.work(connection));
    if !all_good {
        roll_back(connection)?;
        begin(connection)?;
        for request in batch.iter_mut() {
            apart(connection, request.as_mut())?;
        }
    }
    let mut tally = Tally::default();
    for request in batch.iter() {
        request.count(&mut tally);
    }
    tally.write(connection)?;
    commit(connection)
}

/// Does one piece of work so that its failure changes nothing.
fn apart(connection: &Connection, request: &mut dyn Write) -> Result<(), StoreError> {
    run(connection, "SAVEPOINT piece")?;
    if !request.work(connection) {
        // A full disk or an I/O error may have ended the whole transaction already.
        if connection.is_autocommit() {
            return Err(StoreError::Unavailable("the database gave up the transaction".into()));
        }
        run(connection, "ROLLBACK TO piece")?;
    }
    run(connection, "RELEASE piece")?;
    Ok(())
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE")
}

fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { run(connection, "ROLLBACK") }
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    run(connection, "COMMIT").map_err(|error| match error.sqlite_error_code() {
        // Its last page may have reached the disk although the sync failed.
        Some(ErrorCode::SystemIoFailure) => StoreError::Unknown(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    })
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, OpenError> {
    let builder = std::thread::Builder::new().name(name.into());
    builder.spawn(body).map_err(|error| OpenError::Unavailable(error.to_string()))
}
