//! What the TOML parser says, in words that tell how to mend it.

use std::collections::HashSet;

use super::findings::{Findings, Spot};

/// Notes the parser's errors, one for each line: what follows on the same line mostly follows from the first. The line
/// itself is not quoted: a secret may stand in it.
pub(super) fn note(errors: &[toml::de::Error], document: &str, found: &mut Findings<'_>) {
    let mut lines = HashSet::new();
    for error in errors {
        let at = error.span().map_or(document.len(), |span| span.start).min(document.len());
        if lines.insert(found.line(at)) {
            let spot = Spot { at, path: String::new() };
            let message: String = error.message().chars().filter(|c| !c.is_control()).take(200).collect();
            found.problem(&spot, format!("this is not TOML: {message}"), fix(&message));
        }
    }
}

fn fix(message: &str) -> &'static str {
    const FIXES: &[(&str, &str)] = &[
        (
            "duplicate key",
            "write each key once; a section that may repeat has two brackets, like [[partner]]",
        ),
        ("string values must be quoted", "put the text in double quotes"),
        ("unclosed table", "close the section's name with ]"),
        ("unclosed array table", "close the section's name with ]]"),
        ("unclosed array", "close the list with ]"),
        ("unexpected `=` in array", "close the list with ] before this line"),
        ("missing comma between array elements", "put a comma between the items, and close the list with ]"),
        ("extra comma in array", "remove the comma"),
        ("unclosed inline table", "close the table with }"),
        ("missing comma between key-value pairs", "put a comma between the keys, and close the table with }"),
        ("missing key for inline table element", "close the table with } before this line"),
        ("invalid basic string", "close the text with \""),
        ("invalid literal string", "close the text with '"),
        ("invalid multi-line basic string", "close the text with \"\"\""),
        ("invalid multi-line literal string", "close the text with '''"),
        ("missing escaped value", "write a backslash as \\\\, or put the text in single quotes"),
        ("too few unicode value digits", "write \\u with four digits"),
        ("key with no value", "write key = value"),
        ("missing value", "write key = value"),
        ("invalid unquoted key", "write key = value, the key in letters, digits, _ and - or in quotes"),
        ("unquoted keys cannot be empty", "write a key before the ="),
        ("unexpected key or value", "write each key on a line of its own"),
        ("cannot recurse further", "nest less deeply"),
        ("recursion limit", "nest less deeply"),
        ("unexpected leading zero", "remove the zero, or put the number in quotes if it is a text"),
    ];
    let found = FIXES.iter().find(|(start, _)| message.starts_with(start));
    found.map_or("write key = value; texts in double quotes, lists in [ ], tables in { }", |(_, fix)| fix)
}
