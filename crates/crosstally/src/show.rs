//! What goes to stdout (and, with `aside`, to stderr): JSON for machines, tables and traces for people. Texts from outside are cleaned of everything
//! that could move a terminal's cursor or turn its writing around.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use crosstally_http::api::receipts::ReceiptOut;
use crosstally_http::api::trace::TraceOut;

mod trace;

/// Prints JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Prints text as it is.
pub(crate) fn text(text: &str) -> Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Says something beside the result, on stderr: stdout stays what a program can read.
pub(crate) fn aside(text: &str) -> Result<()> {
    writeln!(std::io::stderr().lock(), "{}", clean(text))?;
    Ok(())
}

/// Says how far something is, where somebody watches.
pub(crate) fn progress(text: &str) -> Result<()> {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        writeln!(err, "{}", clean(text))?;
    }
    Ok(())
}

/// Prints a table.
pub(crate) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let mut all = line(&heads);
    for row in &rows {
        all.push_str(&line(row));
    }
    text(&all)
}

/// Prints a trace.
pub(crate) fn trace(trace: &TraceOut) -> Result<()> {
    text(&trace::page(trace, &Paint::for_stdout()))
}

/// Prints a receipt.
pub(crate) fn receipt(receipt: &ReceiptOut) -> Result<()> {
    text(&trace::receipt_page(receipt, &Paint::for_stdout()))
}

/// An amount that always shows its sign.
pub(crate) fn signed(decimal: &str) -> String {
    if decimal.starts_with('-') { decimal.to_owned() } else { format!("+{decimal}") }
}

/// A text from outside, made harmless for a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c.is_control() || turns { '\u{fffd}' } else { c }
        })
        .collect()
}

/// The same for a text of several lines.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", clean(line))).collect()
}

/// Colours, where there is somebody to see them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    #[expect(clippy::disallowed_methods, reason = "NO_COLOR is a convention between terminals and programs")]
    fn for_stdout() -> Self {
        Self { on: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn odd(self, text: &str) -> String {
        self.with("33", text)
    }
}
