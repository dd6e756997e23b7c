//! `crosstally deliveries list|retry|errors|days|reconcile|overstated|replay|jobs`.

use anyhow::Result;
use crosstally_core::delivery::DeliveryState;
use crosstally_http::api::deliveries::DeliveryOut;
use crosstally_http::api::reconcile::ReconcileIn;
use crosstally_store::DeliveryFilter;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{At, Deliveries};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

mod errors;
mod jobs;
mod reconcile;

#[derive(Deserialize)]
struct Page {
    data: Vec<DeliveryOut>,
}

fn state_named(word: Option<&str>) -> Result<Option<DeliveryState>> {
    match word {
        None => Ok(None),
        Some("held") => Ok(Some(DeliveryState::Pending)),
        Some(word) => DeliveryState::from_word(word).map(Some).ok_or_else(|| {
            exit::with(Code::Usage, "--state is pending, held, delivered, dead, expired or cancelled")
        }),
    }
}

/// Runs one of the deliveries commands.
pub(crate) async fn run(command: Deliveries, json: bool) -> Result<()> {
    match command {
        Deliveries::List { destination, state, limit, at } => {
            let wanted = Wanted { id: None, destination, state };
            let mut rows = find(&wanted, limit, &at).await?;
            if let Some(word @ ("held" | "pending")) = wanted.state.as_deref() {
                rows.retain(|row| row.state == word);
            }
            list(&rows, json)
        }
        Deliveries::Retry { id, destination, state, at } => {
            if id.is_none() && destination.is_none() && state.is_none() {
                return Err(exit::with(Code::Usage, "name --id, --destination or --state"));
            }
            let requeued = retry(&Wanted { id, destination, state }, &at).await?;
            if json {
                return show::json(&json!({ "requeued": requeued }));
            }
            show::text(&format!("{requeued} deliveries are due now\n"))
        }
        Deliveries::Errors { destination, at } => errors::groups(destination.as_deref(), &at, json).await,
        Deliveries::Days { days, at } => errors::days(days, &at, json).await,
        Deliveries::Reconcile { destination, from, to, at } => {
            reconcile::run(ReconcileIn { destination, from, to }, &at, json).await
        }
        Deliveries::Overstated { at } => errors::overstated(&at, json).await,
        Deliveries::Replay { which, at } => jobs::replay(*which, &at, json).await,
        Deliveries::Jobs { id: None, limit, at, .. } => jobs::list(limit, &at, json).await,
        Deliveries::Jobs { id: Some(id), action, at, .. } => {
            jobs::one(&id, action.as_deref(), &at, json).await
        }
    }
}

/// Which deliveries, as asked for.
struct Wanted {
    id: Option<String>,
    destination: Option<String>,
    state: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Result<DeliveryFilter> {
        let id = self.id.as_deref().map(str::parse).transpose();
        Ok(DeliveryFilter {
            destination: self.destination.clone(),
            state: state_named(self.state.as_deref())?,
            id: id.map_err(|_| exit::with(Code::Usage, "--id is not a delivery's id, dlv_..."))?,
        })
    }
}

async fn find(wanted: &Wanted, limit: u32, at: &At) -> Result<Vec<DeliveryOut>> {
    let filter = wanted.filter()?;
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let found = engine.store.list_deliveries(filter, None, limit).await?;
                let held = engine.held_destinations().await?;
                let shown = |row| DeliveryOut::new(row, engine.hold_of(row, &held).as_ref());
                Ok(found.iter().map(shown).collect::<Vec<_>>())
            })
            .await
        }
        Where::There(server) => {
            let mut path = format!("/api/v1/deliveries?limit={limit}");
            for (name, value) in [("destination", &wanted.destination), ("state", &wanted.state)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{name}={}", escaped(value)));
                }
            }
            Ok(server.get::<Page>(&path).await?.data)
        }
    }
}

async fn retry(wanted: &Wanted, at: &At) -> Result<u64> {
    let filter = wanted.filter()?;
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                if let Some(slug) = &wanted.destination {
                    engine.resume_destination(slug).await?;
                }
                Ok(engine.retry_deliveries(filter).await?)
            })
            .await
        }
        Where::There(server) => {
            if let Some(slug) = &wanted.destination {
                let path = format!("/api/v1/destinations/{}/resume", escaped(slug));
                server.post::<Value>(&path, "application/json", Vec::new()).await?;
            }
            let body = json!({ "id": wanted.id, "destination": wanted.destination, "state": wanted.state });
            let body = body.to_string().into_bytes();
            let answer: Value = server.post("/api/v1/deliveries/retry", "application/json", body).await?;
            Ok(answer.get("requeued").and_then(Value::as_u64).unwrap_or(0))
        }
    }
}

fn list(rows: &[DeliveryOut], json: bool) -> Result<()> {
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.id.clone(),
            row.destination.clone(),
            row.event_name.clone(),
            row.state.clone(),
            row.attempts.to_string(),
            row.code.clone().unwrap_or_default(),
            row.due_at.clone(),
        ]
    });
    show::table(&["id", "destination", "event", "state", "attempts", "code", "due"], cells)
}
