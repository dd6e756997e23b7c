//! Jobs over many deliveries: sent once more, or to another destination. Without `apply` nothing is changed.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::job::{Action, Job, JobFilter, JobState, Word};
use crosstally_core::ids::JobId;
use crosstally_core::time::Timestamp;
use crosstally_engine::Engine;
use crosstally_engine::jobs::{JobError, JobIn, JobPreview};
use crosstally_engine::outbox::Shown;
use crosstally_store::{BegunUnder, JobGroup};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::page::{PageIn, PageOut};
use super::{Refused, Reply, bad, not_found};
use crate::answer::body;
use crate::problem::{Fault, fault};
use crate::state::State;
use crate::{auth, once};

/// Which deliveries to send once more, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayIn {
    /// Of this destination.
    pub destination: String,
    /// In these states: `delivered`, `dead`, `expired`, `cancelled`, for another destination also `pending` or `held`, which stay
    /// as they are where they wait. By default those that did not arrive; for another destination all that have ended.
    pub states: Vec<String>,
    /// With this reason code.
    pub code: Option<String>,
    /// Of this goal.
    pub goal: Option<String>,
    /// Sent under this name.
    pub event_name: Option<String>,
    /// Booked at or after, RFC 3339.
    pub from: Option<String>,
    /// Booked before, RFC 3339; now by default.
    pub until: Option<String>,
    /// Only these.
    pub ids: Vec<String>,
    /// Send to this destination instead, unless the event is on its way there already.
    pub to: Option<String>,
    /// How many in a minute.
    pub per_minute: Option<u32>,
    /// Also those whose conversion was rejected or reversed since.
    pub taken_back: bool,
    /// Whether it is begun; else it is only shown.
    pub apply: bool,
}

/// Which of the deliveries that wait to call off.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CancelIn {
    /// Of this destination, which may be gone from the configuration.
    pub destination: String,
    /// `pending` or `held`, which is all that can be called off; both without a word.
    pub states: Vec<String>,
    /// With this reason code.
    pub code: Option<String>,
    /// Of this goal.
    pub goal: Option<String>,
    /// Sent under this name.
    pub event_name: Option<String>,
    /// Booked at or after, RFC 3339.
    pub from: Option<String>,
    /// Booked before, RFC 3339; now by default.
    pub until: Option<String>,
    /// Only these.
    pub ids: Vec<String>,
    /// Whether it is begun; else it is only shown.
    pub apply: bool,
}

/// What it comes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplayOut {
    /// How many deliveries.
    pub deliveries: u64,
    /// How many of them have a delivery to the other destination already, or follow their sale there as adjustments do, and
    /// are left alone.
    pub already: u64,
    /// How many are left out because their conversion was rejected or reversed since.
    pub taken_back: u64,
    /// The same in groups, largest first within a state, with the codes by which they can be chosen.
    pub groups: Vec<GroupOut>,
    /// Why what is held among them is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The job, if it was begun.
    pub job: Option<JobOut>,
}

/// Deliveries alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupOut {
    /// The state; `held` for what is pending where nothing goes on.
    pub state: String,
    /// The reason code.
    pub code: Option<String>,
    /// The event's name.
    pub event_name: String,
    /// How many.
    pub count: u64,
}

/// A job as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobOut {
    /// Its id.
    pub id: String,
    /// `running`, `paused`, `cancelled`, `done`.
    pub state: String,
    /// What it does: `send`, or `cancel`.
    pub action: String,
    /// The destination whose deliveries it is about.
    pub destination: String,
    /// Which of them.
    pub filter: FilterOut,
    /// Where it sends instead.
    pub to: Option<String>,
    /// How many in a minute.
    pub per_minute: Option<u32>,
    /// How many deliveries it was about when it began.
    pub wanted: u64,
    /// How many it made due, or called off.
    pub requeued: u64,
    /// How many it left alone.
    pub skipped: u64,
    /// Who began it.
    pub author: String,
    /// When it began.
    pub created_at: String,
    /// When it last moved.
    pub updated_at: String,
}

/// Which deliveries a job is about, as it was asked for: what is not named takes all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FilterOut {
    /// In these states.
    pub states: Vec<String>,
    /// With this reason code.
    pub code: Option<String>,
    /// Of this goal.
    pub goal: Option<String>,
    /// Sent under this name.
    pub event_name: Option<String>,
    /// Booked at or after.
    pub from: Option<String>,
    /// Booked before.
    pub until: String,
    /// Only these.
    pub ids: Vec<String>,
    /// Also those whose conversion was rejected or reversed since.
    pub taken_back: bool,
}

