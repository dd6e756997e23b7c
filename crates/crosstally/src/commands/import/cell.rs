//! Cells of files that a spreadsheet opens: what it would run is marked as text, and read back as it was.

/// Signs with which a formula begins; the wide ones where a spreadsheet is set to Chinese or Japanese.
const BEGINS: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A cell that a spreadsheet does not take for a formula. [`plain`] reads it back.
pub(in crate::commands) fn safe(cell: &str) -> String {
    let acts = cell.starts_with(BEGINS) && !is_number(cell);
    if acts || is_marked(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// A cell as it was before it was made safe.
pub(in crate::commands) fn plain(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| is_marked(cell)).unwrap_or(cell)
}

/// A cell that is safe, in quotes if it needs them.
pub(in crate::commands) fn written(cell: &str) -> String {
    let cell = safe(cell);
    let needs_quotes = cell.contains([',', '"', '\n', '\r']) || cell.trim() != cell;
    if needs_quotes { quoted(&cell) } else { cell }
}

/// A text in quotes, those within it doubled.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Whether a cell is marked as text, or looks as if it were.
fn is_marked(cell: &str) -> bool {
    cell.strip_prefix('\'').is_some_and(|rest| rest.starts_with(BEGINS) || rest.starts_with('\''))
}

/// An amount below zero: nothing but digits and their marks, so that `-2+3` is none.
fn is_number(cell: &str) -> bool {
    cell.strip_prefix('-').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e2_cells_are_no_formulas_and_read_back() {
        for cell in [
            "=cmd()",
            "+1650",
            "@x",
            "-x",
            "\tx",
            "\nx",
            "'=x",
            "''",
            "'a",
            "-12.34",
            "-2+3+cmd|' /C calc'!A0",
            "-1,5",
            "\u{ff1d}1",
            "12",
            "",
            "a=b",
            "'",
            "''=x",
        ] {
            assert_eq!(plain(&safe(cell)), cell);
            assert!(!safe(cell).starts_with(BEGINS) || is_number(cell), "{cell}");
        }
        assert_eq!(safe("-12.34"), "-12.34");
        assert_eq!(safe("-2+3"), "'-2+3");
        assert_eq!(written("=HYPERLINK(\"x\",1)"), "\"'=HYPERLINK(\"\"x\"\",1)\"");
    }
}
