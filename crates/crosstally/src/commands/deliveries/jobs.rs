//! `crosstally deliveries replay|cancel|jobs`.

use anyhow::Result;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_engine::jobs::{JobError, JobIn};
use crosstally_http::api::jobs::{self, CancelIn, FilterOut, JobOut, ReplayIn, ReplayOut};
use serde::Deserialize;

use crate::cli::{At, Cancelled, Replayed};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

/// Who began a job on the command line.
const AUTHOR: &str = "command line";

#[derive(Deserialize)]
struct Page {
    data: Vec<JobOut>,
}

/// Shows what would be sent once more, or begins it.
pub(super) async fn replay(which: Replayed, at: &At, json: bool) -> Result<()> {
    let only = which.only;
    let wanted = ReplayIn {
        destination: which.destination,
        states: which.state,
        code: only.code,
        goal: only.goal,
        event_name: only.event,
        from: only.from,
        until: only.until,
        ids: only.id,
        to: which.to,
        per_minute: which.per_minute,
        taken_back: which.taken_back,
        apply: which.apply,
    };
    let body = serde_json::to_vec(&wanted)?;
    let read = |now| jobs::job(&wanted, now);
    let found = asked_for(read, wanted.apply, ("replay", body), at).await?;
    if json {
        return show::json(&found);
    }
    groups(&found)?;
    if found.already > 0 {
        show::aside(&format!(
            "{} of them are on their way there already, or follow their sale there, and are left alone",
            found.already
        ))?;
    }
    if found.taken_back > 0 {
        show::aside(&format!(
            "{} more are left out: their conversions were rejected or reversed since; --taken-back sends them all the same",
            found.taken_back
        ))?;
    }
    let waiting: u64 = found
        .groups
        .iter()
        .filter(|group| matches!(group.state.as_str(), "pending" | "held"))
        .map(|group| group.count)
        .sum();
    if waiting > 0 {
        show::aside(&format!(
            "{waiting} of them wait where they are for, and stay so beside what is booked elsewhere"
        ))?;
    }
    let count = found.deliveries - found.already;
    begun(&found, &format!("{count} deliveries would be sent once more"))
}

/// Shows what would be called off, or begins it.
pub(super) async fn cancel(which: Cancelled, at: &At, json: bool) -> Result<()> {
    let only = which.only;
    let wanted = CancelIn {
        destination: which.destination,
        states: which.state,
        code: only.code,
        goal: only.goal,
        event_name: only.event,
        from: only.from,
        until: only.until,
        ids: only.id,
        apply: which.apply,
    };
    let body = serde_json::to_vec(&wanted)?;
    let read = |now| jobs::cancel_job(&wanted, now);
    let found = asked_for(read, wanted.apply, ("cancel", body), at).await?;
    if json {
        return show::json(&found);
    }
    groups(&found)?;
    begun(&found, &format!("{} deliveries would be called off", found.deliveries))
}

async fn asked_for(
    read: impl Fn(Timestamp) -> Result<JobIn, String>,
    apply: bool,
    (route, body): (&str, Vec<u8>),
    at: &At,
) -> Result<ReplayOut> {
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let job = read(engine.clock.now()).map_err(|problem| exit::with(Code::Usage, problem))?;
                jobs::asked_for(engine, job, apply, AUTHOR, None).await.map_err(told)
            })
            .await
        }
        Where::There(server) => {
            server.post(&format!("/api/v1/deliveries/{route}"), "application/json", body).await
        }
    }
}

fn groups(found: &ReplayOut) -> Result<()> {
    if let Some(code) = &found.held {
        let about = Reason::from_code(code).map(Reason::about);
        let (sentence, fix) = about.map_or(("", ""), |about| (about.sentence, about.fix));
        show::aside(&format!("what is held waits for this ({code}): {sentence} {fix}"))?;
    }
    let rows = found.groups.iter().map(|group| {
        let code = group.code.clone().unwrap_or_default();
        vec![group.state.clone(), code, group.event_name.clone(), group.count.to_string()]
    });
    show::table(&["state", "code", "event", "deliveries"], rows)
}

