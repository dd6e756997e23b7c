//! `crosstally import aliases|csv`.

use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crosstally_engine::aliases::{AliasIn, ROWS_MAX};
use crosstally_http::api::aliases::{AliasesIn, AliasesOut, RowIn};
use serde::Serialize;

use crate::cli::Import;
use crate::exit::{self, Code};
use crate::remote::{self, Remote, Where};
use crate::show;

pub(super) mod cell;
mod conversions;

/// The longest line of a file.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Runs one of the import commands.
pub(crate) async fn run(command: Import, json: bool) -> Result<()> {
    let (file, dry_run, rejected, at) = match command {
        Import::Aliases { file, dry_run, rejected, at } => (file, dry_run, rejected, at),
        Import::Csv { file, partner, map, dry_run, rejected, from_row, at } => {
            let rejected = rejected.unwrap_or_else(|| beside(&file));
            let wanted = conversions::Wanted { file, partner, map, dry_run, rejected, from_row };
            return conversions::run(wanted, &at, json).await;
        }
    };
    let rejected = rejected.unwrap_or_else(|| beside(&file));
    let mut import = Rows::open(&file, &rejected)?;
    match remote::find(&at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                while let Some(batch) = import.next()? {
                    let rows = batch
                        .rows
                        .iter()
                        .map(|row| AliasIn { alias: row.alias.clone(), click_id: row.click_id.clone() });
                    let added = engine.add_aliases(rows.collect(), dry_run).await?;
                    import.note(&batch, added.into())?;
                }
                Ok(())
            })
            .await?;
        }
        Where::There(server) => {
            while let Some(batch) = import.next()? {
                let added = ask(&server, &batch, dry_run).await?;
                import.note(&batch, added)?;
            }
        }
    }
    import.close(dry_run, json)
}

/// Where rejected rows go if nobody says otherwise.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push(".rejected.csv");
    PathBuf::from(name)
}

async fn ask(server: &Remote, batch: &Batch, dry_run: bool) -> Result<AliasesOut> {
    let aliases = batch
        .rows
        .iter()
        .map(|row| RowIn { alias: row.alias.clone(), click_id: row.click_id.clone() })
        .collect();
    let body = serde_json::to_vec(&AliasesIn { aliases, dry_run })?;
    server.post("/api/v1/aliases", "application/json", body).await
}

/// Some rows of the file.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
}

struct Row {
    line: u64,
    text: String,
    alias: String,
    click_id: String,
}

/// What became of the file.
#[derive(Debug, Default, Serialize)]
struct Sums {
    rows: u64,
    added: u64,
    known: u64,
    rejected: u64,
}

/// The file, row by row, and what was counted so far.
struct Rows {
    lines: BufReader<std::fs::File>,
    line: u64,
    sums: Sums,
    rejected: PathBuf,
    /// Opened when there is something to write.
    rejects: Option<BufWriter<std::fs::File>>,
    shows_progress: bool,
}

impl Rows {
    fn open(file: &Path, rejected: &Path) -> Result<Self> {
        let opened = std::fs::File::open(file).map_err(|error| {
            exit::with(Code::NotFound, format!("{} cannot be read: {error}", file.display()))
        })?;
        Ok(Self {
            lines: BufReader::new(opened),
            line: 0,
            sums: Sums::default(),
            rejected: rejected.to_owned(),
            rejects: None,
            shows_progress: std::io::stderr().is_terminal(),
        })
    }

    fn next(&mut self) -> Result<Option<Batch>> {
        let mut batch = Batch::default();
        while batch.rows.len() < ROWS_MAX {
            let mut bytes = Vec::new();
            if self.lines.read_until(b'\n', &mut bytes).context("the file cannot be read")? == 0 {
                break;
            }
            self.line += 1;
            let text = String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').trim().to_owned();
            if text.is_empty() || self.line == 1 && is_head(&text) {
                continue;
            }
            self.sums.rows += 1;
            match fields(&text) {
                Some((alias, click_id)) => batch.rows.push(Row { line: self.line, text, alias, click_id }),
                None => self.reject(self.line, &text, "a row has two fields, alias and click_id")?,
            }
        }
        Ok(Some(batch).filter(|batch| !batch.rows.is_empty()))
    }

