//! `crosstally import csv`: conversions from a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Read as _, Seek as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use crosstally_core::fields::FIELDS;
use crosstally_core::postback::movement::IMPORT_ROW;
use crosstally_engine::imports::ROWS_MAX;
use crosstally_http::api::imports::{ImportIn, ImportOut, ImportedOut};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::cell;
use crate::cli::At;
use crate::exit::{self, Code};
use crate::remote::{self, Where};
use crate::show;

/// Rows that go out together.
const BATCH: usize = if ROWS_MAX < 200 { ROWS_MAX } else { 200 };

/// What is to be imported.
pub(super) struct Wanted {
    pub(super) file: PathBuf,
    pub(super) partner: String,
    pub(super) map: Vec<String>,
    pub(super) dry_run: bool,
    pub(super) rejected: PathBuf,
    pub(super) from_row: u64,
}

/// A row of the file and its number, counted without the head.
struct Row {
    number: u64,
    cells: csv::StringRecord,
}

struct Import {
    wanted: Wanted,
    reader: csv::Reader<BufReader<File>>,
    /// The parameter name of each column.
    names: Vec<String>,
    /// By which the file is known again.
    digest: String,
    row: u64,
    results: BTreeMap<String, u64>,
    refused: u64,
    rejects: Option<csv::Writer<File>>,
}

/// Imports the file.
pub(super) async fn run(wanted: Wanted, at: &At, json: bool) -> Result<()> {
    let mut import = Import::open(wanted)?;
    let outcome = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                if engine.snapshot.load().partner(&import.wanted.partner).is_none() {
                    let problem = format!("no partner is called `{}`", import.wanted.partner);
                    return Err(exit::with(Code::NotFound, problem));
                }
                while let Some(batch) = import.next()? {
                    let rows = batch.iter().map(|row| import.named(row)).collect();
                    let done =
                        engine.import_rows(&import.wanted.partner, rows, import.wanted.dry_run).await?;
                    let done: Vec<ImportedOut> = done.iter().map(ImportedOut::from).collect();
                    import.note(&batch, &done)?;
                }
                Ok(())
            })
            .await
        }
        Where::There(server) => {
            async {
                while let Some(batch) = import.next()? {
                    let body = serde_json::to_vec(&ImportIn {
                        partner: import.wanted.partner.clone(),
                        rows: batch.iter().map(|row| import.named(row)).collect(),
                        dry_run: import.wanted.dry_run,
                    })?;
                    let done: ImportOut =
                        server.post("/api/v1/imports/conversions", "application/json", body).await?;
                    import.note(&batch, &done.data)?;
                }
                Ok(())
            }
            .await
        }
    };
    match outcome {
        Ok(()) => import.close(json),
        Err(error) if import.results.is_empty() => Err(error),
        Err(error) => {
            let done: u64 = import.results.values().sum::<u64>() + import.wanted.from_row;
            Err(error.context(format!("the import broke off; go on with --from-row {done}")))
        }
    }
}

impl Import {
    fn open(wanted: Wanted) -> Result<Self> {
        let unread = |error: std::io::Error| {
            exit::with(Code::NotFound, format!("{} cannot be read: {error}", wanted.file.display()))
        };
        let mut file = File::open(&wanted.file).map_err(unread)?;
        let digest = digest(&mut file).map_err(unread)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(BufReader::new(file));
        let head = reader.headers().context("the first row must name the columns")?.clone();
        let names = names(&head, &wanted.map)?;
        Ok(Self {
            wanted,
            reader,
            names,
            digest,
            row: 0,
            results: BTreeMap::new(),
            refused: 0,
            rejects: None,
        })
    }

    fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let mut batch = Vec::new();
        let mut cells = csv::StringRecord::new();
        while batch.len() < BATCH {
            match self.reader.read_record(&mut cells) {
                Ok(false) => break,
                Ok(true) => {
                    self.row += 1;
                    let wanted =
                        self.row >= self.wanted.from_row && cells.iter().any(|cell| !cell.trim().is_empty());
                    if wanted {
                        batch.push(Row { number: self.row, cells: cells.clone() });
                    }
                }
                Err(error) => {
                    self.row += 1;
                    let number = self.row;
                    self.reject(number, &csv::StringRecord::new(), "row_unreadable", &error.to_string())?;
                }
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn named(&self, row: &Row) -> Vec<(String, String)> {
        let cells = row.cells.iter().map(|text| cell::plain(text.trim()).to_owned());
        // A row of this file is booked once, however often and however much later it is imported.
        let own = (IMPORT_ROW.to_owned(), format!("{}:{}", self.digest, row.number));
        self.names.iter().cloned().zip(cells).filter(|(name, _)| name != IMPORT_ROW).chain([own]).collect()
    }

    fn note(&mut self, batch: &[Row], done: &[ImportedOut]) -> Result<()> {
        for (row, out) in batch.iter().zip(done) {
            *self.results.entry(out.result.clone()).or_default() += 1;
            if matches!(out.result.as_str(), "refused" | "quarantined") {
                self.reject(row.number, &row.cells, out.code.as_deref().unwrap_or(""), &out.detail)?;
            }
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r{} rows", self.row);
        }
        Ok(())
    }

    fn reject(&mut self, number: u64, cells: &csv::StringRecord, code: &str, detail: &str) -> Result<()> {
        self.refused += 1;
        let path = &self.wanted.rejected;
        let rejects = match &mut self.rejects {
            Some(rejects) => rejects,
            none => {
                let made = csv::WriterBuilder::new().flexible(true).from_path(path);
                let mut writer = made.with_context(|| format!("{} cannot be made", path.display()))?;
                let head = self.reader.headers()?.iter().map(str::to_owned);
                let head = head.chain(["row", "code", "detail"].map(str::to_owned));
                writer.write_record(head.map(|name| cell::safe(&name)))?;
                none.insert(writer)
            }
        };
        let own = [number.to_string(), code.to_owned(), detail.to_owned()];
        rejects.write_record(cells.iter().map(str::to_owned).chain(own).map(|text| cell::safe(&text)))?;
        Ok(())
    }

    fn close(mut self, json: bool) -> Result<()> {
        if std::io::stderr().is_terminal() && self.row > 0 {
            eprintln!();
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        let rows: u64 = self.results.values().sum();
        if json {
            show::json(&json!({ "rows": rows, "dry_run": self.wanted.dry_run, "results": self.results }))?;
        } else {
            let would = if self.wanted.dry_run { "would be " } else { "" };
            let parts: Vec<String> =
                self.results.iter().map(|(result, count)| format!("{count} {would}{result}")).collect();
            show::text(&format!("{rows} rows: {}\n", parts.join(", ")))?;
        }
        if self.refused == 0 {
            return Ok(());
        }
        let path = self.wanted.rejected.display();
        Err(exit::with(Code::Partial, format!("{} rows were not booked; they are in {path}", self.refused)))
    }
}

/// What names a file by its content; the file stands at its beginning afterwards.
fn digest(file: &mut File) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut part = [0; 16 * 1024];
    loop {
        let length = file.read(&mut part)?;
        let Some(read) = part.get(..length).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
    }
    file.rewind()?;
    Ok(digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// The parameter name of each column: our field where it is mapped, else the column's own name.
fn names(head: &csv::StringRecord, map: &[String]) -> Result<Vec<String>> {
    let columns: Vec<String> =
        head.iter().map(|name| cell::plain(name.trim_start_matches('\u{feff}').trim()).to_owned()).collect();
    let (mut names, mut taken) = (columns.clone(), BTreeSet::new());
    for pair in map {
        let Some((field, column)) = pair.split_once('=') else {
            return Err(exit::with(Code::Usage, format!("`{pair}` is not FIELD=COLUMN")));
        };
        if !FIELDS.iter().any(|known| known.name == field) {
            let known: Vec<&str> = FIELDS.iter().map(|known| known.name).collect();
            let problem = format!("`{field}` is not a field; use one of {}", known.join(", "));
            return Err(exit::with(Code::Usage, problem));
        }
        let found = columns.iter().position(|name| name.eq_ignore_ascii_case(column));
        let Some((at, name)) = found.and_then(|at| Some((at, names.get_mut(at)?))) else {
            return Err(exit::with(Code::Usage, format!("the file has no column `{column}`")));
        };
        if !taken.insert(at) {
            let problem = format!("the column `{column}` is used twice; a column is one field");
            return Err(exit::with(Code::Usage, problem));
        }
        field.clone_into(name);
    }
    Ok(names)
}
