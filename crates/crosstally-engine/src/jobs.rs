//! Jobs over many deliveries, which send them or call them off: begun with a preview, carried on step by step by whatever node is there, stopped by hand.

use std::collections::BTreeMap;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::job::{
    Action, FRESH_DEADLINE_MS, IDS_MAX, Job, JobFilter, JobState, PER_MINUTE_MAX, Word, deadline_elsewhere,
};
use crosstally_core::ids::{DeliveryId, JobId};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_store::{BegunUnder, EventText, JobAnswer, JobGroup, JobStep, StoreError};

use crate::Engine;
use crate::outbox::nobody_knows;

/// Deliveries of one step, which is one transaction.
const STEP_MAX: u32 = 500;
/// Deliveries that wait in the lane of replays before a job goes on: enough for several batches, few enough to be stopped.
const WAITING_MAX: u32 = 2_000;
/// Jobs that may be open at once. One that has nothing to do at this moment costs nothing.
const JOBS_MAX: u32 = 1_000;
/// How far back what was refused in part is looked for: among all that arrived, of which there is much.
const IN_PART_MS: i64 = 31 * DAY_MS;

/// What is to be sent once more, or called off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobIn {
    /// What is to be done.
    pub action: Action,
    /// Which deliveries.
    pub filter: JobFilter,
    /// Where to send instead.
    pub to_destination: Option<String>,
    /// How many in a minute.
    pub per_minute: Option<u32>,
}

/// What a job would be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPreview {
    /// Its deliveries in groups.
    pub groups: Vec<JobGroup>,
    /// How many more there would be, had their conversions not been rejected or reversed since.
    pub taken_back: u64,
    /// Why what is pending among them is held, if it is.
    pub held: Option<Reason>,
}