impl From<&JobFilter> for FilterOut {
    fn from(filter: &JobFilter) -> Self {
        Self {
            states: filter.states.iter().map(|word| word.state().as_str().to_owned()).collect(),
            code: filter.code.clone(),
            goal: filter.goal.clone(),
            event_name: filter.event_name.clone(),
            from: filter.from.map(|at| at.to_string()),
            until: filter.to.to_string(),
            ids: filter.ids.iter().map(ToString::to_string).collect(),
            taken_back: filter.taken_back,
        }
    }
}

impl From<&Job> for JobOut {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.to_string(),
            state: job.state.as_str().to_owned(),
            action: job.action.as_str().to_owned(),
            destination: job.filter.destination.clone(),
            filter: FilterOut::from(&job.filter),
            to: job.to_destination.clone(),
            per_minute: job.per_minute,
            wanted: job.wanted,
            requeued: job.requeued,
            skipped: job.skipped,
            author: job.author.clone(),
            created_at: job.created_at.to_string(),
            updated_at: job.updated_at.to_string(),
        }
    }
}

impl GroupOut {
    fn new(group: &JobGroup, is_held: bool) -> Self {
        let state =
            if is_held && group.state == DeliveryState::Pending { "held" } else { group.state.as_str() };
        Self {
            state: state.to_owned(),
            code: group.reason.map(|reason| reason.code().to_owned()),
            event_name: group.event_name.clone(),
            count: group.count,
        }
    }
}

impl ReplayOut {
    /// What a job would be about, or is.
    #[must_use]
    pub fn new(preview: &JobPreview, job: Option<&Job>) -> Self {
        let groups = &preview.groups;
        let held = preview.held.filter(|_| groups.iter().any(|group| group.state == DeliveryState::Pending));
        Self {
            taken_back: preview.taken_back,
            deliveries: groups.iter().map(|group| group.count).sum(),
            already: groups.iter().map(|group| group.already).sum(),
            groups: groups.iter().map(|group| GroupOut::new(group, preview.held.is_some())).collect(),
            held: held.map(|reason| reason.code().to_owned()),
            job: job.map(JobOut::from),
        }
    }

    /// A job that the same request began before. What it was about in groups has not been written down, and would be counted
    /// differently by now.
    fn again(job: &Job) -> Self {
        let told = JobPreview { groups: Vec::new(), taken_back: 0, held: None };
        Self { deliveries: job.wanted, ..Self::new(&told, Some(job)) }
    }
}

/// Reads what is wanted; what is wrong with it as a sentence.
///
/// # Errors
/// What cannot be read.
pub fn job(wanted: &ReplayIn, now: Timestamp) -> Result<JobIn, String> {
    if wanted.destination.is_empty() {
        return Err("name the destination whose deliveries are meant".into());
    }
    let mut states = Vec::new();
    for word in &wanted.states {
        // Of one destination all that is pending is held, or nothing is.
        let named = Shown::from_word(word).map(|shown| Word::of(shown.state())).ok_or_else(|| {
            format!(
                "`{word}` is none of delivered, dead, expired and cancelled, nor pending or held with `to`"
            )
        })?;
        if !states.contains(&named) {
            states.push(named);
        }
    }
    if states.is_empty() {
        states = if wanted.to.is_some() { Word::ENDED.to_vec() } else { Word::FAILED.to_vec() };
    }
    let time = |text: &Option<String>| {
        let read = |text: &String| {
            Timestamp::parse(text)
                .ok_or_else(|| format!("`{text}` is no time; write it like 2026-11-21T10:00:00Z"))
        };
        text.as_ref().map(read).transpose()
    };
    let ids: Result<Vec<_>, String> = wanted
        .ids
        .iter()
        .map(|id| {
            id.parse()
                .map_err(|_| format!("`{id}` is no delivery's id, which is dlv_ and 26 letters and digits"))
        })
        .collect();
    // What was booked in this very moment is meant as well, what is booked later never.
    let begins = now.plus_millis(1);
    Ok(JobIn {
        action: Action::Send,
        filter: JobFilter {
            destination: wanted.destination.clone(),
            states,
            code: wanted.code.clone(),
            goal: wanted.goal.clone(),
            event_name: wanted.event_name.clone(),
            from: time(&wanted.from)?,
            to: time(&wanted.until)?.map_or(begins, |until| until.min(begins)),
            ids: ids?,
            taken_back: wanted.taken_back,
        },
        to_destination: wanted.to.clone(),
        per_minute: wanted.per_minute,
    })
}

/// The same of what is to be called off: a sale that was taken back is no reason to leave its event out.
///
/// # Errors
/// What cannot be read.
pub fn cancel_job(wanted: &CancelIn, now: Timestamp) -> Result<JobIn, String> {
    let states = match wanted.states.as_slice() {
        [] => vec!["pending".to_owned()],
        some => some.to_vec(),
    };
    let wanted = ReplayIn {
        destination: wanted.destination.clone(),
        states,
        code: wanted.code.clone(),
        goal: wanted.goal.clone(),
        event_name: wanted.event_name.clone(),
        from: wanted.from.clone(),
        until: wanted.until.clone(),
        ids: wanted.ids.clone(),
        taken_back: true,
        ..ReplayIn::default()
    };
    Ok(JobIn { action: Action::Cancel, ..job(&wanted, now)? })
}

