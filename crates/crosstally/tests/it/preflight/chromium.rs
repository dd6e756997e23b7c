//! The page in a real Chromium: what its own script tells is what the server's event is compared with.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};
use crosstally_engine::tools::preflight::Wanted;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use serde_json::{Value, json};

use super::shop::{Fault, Shop};
use super::{POSTBACK, asked, codes, hop, start};
use crate::guarded::word;

on_both! {
    /// The page's script tells the sale; the server's event has its id, and a page that tells nothing is named.
    preflight_in_chromium_compares_what_the_page_tells => pages;
}

/// The browser of the tests, without its sandbox: they run as root.
#[expect(
    clippy::disallowed_methods,
    reason = "the test command hands over its surroundings in the environment"
)]
fn program(folder: &std::path::Path) -> Result<std::path::PathBuf> {
    let name = "CROSSTALLY_TEST_CHROMIUM";
    let chromium =
        std::env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"))?;
    let path = folder.join("browser");
    std::fs::write(&path, format!("#!/bin/sh\nexec '{chromium}' --no-sandbox \"$@\"\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

async fn pages(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    shop.reports_to(server.tracking);
    let wanted = Wanted {
        campaign: "summer".into(),
        actions: Some(2),
        postback: Some(POSTBACK.into()),
        allow_private: true,
        browser: true,
        ..Wanted::default()
    };
    assert!(server.engine.preflight(&wanted, |_| {}).await.is_err(), "no browser was given yet");
    // Nobody gives one over the API.
    let mut request = asked();
    request["browser"] = json!(true);
    let path = "/api/v1/tools/preflight/run";
    let reply = client::post_as(server.admin, path, &server.token, &request.to_string()).await?;
    assert_eq!(reply.status, 400, "{}", reply.text());
    server.engine.door.opens_pages_with(program(server.database.directory())?);
    shop.plant(Fault::Tells);
    let told = Value::Object(server.engine.preflight(&wanted, |_| {}).await?.told);
    assert_eq!((told["ok"].clone(), codes(&told)), (json!(true), vec![]), "{told:#}");
    let heard = hop(&told, "browser")?;
    assert_eq!((word(heard, "compared"), &heard["found"]["count"]), ("same", &json!(1)), "{told:#}");
    assert!(heard["notes"].to_string().contains("Purchase"), "{heard}");
    let ids: Vec<String> = server
        .accepted()
        .await?
        .iter()
        .filter_map(|row| row.pointer("/event/event_id").and_then(Value::as_str).map(str::to_owned))
        .collect();
    assert!(ids.iter().any(|id| id.len() == 32), "one event has the id that the page's script made: {ids:?}");
    shop.plant(Fault::None);
    let told = Value::Object(server.engine.preflight(&wanted, |_| {}).await?.told);
    assert_eq!(codes(&told), ["browser_refused"], "{told:#}");
    server.stop().await;
    Ok(())
}
