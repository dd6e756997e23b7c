//! One page of field names: source, partner and destination, by the configuration in force.

use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_core::ids::ReceiptId;
use crosstally_core::postback::{Receipt, STRANGER};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::guarded::word;

on_both! {
    /// Each field with the names that everybody has for it, a sample of the latest calls, and what is missing.
    one_page_names_every_field_everywhere => page;
}

const MORE: &str = r#"
[[partner]]
slug = "crm"
preset = "generic"
currency = "USD"
params = { click_id = "lead_click", transaction_id = "lead" }

[[destination]]
slug = "told"
kind = "postback"
url = "https://partner.example/pb?c={click_id}&sum={payout}&t={transaction_id}"

[[campaign]]
slug = "blind"
target = "https://lander.example/p"

[[source]]
slug = "pops"
preset = "propellerads"

[[offer]]
slug = "mute"
target = "https://shop.example/p"

[[offer]]
slug = "small"
target = "https://shop.example/s?c={click_id}&mail={email}"
cap = { daily = 1, overflow = "mute" }

[[path]]
slug = "rest"
offers = { small = 1 }

[[campaign]]
slug = "many"
source = "pops"
paths = ["rest"]
"#;

fn of<'p>(row: &'p Value, part: &str, whose: &str) -> Option<&'p Value> {
    row[part].as_array()?.iter().find(|names| word(names, "of") == whose)
}

async fn page(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&format!("{CONFIG}\n{MORE}")).await?;
    let click = server.click("fbclid=1").await?;
    server
        .postback(&format!("click_id={click}&transaction_id=f-1&payout=7.50&email=marker%40mail.example"))
        .await?;
    let page = server.api("/api/v1/fields").await?;
    let rows = page["fields"].as_array().context("fields")?;
    let row = |field: &str| rows.iter().find(|row| word(row, "field") == field).context(field.to_owned());
    let names = |field: &str, part: &str, whose: &str| -> Result<Value> {
        Ok(of(row(field)?, part, whose).map(|names| names["names"].clone()).unwrap_or_default())
    };
    assert_eq!(names("click_id", "partners", "crm")?[0], json!("lead_click"), "{page}");
    assert_eq!(names("email", "destinations", "meta-main")?, json!(["user_data.em[]"]), "{page}");
    assert_eq!(names("currency", "destinations", "meta-main")?, json!(["custom_data.currency"]), "{page}");
    assert_eq!(names("fbc", "destinations", "meta-main")?, json!(["user_data.fbc"]), "{page}");
    assert_eq!(names("event_id", "destinations", "meta-main")?, json!(["event_id"]), "{page}");
    assert!(names("payout", "destinations", "told")?.to_string().contains("sum"), "{page}");
    assert!(names("click_id", "destinations", "told")?.to_string().contains('c'), "{page}");
    assert_eq!(names("fbclid", "sources", "facebook")?, json!(["fbclid"]), "{page}");
    let sample = of(row("transaction_id")?, "partners", "acme").map(|names| word(names, "sample").to_owned());
    assert_eq!(sample.as_deref(), Some("f-1"));
    assert!(!page.to_string().contains("marker"), "no contact value is a sample");
    assert!(row("event_id")?["gaps"].to_string().contains("calls of acme"), "{page}");
    assert!(page["gaps"].to_string().contains("campaign blind has no {click_id}"), "{page}");
    assert!(page["gaps"].to_string().contains("no goal sends to told"), "{page}");
    // Of a campaign with paths what its offers get, and who stands for a full one.
    assert!(page["gaps"].to_string().contains("target of offer mute has no {click_id}"), "{page}");
    assert_eq!(names("email", "sources", "pops")?, json!(["email"]), "{page}");
    assert_eq!(
        names("click_id", "sources", "pops")?,
        json!(["source_click_id"]),
        "no zones and prices: {page}"
    );
    // Calls that are none of the partner's say nothing of what it sends.
    let own = server.engine.store.list_receipts(Some("acme".into()), None, 1).await?.remove(0);
    for number in 1..=150 {
        let stranger = Receipt {
            id: ReceiptId::new(own.received_at.plus_millis(number), [9; 10]),
            read: Arc::default(),
            labels: vec![STRANGER.to_owned()],
            ..own.clone()
        };
        server.engine.store.record_receipt(stranger).await?;
    }
    let page = server.api("/api/v1/fields").await?;
    let rows = page["fields"].as_array().context("fields")?;
    let row = |field: &str| rows.iter().find(|row| word(row, "field") == field).context(field.to_owned());
    // However many came behind them, the partner's own are found, and what they lack is told.
    assert!(row("event_id")?["gaps"].to_string().contains("none of the last 1 calls of acme"), "{page}");
    let sample = of(row("transaction_id")?, "partners", "acme").map(|names| word(names, "sample").to_owned());
    assert_eq!(sample.as_deref(), Some("f-1"), "{page}");
    server.stop().await;
    Ok(())
}