    fn note(&mut self, batch: &Batch, added: AliasesOut) -> Result<()> {
        self.sums.added += added.added;
        self.sums.known += added.known;
        for rejected in added.rejected {
            if let Some(row) = batch.rows.get(rejected.row) {
                self.reject(row.line, &row.text, &rejected.problem)?;
            }
        }
        if self.shows_progress {
            eprint!("\r{} rows", self.sums.rows);
        }
        Ok(())
    }

    fn reject(&mut self, line: u64, text: &str, problem: &str) -> Result<()> {
        self.sums.rejected += 1;
        let path = &self.rejected;
        let rejects = match &mut self.rejects {
            Some(rejects) => rejects,
            none => {
                let made = std::fs::File::create(path)
                    .with_context(|| format!("{} cannot be made", path.display()))?;
                none.insert(BufWriter::new(made))
            }
        };
        let cells: Vec<String> = cells(text).iter().map(|text| cell::written(text)).collect();
        writeln!(rejects, "{},{}", cells.join(","), cell::quoted(&format!("line {line}: {problem}")))?;
        Ok(())
    }

    fn close(mut self, dry_run: bool, json: bool) -> Result<()> {
        if self.shows_progress && self.sums.rows > 0 {
            eprintln!();
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        let sums = &self.sums;
        if json {
            show::json(sums)?;
        } else {
            let would = if dry_run { "would be " } else { "" };
            show::text(&format!(
                "{} rows: {} {would}added, {} known, {} rejected\n",
                sums.rows, sums.added, sums.known, sums.rejected
            ))?;
        }
        if sums.rejected == 0 {
            return Ok(());
        }
        let problem =
            format!("{} rows were not taken; they are in {}", sums.rejected, self.rejected.display());
        Err(exit::with(Code::Partial, problem))
    }
}

fn is_head(text: &str) -> bool {
    fields(text).is_some_and(|(alias, click)| {
        alias.eq_ignore_ascii_case("alias")
            && matches!(click.to_ascii_lowercase().as_str(), "click_id" | "click" | "clickid")
    })
}

/// The cells of a row that is not taken, however many it has.
fn cells(text: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    match reader.records().next() {
        Some(Ok(record)) => record.iter().map(|text| cell::plain(text).to_owned()).collect(),
        _ => vec![text.to_owned()],
    }
}

/// The two fields of a row; a field in quotes may hold commas, and quotes that are doubled.
fn fields(text: &str) -> Option<(String, String)> {
    if text.len() > LINE_BYTES_MAX {
        return None;
    }
    let (alias, rest) = field(text)?;
    let (click, rest) = field(rest.strip_prefix(',')?)?;
    rest.is_empty().then(|| (cell::plain(&alias).to_owned(), cell::plain(&click).to_owned()))
}

fn field(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches(' ');
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        value.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Some((value, after.trim_start_matches(' '))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_spreadsheets_write_them() {
        let two = |alias: &str, click: &str| Some((alias.to_owned(), click.to_owned()));
        for (text, expected) in [
            ("a,b", two("a", "b")),
            (" a , b ", two("a", "b")),
            ("\"a,1\",\"b\"", two("a,1", "b")),
            ("\"say \"\"x\"\"\",b", two("say \"x\"", "b")),
            ("'=1+1,b", two("=1+1", "b")),
            ("a", None),
            ("a,b,c", None),
            ("\"a,b", None),
            ("\"a\"x,b", None),
        ] {
            assert_eq!(fields(text.trim()), expected, "{text}");
        }
        assert!(is_head("alias,click_id") && is_head("\"Alias\",Click_ID") && !is_head("a,b"));
    }
}
