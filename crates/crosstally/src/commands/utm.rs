//! `crosstally utm build`.

use std::path::Path;

use anyhow::{Context, Result};
use crosstally_core::config::source;
use crosstally_core::tools::utm::ROWS_MAX;
use serde_json::{Map, Value, json};

use super::import::cell::{plain, written};
use super::tools::{list, run, text, told_where, verdict};
use crate::cli::{Utm, UtmBuild};
use crate::exit::{self, Code};
use crate::show;

/// The columns that are no parameters.
const COLUMNS: [&str; 8] = ["url", "preset", "source", "medium", "campaign", "term", "content", "id"];

/// Runs one of the utm commands.
pub(crate) async fn execute(command: Utm, json: bool) -> Result<()> {
    match command {
        Utm::Presets => presets(json),
        Utm::Build(wanted) => build(*wanted, json).await,
    }
}

fn presets(json: bool) -> Result<()> {
    const UTM: [&str; 6] = ["utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "utm_id"];
    if json {
        let rows: Vec<Value> = source::all()
            .iter()
            .map(|preset| {
                let own = preset.link_pairs().filter(|(name, _)| !UTM.contains(name));
                let own: Map<String, Value> =
                    own.map(|(name, value)| (name.to_owned(), value.into())).collect();
                let mut row = Map::new();
                row.insert("preset".to_owned(), preset.name.as_str().into());
                row.insert("title".to_owned(), preset.title.as_str().into());
                row.extend(UTM.map(|name| (name.to_owned(), preset.utm_value(name).into())));
                row.insert("params".to_owned(), own.into());
                Value::Object(row)
            })
            .collect();
        return show::json(&rows);
    }
    let rows = source::all().iter().map(|preset| {
        let utm = UTM.iter().skip(2).take(3).map(|name| preset.utm_value(name).to_owned());
        [preset.name.clone(), preset.title.clone()].into_iter().chain(utm).collect()
    });
    show::table(&["preset", "source", "utm_campaign", "utm_content", "utm_term"], rows)
}

async fn build(wanted: UtmBuild, json: bool) -> Result<()> {
    let (heads, rows) = match &wanted.csv {
        Some(file) => from_file(file)?,
        None => (Vec::new(), vec![one(&wanted)?]),
    };
    let answer = run("utm_build", &json!({ "rows": rows }), &wanted.at).await?;
    let links = list(&answer, "links");
    if json {
        show::json(&answer)?;
    } else if wanted.csv.is_some() {
        as_file(&heads, &rows, links)?;
        told_where(&answer)?;
    } else {
        for link in links {
            show::text(&format!("{}\n", text(link, "link")))?;
            for lint in list(link, "lints") {
                show::aside(&words(lint))?;
            }
        }
        told_where(&answer)?;
    }
    verdict(&answer, "a link must not be used so")
}

fn words(lint: &Value) -> String {
    let level = if text(lint, "is_error") == "true" { "error" } else { "note" };
    let fix = match text(lint, "fix").as_str() {
        "" => String::new(),
        fix => format!("; {fix}"),
    };
    format!("{level}: {}: {}{fix}", text(lint, "at"), text(lint, "problem"))
}

fn one(wanted: &UtmBuild) -> Result<Value> {
    let mut params = Vec::new();
    for param in &wanted.params {
        let Some((name, value)) = param.split_once('=') else {
            return Err(exit::with(Code::Usage, format!("--param {}: write NAME=VALUE", show::clean(param))));
        };
        params.push(json!([name, value]));
    }
    let of = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(json!({
        "url": of(&wanted.page), "preset": of(&wanted.preset), "source": of(&wanted.source),
        "medium": of(&wanted.medium), "campaign": of(&wanted.campaign), "term": of(&wanted.term),
        "content": of(&wanted.content), "id": of(&wanted.id), "params": params,
    }))
}

/// The file's columns, and each row as a request.
fn from_file(file: &Path) -> Result<(Vec<String>, Vec<Value>)> {
    let shown = file.display();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(file)
        .with_context(|| format!("{shown} cannot be read"))?;
    let heads: Vec<String> = reader
        .headers()
        .with_context(|| format!("{shown} is not CSV"))?
        .iter()
        .map(|head| head.trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    if !heads.iter().any(|head| head.eq_ignore_ascii_case("url")) {
        return Err(exit::with(Code::Usage, format!("{shown} has no column `url`")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("{shown} is not CSV"))?;
        if rows.len() == ROWS_MAX {
            return Err(exit::with(Code::Usage, format!("{shown} has more than {ROWS_MAX} rows; part it")));
        }
        let mut row = Map::new();
        let mut params = Vec::new();
        for (head, cell) in heads.iter().zip(&record) {
            let lower = head.to_ascii_lowercase();
            let cell = plain(cell);
            match COLUMNS.iter().find(|known| **known == lower) {
                Some(known) => drop(row.insert((*known).to_owned(), Value::from(cell))),
                None if cell.is_empty() || head.is_empty() => {}
                None => params.push(json!([head, cell])),
            }
        }
        row.insert("params".to_owned(), Value::from(params));
        rows.push(Value::Object(row));
    }
    Ok((heads, rows))
}

/// The same rows with the link and what there is to say about it.
fn as_file(heads: &[String], rows: &[Value], links: &[Value]) -> Result<()> {
    let mut out = String::new();
    let mut line = |cells: Vec<String>| {
        out.push_str(&cells.iter().map(|cell| written(cell)).collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    };
    line(heads.iter().cloned().chain(["link".to_owned(), "lints".to_owned()]).collect());
    for (row, link) in rows.iter().zip(links) {
        let param = |head: &str| {
            let params = list(row, "params").iter();
            let found = params
                .filter_map(Value::as_array)
                .find(|pair| pair.first().and_then(Value::as_str) == Some(head));
            found.and_then(|pair| pair.get(1)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut cells: Vec<String> = heads
            .iter()
            .map(|head| match row.get(head.to_ascii_lowercase()).and_then(Value::as_str) {
                Some(cell) => cell.to_owned(),
                None => param(head),
            })
            .collect();
        cells.push(link.get("link").and_then(Value::as_str).unwrap_or_default().to_owned());
        cells.push(list(link, "lints").iter().map(words).collect::<Vec<_>>().join(" | "));
        line(cells);
    }
    show::text(&out)
}