/// Why a job is not begun, or not moved.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It cannot be meant.
    #[error("{0}")]
    Bad(String),
    /// It names a destination or a goal that nobody knows.
    #[error("{0}")]
    Unknown(String),
    /// There is no such job.
    #[error("no job {0} is stored here")]
    NotFound(JobId),
    /// It does not stand where that could be done.
    #[error("job {id} is {}{}", .state.as_str(), so_that(*.state, *.wanted))]
    Ended {
        /// The job.
        id: JobId,
        /// Where it stands.
        state: JobState,
        /// What was asked for.
        wanted: JobState,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a job that stands somewhere cannot be moved, and what to do instead.
fn so_that(state: JobState, wanted: JobState) -> String {
    match (state, wanted) {
        (JobState::Done | JobState::Cancelled, _) => {
            " and has ended; begin a new one: crosstally deliveries replay --help".to_owned()
        }
        (state, wanted) if state == wanted => " already".to_owned(),
        (_, wanted) => format!(", so that it cannot become {}", wanted.as_str()),
    }
}

impl Engine {
    /// What a job would be about. Nothing is changed.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn preview_job(&self, wanted: &JobIn) -> Result<JobPreview, JobError> {
        self.check_job(wanted)?;
        let ask = async |filter| self.store.preview_job(filter, wanted.to_destination.clone()).await;
        let groups = ask(wanted.filter.clone()).await?;
        let all = match wanted.filter.taken_back {
            true => groups.clone(),
            false => ask(JobFilter { taken_back: true, ..wanted.filter.clone() }).await?,
        };
        if all.is_empty() {
            self.check_names(&wanted.filter).await?;
        }
        let count = |groups: &[JobGroup]| groups.iter().map(|group| group.count).sum::<u64>();
        let taken_back = count(&all).saturating_sub(count(&groups));
        let held = self.hold_at(&wanted.filter.destination, &self.held_destinations().await?);
        Ok(JobPreview { groups, taken_back, held: held.map(|(reason, _)| reason) })
    }

    /// Nothing was found: perhaps because nothing has that name.
    async fn check_names(&self, filter: &JobFilter) -> Result<(), JobError> {
        if !self.knows_destination(&filter.destination).await? {
            return Err(JobError::Unknown(nobody_knows(&filter.destination)));
        }
        let goals = &self.snapshot.load().config.goals;
        match &filter.goal {
            Some(goal) if goals.iter().all(|known| known.slug != *goal) => Err(JobError::Unknown(format!(
                "there is no goal `{goal}`, and nothing is stored under that name"
            ))),
            _ => Ok(()),
        }
    }

    /// Begins a job; it goes on by itself on every node that works by the clock. One that was begun under the same request
    /// before is answered instead.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn begin_job(
        &self,
        wanted: JobIn,
        author: &str,
        under: Option<BegunUnder>,
    ) -> Result<Job, JobError> {
        let preview = self.preview_job(&wanted).await?;
        let open = self.store.running_jobs(JOBS_MAX).await?.len();
        if u32::try_from(open).unwrap_or(u32::MAX) >= JOBS_MAX {
            return Err(JobError::Bad(format!("{JOBS_MAX} jobs are running; cancel some of them first")));
        }
        let now = self.clock.now();
        let job = Job {
            id: JobId::new(now, self.random.bytes()),
            action: wanted.action,
            filter: wanted.filter,
            to_destination: wanted.to_destination,
            per_minute: wanted.per_minute,
            state: JobState::Running,
            done_to: DeliveryId::from_bytes([0; 16]),
            wanted: preview.groups.iter().map(|group| group.count).sum(),
            requeued: 0,
            skipped: 0,
            author: author.to_owned(),
            created_at: now,
            updated_at: now,
        };
        let id = job.id;
        let job = self.store.begin_job(job, under).await?;
        if job.id != id {
            return Ok(job);
        }
        tracing::info!(
            job.id = %job.id,
            action = job.action.as_str(),
            destination = job.filter.destination,
            deliveries = job.wanted,
            author,
            "a job over deliveries began"
        );
        Ok(job)
    }

    /// Pauses, resumes or calls off a job.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn move_job(&self, id: JobId, to: JobState) -> Result<Job, JobError> {
        let job = self.store.job(id).await?.ok_or(JobError::NotFound(id))?;
        let ended = || JobError::Ended { id, state: job.state, wanted: to };
        if !job.state.may_become(to) {
            return Err(ended());
        }
        if !self.store.move_job(id, job.state, to, self.clock.now()).await? {
            return Err(ended());
        }
        tracing::info!(job.id = %id, state = to.as_str(), "a job over deliveries was moved by hand");
        self.store.job(id).await?.ok_or(JobError::NotFound(id))
    }

    /// Carries all running jobs on as far as they may go now. Returns how many deliveries became due.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn work_on_jobs(&self) -> Result<u64, StoreError> {
        let mut requeued = 0;
        for job in self.store.running_jobs(JOBS_MAX).await? {
            requeued += self.work_on(job).await?;
        }
        Ok(requeued)
    }

    async fn work_on(&self, mut job: Job) -> Result<u64, StoreError> {
        let mut requeued = 0;
        loop {
            let most = self.room_for(&job).await?;
            if most == 0 {
                return Ok(requeued);
            }
            let found = self.store.job_deliveries(job.filter.clone(), job.done_to, most).await?;
            let now = self.clock.now();
            let last = u32::try_from(found.len()).unwrap_or(u32::MAX) < most;
            let done_to = found.last().copied().unwrap_or(job.done_to);
            let step = JobStep {
                job: job.id,
                from: job.done_to,
                deadlines: self.deadlines_of(&job, &found, now).await?,
                deliveries: found,
                last,
                now,
                deadline_at: now.plus_millis(FRESH_DEADLINE_MS),
            };
            // Another node was faster, or somebody stopped the job: the next look will see it as it is.
            let JobAnswer::Done { requeued: done, skipped } = self.store.advance_job(step).await? else {
                return Ok(requeued);
            };
            requeued += done;
            job.requeued += done;
            job.skipped += skipped;
            (job.done_to, job.updated_at) = (done_to, now);
            self.wakeups.wake(job.to_destination.as_deref().unwrap_or(&job.filter.destination));
            if last {
                tracing::info!(
                    job.id = %job.id,
                    requeued = job.requeued,
                    skipped = job.skipped,
                    "a job over deliveries is done"
                );
                return Ok(requeued);
            }
        }
    }

    /// Until when the events of a step may be tried at another destination. Of an event that cannot be read nothing is known.
    async fn deadlines_of(
        &self,
        job: &Job,
        deliveries: &[DeliveryId],
        now: Timestamp,
    ) -> Result<BTreeMap<DeliveryId, Timestamp>, StoreError> {
        let snapshot = self.snapshot.load();
        let Some(ready) = job.to_destination.as_ref().and_then(|slug| snapshot.destination(slug)) else {
            return Ok(BTreeMap::new());
        };
        let events = self.store.events_of_deliveries(deliveries.to_vec()).await?;
        let deadline = |(id, event): (DeliveryId, EventText)| {
            let event = event.read()?;
            let max_age_ms = snapshot.max_age_ms(&ready.config, &event.action_source);
            Some((id, deadline_elsewhere(event.known_at(), max_age_ms, now)))
        };
        Ok(events.into_iter().filter_map(deadline).collect())
    }

    /// How many deliveries the next step of a job may have: by its own pace, and by what still waits from the steps before.
    async fn room_for(&self, job: &Job) -> Result<u32, StoreError> {
        let budget = u32::try_from(job.budget(self.clock.now())).unwrap_or(u32::MAX).min(STEP_MAX);
        // Nobody waits behind what is called off.
        if budget == 0 || job.action == Action::Cancel {
            return Ok(budget);
        }
        let destination = job.to_destination.as_ref().unwrap_or(&job.filter.destination);
        let waiting = self.store.waiting_replays(destination.clone(), self.clock.now(), WAITING_MAX).await?;
        let room = u64::from(WAITING_MAX).saturating_sub(waiting);
        Ok(budget.min(u32::try_from(room).unwrap_or(u32::MAX)))
    }

    /// What did not arrive, in groups by reason: of one destination, or of all that there are or were. With it what arrived in
    /// the last 31 days and was refused in part later, where a destination tells that.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn delivery_errors(
        &self,
        destination: Option<&str>,
    ) -> Result<Vec<(String, JobGroup)>, JobError> {
        let mut slugs: Vec<String> =
            self.store.count_deliveries().await?.into_iter().map(|count| count.destination).collect();
        slugs.extend(self.snapshot.load().destinations().map(|ready| ready.config.slug.clone()));
        if let Some(slug) = destination {
            if !slugs.iter().any(|known| known == slug) {
                return Err(JobError::Unknown(nobody_knows(slug)));
            }
            slugs = vec![slug.to_owned()];
        }
        slugs.sort_unstable();
        slugs.dedup();
        let mut groups = Vec::new();
        for slug in slugs {
            let filter = JobFilter {
                destination: slug.clone(),
                states: Word::FAILED.to_vec(),
                code: None,
                goal: None,
                event_name: None,
                from: None,
                to: self.clock.now().plus_millis(1),
                ids: Vec::new(),
                taken_back: true,
            };
            let in_part = JobFilter {
                states: vec![Word::Delivered],
                code: Some(Reason::RefusedInPart.code().to_owned()),
                from: Some(filter.to.plus_millis(-IN_PART_MS)),
                ..filter.clone()
            };
            let mut found = self.store.preview_job(filter, None).await?;
            if self.snapshot.load().destination(&slug).is_some_and(|ready| ready.looks_back()) {
                found.extend(self.store.preview_job(in_part, None).await?);
            }
            groups.extend(found.into_iter().map(|group| (slug.clone(), group)));
        }
        Ok(groups)
    }

    fn check_job(&self, wanted: &JobIn) -> Result<(), JobError> {
        let bad = |problem: String| Err(JobError::Bad(problem));
        let filter = &wanted.filter;
        if wanted.action == Action::Cancel && filter.states != [Word::Pending] {
            return bad("only what is pending or held can be cancelled; everything else has ended".into());
        }
        if wanted.action == Action::Send
            && wanted.to_destination.is_none()
            && filter.takes(DeliveryState::Pending)
        {
            return bad(
                "what is pending or held needs no replay: it is sent by itself, or when its destination goes on; \
                name another destination to send it there as well"
                    .into(),
            );
        }
        if filter.states.is_empty() {
            return bad("name at least one of the states delivered, dead, expired and cancelled".into());
        }
        if filter.ids.len() > IDS_MAX {
            return bad(format!("names more than {IDS_MAX} deliveries; use a filter instead"));
        }
        match filter.code.as_deref().map(|code| (code, Reason::from_code(code))) {
            Some((code, None)) => {
                return bad(format!("`{code}` is no reason code; docs/reason-codes.md lists them"));
            }
            // None of its deliveries has that reason, although it is shown with each: nothing would be found.
            Some((code, Some(Reason::PausedByHand))) => {
                return bad(format!(
                    "`{code}` is why a destination holds its deliveries, not what became of one of them; \
                    leave the code out and ask for the state held"
                ));
            }
            _ => {}
        }
        if filter.from.is_some_and(|from| from >= filter.to) {
            return bad("the time from which to take is not before the one up to which".into());
        }
        match wanted.per_minute {
            Some(pace) if !(1..=PER_MINUTE_MAX).contains(&pace) => {
                return bad(format!("the pace must be between 1 and {PER_MINUTE_MAX} a minute"));
            }
            _ => {}
        }
        if let Some(other) = &wanted.to_destination {
            if *other == filter.destination {
                return bad(format!(
                    "`{other}` is where they were for; leave it out to send them there again"
                ));
            }
            if self.snapshot.load().destination(other).is_none() {
                let problem = format!("no destination `{other}` is configured; add it first");
                return Err(JobError::Unknown(problem));
            }
        }
        Ok(())
    }
}