fn begun(found: &ReplayOut, would: &str) -> Result<()> {
    match &found.job {
        Some(job) => {
            let left_alone = match found.already {
                0 => String::new(),
                already => format!(", {already} of which it leaves alone"),
            };
            show::aside(&format!(
                "{} has begun with {} deliveries{left_alone}; a running server goes on with it: crosstally deliveries jobs {}",
                job.id, job.wanted, job.id
            ))
        }
        None => show::aside(&format!("{would}; add --apply to begin")),
    }
}

/// Shows the jobs.
pub(super) async fn list(limit: u32, at: &At, json: bool) -> Result<()> {
    let rows: Vec<JobOut> = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                Ok(engine.store.list_jobs(None, limit).await?.iter().map(JobOut::from).collect())
            })
            .await?
        }
        Where::There(server) => {
            server.get::<Page>(&format!("/api/v1/deliveries/jobs?limit={limit}")).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    table(&rows)
}

/// Shows one job, or moves it.
pub(super) async fn one(id: &str, action: Option<&str>, at: &At, json: bool) -> Result<()> {
    let unknown = || exit::with(Code::NotFound, format!("there is no job `{}`", show::clean(id)));
    let to = match action {
        None => None,
        Some(word) => Some(jobs::named(word).ok_or_else(|| {
            exit::with(Code::Usage, format!("`{}` is none of pause, resume and cancel", show::clean(word)))
        })?),
    };
    let job: JobOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let id = id.parse().map_err(|_| unknown())?;
                let job = match to {
                    None => engine.store.job(id).await?.ok_or_else(unknown)?,
                    Some(to) => engine.move_job(id, to).await.map_err(told)?,
                };
                Ok(JobOut::from(&job))
            })
            .await?
        }
        Where::There(server) => {
            let path = format!("/api/v1/deliveries/jobs/{}", escaped(id));
            match action {
                None => server.get(&path).await?,
                Some(word) => server.post(&format!("{path}/{word}"), "application/json", Vec::new()).await?,
            }
        }
    };
    if json {
        return show::json(&job);
    }
    table(&[job])
}

/// What narrows a job down, in few words.
fn which(filter: &FilterOut) -> String {
    let mut words = vec![filter.states.join(",")];
    for (name, value) in [
        ("code", &filter.code),
        ("goal", &filter.goal),
        ("event", &filter.event_name),
        ("from", &filter.from),
        ("until", &Some(filter.until.clone())),
    ] {
        words.extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    if !filter.ids.is_empty() {
        words.push(format!("{} by id", filter.ids.len()));
    }
    words.join(" ")
}

fn table(jobs: &[JobOut]) -> Result<()> {
    let rows = jobs.iter().map(|job| {
        let to = job.to.as_deref().unwrap_or(&job.destination);
        vec![
            job.id.clone(),
            job.state.clone(),
            job.action.clone(),
            job.destination.clone(),
            to.to_owned(),
            which(&job.filter),
            format!("{} of {}", job.requeued + job.skipped, job.wanted),
            job.requeued.to_string(),
            job.skipped.to_string(),
            job.created_at.clone(),
            job.author.clone(),
        ]
    });
    show::table(
        &["id", "state", "does", "from", "to", "which", "done", "moved", "left alone", "began", "by"],
        rows,
    )
}

/// A job's error with the exit code that scripts expect.
pub(super) fn told(error: JobError) -> anyhow::Error {
    match error {
        JobError::Bad(problem) => exit::with(Code::Usage, problem),
        JobError::Unknown(problem) => exit::with(Code::NotFound, problem),
        JobError::NotFound(_) => exit::with(Code::NotFound, error.to_string()),
        other => other.into(),
    }
}
