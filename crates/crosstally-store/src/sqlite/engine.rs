//! All connections to one database: a writer for everything that changes, a few readers for everything that asks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::connect::{Access, connect, prepare};
use super::migrate::migrate;
use super::tally::Tally;
use super::writer::{LookUp, Message, Request, Write, Writer};
use crate::{OpenError, StoreError, Watch};

#[cfg(test)]
mod tests;

/// All connections to one database.
pub(super) struct Engine {
    readers: Arc<Readers>,
    queue: flume::Sender<Message>,
}

impl Engine {
    /// Opens the database of a directory, made if it is not there, and brings it to the present schema. Blocks.
    pub(super) fn open(
        directory: &Path,
        queue_max: usize,
        connections_max: usize,
        watch: Watch,
    ) -> Result<Self, OpenError> {
        let path = prepare(directory).map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let mut connection = connect(&path, Access::Write)?;
        migrate(&mut connection, directory)?;
        let (queue, waiting) = flume::bounded(queue_max);
        Writer::start(path.clone(), connection, waiting, watch)?;
        Ok(Self { readers: Arc::new(Readers::new(path, connections_max, queue_max)), queue })
    }

    /// Waits for all work that was accepted, then closes every connection.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        let (done, closed) = oneshot::channel();
        if self.queue.send_async(Message::Close(done)).await.is_ok() {
            // Whether it closed now or was closed before comes to the same.
            closed.await.ok();
        }
    }

    /// Does work in the next transaction of the writer; answers when it is on disk. The weight is about the number of
    /// rows. The work may be done more than once; only the last time counts.
    pub(super) async fn write<T, W>(&self, weight: usize, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_counted(weight, work, |_, _| ()).await
    }

    /// The same, and what came of it is added to the counts of the transaction.
    pub(super) async fn write_counted<T, W>(
        &self,
        weight: usize,
        work: W,
        counted: fn(&T, &mut Tally),
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_foreseen(weight, work, counted, None).await
    }

    /// The same for work of which it is known beforehand what it will look up.
    pub(super) async fn write_foreseen<T, W>(
        &self,
        weight: usize,
        work: W,
        counted: fn(&T, &mut Tally),
        looked_up: Option<LookUp>,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue(Box::new(Request::new(weight, work, counted, looked_up, reply)))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Does work that nobody misses after a power cut, such as a lease, which is then free again: it is answered when it is
    /// done, and need not wait for the disk. A process that dies takes nothing of it along.
    pub(super) async fn write_fleeting<T, W>(&self, weight: usize, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue(Box::new(Request::new(weight, work, |_, _| (), None, reply).fleeting()))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    fn queue(&self, request: Box<dyn Write>) -> Result<(), StoreError> {
        self.queue.try_send(Message::Write(request)).map_err(|error| match error {
            flume::TrySendError::Full(_) => StoreError::Busy,
            flume::TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// Asks on a connection that cannot write, on a thread that may block.
    pub(super) async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.read(work).await
    }
}

/// Connections that only read. Each is opened when it is first needed and used by one question at a time.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// One permit per connection.
    connections: Arc<Semaphore>,
    /// One permit per question, asked or waiting.
    questions: Arc<Semaphore>,
    connections_max: u32,
}

impl Readers {
    fn new(path: PathBuf, connections_max: usize, questions_max: usize) -> Self {
        let connections_max = u32::try_from(connections_max.max(1)).unwrap_or(u32::MAX);
        let connections = usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            path,
            idle: Mutex::new(Vec::new()),
            connections: Arc::new(Semaphore::new(connections)),
            questions: Arc::new(Semaphore::new(questions_max)),
            connections_max,
        }
    }

    async fn read<T, W>(self: &Arc<Self>, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let question = self.questions.try_acquire().map_err(|_| StoreError::Busy)?;
        let connection =
            Arc::clone(&self.connections).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(self);
        // If the caller goes away meanwhile, the thread still ends its work and puts the connection back.
        let asking = tokio::task::spawn_blocking(move || {
            let answer = readers.ask(work);
            drop(connection);
            answer
        });
        let answer = asking.await.unwrap_or(Err(StoreError::Closed));
        drop(question);
        answer
    }

    fn ask<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, Access::Read)
                .map_err(|error| StoreError::Unavailable(error.to_string()))?,
        };
        let answer = work(&connection);
        // After a failure a fresh connection is the safer one.
        if answer.is_ok() {
            self.idle().push(connection);
        }
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of idle connections is whole whatever its last user did.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        // With all permits in hand nobody is reading; after that nobody may.
        let all = self.connections.acquire_many(self.connections_max).await;
        self.connections.close();
        drop(all);
        self.idle().clear();
    }
}
