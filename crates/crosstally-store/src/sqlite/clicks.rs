//! Clicks.

use std::net::IpAddr;
use std::sync::Arc;

use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;
use crosstally_core::postback::Awaited;
use crosstally_core::visit::Way;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, replays, rows};
use crate::{StoreError, WORKSPACE};

macro_rules! insert {
    ($column:literal, $value:literal) => {
        concat!("INSERT INTO clicks (id, workspace, at, campaign, source, query, target, ip, user_agent, referrer,
            language, fbc_cookie, fbp_cookie, ad_click_ids, cost_minor, cost_currency, gpc, test", $column, ")
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18", $value, ")
        ON CONFLICT DO NOTHING")
    };
}

const INSERT: &str = insert!("", "");
/// Those of campaigns with paths have a column more, and so have those whose address can be looked for.
const INSERT_WAY: &str = insert!(", way, in_europe", ", ?19, ?20");

/// Few clicks have labels, so that the others do not pay for the column.
const LABEL: &str = "UPDATE clicks SET labels = ?2 WHERE id = ?1";

impl Sqlite {
    pub(crate) async fn append_click(&self, click: Arc<Click>) -> Result<(), StoreError> {
        // Made here, on the caller's thread: there is only one that writes.
        let texts = Texts::of(&click);
        self.engine.write(1, move |connection| insert(connection, &click, &texts).map(drop)).await
    }

    pub(crate) async fn append_clicks(&self, clicks: Vec<Click>) -> Result<u64, StoreError> {
        let weight = clicks.len();
        let work = move |connection: &Connection| append(connection, clicks.iter());
        self.engine.write(weight, work).await
    }

    pub(crate) async fn click(&self, id: ClickId) -> Result<Option<Click>, StoreError> {
        let work = move |connection: &Connection| {
            let find = format!("SELECT {} FROM clicks WHERE id = ?1", rows::CLICK);
            Ok(connection.prepare_cached(&find)?.query_row([id.as_bytes()], rows::click).optional()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn has_clicks(&self) -> Result<bool, StoreError> {
        let work = |connection: &Connection| {
            let find = "SELECT EXISTS (SELECT 1 FROM clicks WHERE workspace = ?1)";
            Ok(connection.prepare_cached(find)?.query_row([WORKSPACE], |row| row.get(0))?)
        };
        self.engine.read(work).await
    }
}

/// Appends clicks that come late: postbacks may have overtaken them. How many are new.
pub(super) fn append<'c>(
    connection: &Connection,
    clicks: impl Iterator<Item = &'c Click>,
) -> Result<u64, StoreError> {
    let mut new = 0;
    for click in clicks {
        new += insert(connection, click, &Texts::of(click))?;
        replays::wake(connection, &Awaited::Click(click.id))?;
    }
    Ok(new)
}

/// What of a click is stored as a text of several values.
pub(super) struct Texts {
    ad_click_ids: String,
    way: Option<String>,
}

impl Texts {
    pub(super) fn of(click: &Click) -> Self {
        Self { ad_click_ids: click.ad_click_ids.to_stored(), way: click.way.as_deref().map(Way::to_stored) }
    }
}

/// 1 if the click is new, 0 if it was there.
pub(super) fn insert(connection: &Connection, click: &Click, texts: &Texts) -> Result<u64, StoreError> {
    let (four, sixteen);
    let ip: Option<&[u8]> = match click.ip {
        Some(IpAddr::V4(address)) => {
            four = address.octets();
            Some(&four)
        }
        Some(IpAddr::V6(address)) => {
            sixteen = address.octets();
            Some(&sixteen)
        }
        None => None,
    };
    let common = params![
        click.id.as_bytes(),
        WORKSPACE,
        click.at.as_millis(),
        click.campaign,
        click.source,
        click.query,
        click.target,
        ip,
        click.user_agent,
        click.referrer,
        click.language,
        click.fbc_cookie,
        click.fbp_cookie,
        texts.ad_click_ids,
        click.cost.map(|cost| cost.minor),
        click.cost.map(|cost| cost.currency.code()),
        click.gpc,
        click.test,
    ];
    let inserted = if texts.way.is_none() && click.in_europe.is_none() {
        connection.prepare_cached(INSERT)?.execute(common)?
    } else {
        let more: [&dyn rusqlite::ToSql; 2] = [&texts.way, &click.in_europe];
        let all: Vec<&dyn rusqlite::ToSql> = common.iter().copied().chain(more).collect();
        connection.prepare_cached(INSERT_WAY)?.execute(all.as_slice())?
    };
    if inserted > 0
        && let Some(labels) = rows::labels(&click.labels)?
    {
        connection.prepare_cached(LABEL)?.execute(params![click.id.as_bytes(), labels])?;
    }
    Ok(u64::from(inserted > 0))
}
