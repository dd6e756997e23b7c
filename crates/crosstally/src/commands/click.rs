//! `crosstally click extract`.

use std::io::Read;

use anyhow::Result;
use crosstally_core::tools::click_extract::TEXT_BYTES_MAX;
use serde_json::{Value, json};

use super::tools::{list, run, text, told_where, verdict};
use crate::cli::Click;
use crate::show;

/// Runs one of the click commands.
pub(crate) async fn execute(command: Click, json: bool) -> Result<()> {
    let Click::Extract { text: given, at } = command;
    let mut asked = given;
    if asked == "-" {
        asked.clear();
        std::io::stdin().lock().take(u64::try_from(TEXT_BYTES_MAX)?).read_to_string(&mut asked)?;
    }
    let answer = run("click_extract", &json!({ "text": asked }), &at).await?;
    if json {
        show::json(&answer)?;
    } else {
        page(&answer)?;
        told_where(&answer)?;
    }
    verdict(&answer, "a click id is harmed, or there is none")
}

fn page(answer: &Value) -> Result<()> {
    for found in list(answer, "found") {
        let param = match (text(found, "inside").as_str(), text(found, "param")) {
            ("", param) => param,
            (inside, param) => format!("{param} within {inside}"),
        };
        show::text(&format!("{}  {}  {}\n", text(found, "condition"), text(found, "platform"), param))?;
        show::text(&format!("  {}\n", text(found, "id")))?;
        let made = text(found, "made_at");
        if !made.is_empty() {
            show::text(&format!("  made {made}\n"))?;
        }
        show::text(&format!("  {}\n", text(found, "words")))?;
        let fix = text(found, "fix");
        if !fix.is_empty() {
            show::text(&format!("  fix: {fix}\n"))?;
        }
    }
    for note in list(answer, "notes").iter().filter_map(Value::as_str) {
        show::aside(&format!("note: {note}"))?;
    }
    Ok(())
}
