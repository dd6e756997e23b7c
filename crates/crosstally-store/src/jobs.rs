//! Jobs over many deliveries. A job is a row; each of its steps is one transaction that moves deliveries and the job
//! together, so that a crash between two steps loses nothing and repeats nothing.

use std::collections::BTreeMap;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::job::{Job, JobFilter, JobState};
use crosstally_core::ids::{DeliveryId, JobId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use crate::{EventText, Store, StoreError, on};

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStep {
    /// The job.
    pub job: JobId,
    /// Where it stood when the step was prepared.
    pub from: DeliveryId,
    /// The deliveries of the step, in order.
    pub deliveries: Vec<DeliveryId>,
    /// Whether nothing is left after it.
    pub last: bool,
    /// The present time.
    pub now: Timestamp,
    /// The deadline of those whose own has passed.
    pub deadline_at: Timestamp,
    /// The deadlines of what is booked for another destination, by the deliveries it comes from; of the others it is the one
    /// above.
    pub deadlines: BTreeMap<DeliveryId, Timestamp>,
}

/// The request that a job is begun under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunUnder {
    /// Of its key, its sender and its content.
    pub digest: [u8; 32],
    /// A job that was begun earlier is no longer meant by it.
    pub since: Timestamp,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAnswer {
    /// It is on disk.
    Done {
        /// Deliveries that are due now, or called off.
        requeued: u64,
        /// Deliveries that were left alone.
        skipped: u64,
    },
    /// The job was stopped, or another node was faster; nothing was changed.
    Moved,
}

/// Deliveries that a job would be about, alike in state, reason and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobGroup {
    /// The state.
    pub state: DeliveryState,
    /// The reason.
    pub reason: Option<Reason>,
    /// The event's name.
    pub event_name: String,
    /// How many.
    pub count: u64,
    /// The newest of them.
    pub newest: DeliveryId,
    /// How many of them already have a delivery to the other destination, if one is named, or follow their sale there.
    pub already: u64,
}

impl Store {
    /// What a job would be about, in groups.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn preview_job(
        &self,
        filter: JobFilter,
        to_destination: Option<String>,
    ) -> Result<Vec<JobGroup>, StoreError> {
        on!(self, preview_job(filter, to_destination))
    }

    /// Writes a new job down; if one was begun under the same request before, that one is answered and nothing is written.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin_job(&self, job: Job, under: Option<BegunUnder>) -> Result<Job, StoreError> {
        on!(self, begin_job(job, under))
    }

    /// The job that was begun under a request.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job_begun(&self, under: BegunUnder) -> Result<Option<Job>, StoreError> {
        on!(self, job_begun(under))
    }

    /// The job of this id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        on!(self, job(id))
    }

    /// Jobs, newest first; `before` is the last id of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        on!(self, list_jobs(before, limit))
    }

    /// Jobs that go on by themselves, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn running_jobs(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        on!(self, running_jobs(limit))
    }

    /// Moves a job by hand, if it stands where it is thought to. Whether it did.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn move_job(
        &self,
        id: JobId,
        from: JobState,
        to: JobState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(self, move_job(id, from, to, now))
    }

    /// The next deliveries that a job is about, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job_deliveries(
        &self,
        filter: JobFilter,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        on!(self, job_deliveries(filter, after, limit))
    }

    /// The events of deliveries, as they are kept; of a delivery without one nothing.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events_of_deliveries(
        &self,
        ids: Vec<DeliveryId>,
    ) -> Result<Vec<(DeliveryId, EventText)>, StoreError> {
        on!(self, events_of_deliveries(ids))
    }

    /// Takes a step of a job: makes its deliveries due in the lane of replays, or books them for the other destination, or
    /// calls them off, and notes how far the job is. One transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn advance_job(&self, step: JobStep) -> Result<JobAnswer, StoreError> {
        on!(self, advance_job(step))
    }

    /// How many deliveries of a destination are due in the lane of replays, counted up to `most`. Those that failed and have
    /// their next try later are none of them: they would hold every further job up until their deadline.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn waiting_replays(
        &self,
        destination: String,
        now: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        on!(self, waiting_replays(destination, now, most))
    }
}
