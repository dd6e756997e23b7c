//! `crosstally fields`.

use anyhow::Result;
use serde_json::{Value, json};

use super::tools::{list, text};
use crate::cli::At;
use crate::remote::{self, Where};
use crate::show;

/// Prints the page of field names.
pub(crate) async fn run(at: &At, as_json: bool) -> Result<()> {
    let page: Value = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| Ok(json!(engine.fields_page().await?))).await?
        }
        Where::There(server) => server.get("/api/v1/fields").await?,
    };
    if as_json {
        return show::json(&page);
    }
    let rows = list(&page, "fields").iter().map(|row| {
        vec![text(row, "field"), cell(row, "sources"), cell(row, "partners"), cell(row, "destinations")]
    });
    show::table(&["field", "in click links", "in partners' calls", "in what is sent"], rows)?;
    let of_fields = list(&page, "fields").iter().flat_map(|row| {
        let field = text(row, "field");
        list(row, "gaps").iter().filter_map(Value::as_str).map(move |gap| format!("{field}: {gap}"))
    });
    let of_all = list(&page, "gaps").iter().filter_map(Value::as_str).map(str::to_owned);
    for gap in of_all.chain(of_fields) {
        show::aside(&format!("gap: {gap}"))?;
    }
    Ok(())
}

fn cell(row: &Value, name: &str) -> String {
    let parts = list(row, name).iter().map(|names| {
        let all: Vec<&str> = list(names, "names").iter().filter_map(Value::as_str).collect();
        let sample = match text(names, "sample").as_str() {
            "" => String::new(),
            sample => format!(" = {sample}"),
        };
        format!("{}: {}{sample}", text(names, "of"), all.join(" | "))
    });
    parts.collect::<Vec<_>>().join("; ")
}
