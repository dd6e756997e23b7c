//! `crosstally erase`, `crosstally erasures`.

use anyhow::{Result, anyhow};
use crosstally_core::ids::ErasureId;
use crosstally_engine::Engine;
use crosstally_engine::erasures::SETTLE_MS;
use crosstally_http::api::erasures::{EraseError, EraseIn, EraseOut, ErasureOut, begin};
use serde::Deserialize;

use crate::cli::{Erase, Erasures};
use crate::exit::{self, Code};
use crate::remote::{self, Where};
use crate::show;

/// How often a command looks whether another process is done.
const LOOK_EVERY_MS: u64 = 200;

#[derive(Deserialize)]
struct Page {
    data: Vec<ErasureOut>,
}

/// Shows what would be erased, or erases.
pub(crate) async fn run(wanted: Erase, json: bool) -> Result<()> {
    let Erase { clicks, emails, users, apply, dry_run: _, at } = wanted;
    let asked = EraseIn { click_ids: clicks, emails, external_ids: users, apply };
    let out: EraseOut = match remote::find(&at)? {
        Where::Here(ground) => remote::here(&ground, async |engine| on_data(engine, &asked).await).await?,
        Where::There(server) => {
            server.post("/api/v1/erasures", "application/json", serde_json::to_vec(&asked)?).await?
        }
    };
    if json {
        return show::json(&out);
    }
    if let Some(erasure) = &out.erasure {
        return one(erasure);
    }
    if out.counts.is_empty() {
        show::aside("nothing here speaks of this person")?;
    }
    let rows = out.counts.iter().map(|(what, count)| vec![what.clone(), count.to_string()]);
    show::table(&["what", "records"], rows)?;
    if !out.complete {
        show::aside("only the newest records were looked at; erasing looks at all")?;
    }
    show::aside("nothing was changed; add --apply to erase, from which there is no way back")
}

/// On a data directory the command does the work itself, unless a server is faster.
async fn on_data(engine: &Engine, asked: &EraseIn) -> Result<EraseOut> {
    let mut out = begin(engine, asked, "command").await.map_err(|error| match error {
        EraseError::Bad(problem) => exit::with(Code::Usage, problem),
        EraseError::Store(error) => anyhow!(error),
    })?;
    let Some(begun) = &mut out.erasure else { return Ok(out) };
    let id: ErasureId = begun.id.parse()?;
    let settle = u64::try_from(SETTLE_MS).unwrap_or_default();
    engine.clock.sleep(settle).await;
    loop {
        engine.work_on_erasures().await?;
        let now = engine.store.erasure(id).await?;
        if let Some(done) = now.filter(|erasure| erasure.finished_at.is_some()) {
            *begun = ErasureOut::from(&done);
            return Ok(out);
        }
        engine.clock.sleep(LOOK_EVERY_MS).await;
    }
}

/// Shows requests.
pub(crate) async fn list(wanted: Erasures, json: bool) -> Result<()> {
    let Erasures { id, limit, at } = wanted;
    let missing = || exit::with(Code::NotFound, "no erasure has this id");
    let rows: Vec<ErasureOut> = match (remote::find(&at)?, &id) {
        (Where::Here(ground), Some(id)) => {
            let id: ErasureId = id.parse().map_err(|_| missing())?;
            remote::here(&ground, async |engine| {
                let found = engine.store.erasure(id).await?.ok_or_else(missing)?;
                Ok(vec![ErasureOut::from(&found)])
            })
            .await?
        }
        (Where::Here(ground), None) => {
            remote::here(&ground, async |engine| {
                let found = engine.store.list_erasures(None, limit).await?;
                Ok(found.iter().map(ErasureOut::from).collect())
            })
            .await?
        }
        (Where::There(server), Some(id)) => {
            vec![server.get(&format!("/api/v1/erasures/{}", remote::escaped(id))).await?]
        }
        (Where::There(server), None) => {
            server.get::<Page>(&format!("/api/v1/erasures?limit={limit}")).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    if let (Some(_), Some(erasure)) = (&id, rows.first()) {
        return one(erasure);
    }
    let line = |erasure: &ErasureOut| {
        let rows: u64 = erasure.counts.values().sum();
        vec![
            erasure.id.clone(),
            erasure.at.clone(),
            erasure.state.clone(),
            erasure.subject.clone(),
            rows.to_string(),
            erasure.author.clone(),
        ]
    };
    show::table(&["id", "asked", "state", "named by", "rows", "author"], rows.iter().map(line))
}

fn one(erasure: &ErasureOut) -> Result<()> {
    show::text(&format!("{} is {}\n", erasure.id, erasure.state))?;
    let head = [
        ("named by", Some(&erasure.subject)),
        ("author", Some(&erasure.author)),
        ("asked", Some(&erasure.at)),
        ("done", erasure.finished_at.as_ref()),
        ("looking at", erasure.place.as_ref()),
    ];
    let head = head.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?.clone()]));
    let counts = erasure.counts.iter().map(|(what, count)| vec![what.clone(), count.to_string()]);
    show::table(&["", ""], head.chain(counts))
}