impl From<JobError> for Refused {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Bad(problem) => bad(problem),
            JobError::Unknown(problem) => fault(Fault::NotFound, problem).into(),
            JobError::NotFound(_) => not_found(),
            JobError::Ended { .. } => fault(Fault::Conflict, error.to_string()).into(),
            JobError::Store(error) => error.into(),
        }
    }
}

/// `POST /api/v1/deliveries/replay`.
pub async fn replay(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(wanted): Json<ReplayIn>,
) -> Reply {
    let who = auth::require(&state, &headers, "deliveries:write").await?;
    let job = job(&wanted, state.engine.clock.now()).map_err(bad)?;
    answered((&state, &headers, &who), ("replay", &wanted), job, wanted.apply).await
}

/// `POST /api/v1/deliveries/cancel`.
pub async fn cancel(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(wanted): Json<CancelIn>,
) -> Reply {
    let who = auth::require(&state, &headers, "deliveries:write").await?;
    let job = cancel_job(&wanted, state.engine.clock.now()).map_err(bad)?;
    answered((&state, &headers, &who), ("cancel", &wanted), job, wanted.apply).await
}

/// The answer to a wish for a job. Under an idempotency key a job is begun once; what is only shown is shown anew each time.
async fn answered(
    (state, headers, who): (&State, &HeaderMap, &str),
    (route, wanted): (&str, &impl Serialize),
    job: JobIn,
    apply: bool,
) -> Reply {
    let Some(key) = headers.get(once::HEADER).filter(|_| apply) else {
        return Ok(Json(asked_for(&state.engine, job, apply, who, None).await?).into_response());
    };
    let json = |value: &ReplayOut| serde_json::to_string(value).expect("numbers and texts are JSON");
    let content = serde_json::to_vec(wanted).expect("what was read from JSON is JSON");
    let claimed = once::claim(state, who, key, &[route.as_bytes(), &content]).await?;
    match asked_for(&state.engine, job, apply, who, Some(claimed.under)).await {
        Ok(out) => {
            let answer = body(StatusCode::OK, "application/json", json(&out));
            Ok(claimed.keep(state, answer, true).await.into_response())
        }
        // Nothing was begun, so that the next one under this key may be mended.
        Err(error) => {
            let Refused(answer) = Refused::from(error);
            Err(claimed.keep(state, *answer, false).await.into())
        }
    }
}

/// Shows what a job would be about, and begins it if it is to be; under a request that began one before, that one.
///
/// # Errors
/// See [`JobError`].
pub async fn asked_for(
    engine: &Engine,
    job: JobIn,
    apply: bool,
    who: &str,
    under: Option<BegunUnder>,
) -> Result<ReplayOut, JobError> {
    if let Some(under) = under.filter(|_| apply)
        && let Some(begun) = engine.store.job_begun(under).await.map_err(JobError::from)?
    {
        return Ok(ReplayOut::again(&begun));
    }
    let preview = engine.preview_job(&job).await?;
    let begun = match apply {
        true => Some(engine.begin_job(job, who, under).await?),
        false => None,
    };
    Ok(ReplayOut::new(&preview, begun.as_ref()))
}

/// `GET /api/v1/deliveries/jobs`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(page): Query<PageIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let (limit, before) = (page.limit()?, page.before::<JobId>()?);
    let jobs = state.engine.store.list_jobs(before, limit).await?;
    let rows = jobs.iter().map(JobOut::from).collect();
    Ok(Json(PageOut::new(rows, limit, |row: &JobOut| row.id.clone())).into_response())
}

/// `GET /api/v1/deliveries/jobs/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let job = state.engine.store.job(id).await?.ok_or_else(not_found)?;
    Ok(Json(JobOut::from(&job)).into_response())
}

/// `POST /api/v1/deliveries/jobs/{id}/{move}`: `pause`, `resume`, `cancel`.
pub async fn change(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Path((id, word)): Path<(String, String)>,
) -> Reply {
    auth::require(&state, &headers, "deliveries:write").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let to = named(&word).ok_or_else(not_found)?;
    Ok(Json(JobOut::from(&state.engine.move_job(id, to).await?)).into_response())
}

/// Where a word of the API takes a job.
#[must_use]
pub fn named(word: &str) -> Option<JobState> {
    match word {
        "pause" => Some(JobState::Paused),
        "resume" => Some(JobState::Running),
        "cancel" => Some(JobState::Cancelled),
        _ => None,
    }
}
