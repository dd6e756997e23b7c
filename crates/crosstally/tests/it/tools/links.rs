//! Links that are built, one by one and from files.

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::server::TestServer;
use serde_json::json;

use super::{ask, parsed, run};
use crate::commands::program;
use crate::guarded::word;

pub(super) async fn links(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    // The first command makes the data directory; without one a link is built all the same, and not kept.
    let bare =
        program().run(&["--json", "utm", "build", "shop.example", "--preset", "meta"], &[], directory)?;
    assert!(bare.status.success() && parsed(&bare)?["run"].is_null(), "{bare:?}");
    let link = parsed(&bare)?["links"][0]["link"].clone();
    assert!(link.as_str().is_some_and(|link| link.contains("utm_campaign={{campaign.name}}")), "{link}");
    crate::commands::configure(&database, "127.0.0.1:9".parse()?)?;
    let file = directory.join("links.csv");
    std::fs::write(
        &file,
        "url,preset,campaign,sub1\r\nhttps://shop.example/p?a=1,tiktok,spring,=cmd()\r\nnot a page,meta,,\r\n",
    )?;
    let name = file.display().to_string();
    let output = program().run(&["utm", "build", "--csv", &name], &database.flags(), directory)?;
    assert_eq!(output.status.code(), Some(6), "one row is no page");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("url,preset,campaign,sub1,link,lints"));
    let first = rows.next().context("a row")?;
    assert!(
        first.contains(
            "https://shop.example/p?a=1&utm_source=tiktok&utm_medium=paid_social&utm_campaign=spring"
        ),
        "{first}"
    );
    assert!(first.contains("utm_content=__CID_NAME__") && first.contains("sub1=%3Dcmd%28%29"), "{first}");
    assert!(first.contains(",'=cmd(),"), "E2: {first}");
    assert!(rows.next().is_some_and(|row| row.contains("not the address of a page")), "{text}");
    let listed = program().run(&["--json", "runs", "list"], &database.flags(), directory)?;
    assert_eq!(parsed(&listed)?[0]["tool"], json!("utm_build"));
    Ok(())
}

pub(super) async fn whole_links(kind: Kind) -> Result<()> {
    const PAGE: &str = "https://shop.example/p?country=US&token=page-token";
    const LINK: &str = "https://shop.example/p?country=US&token=page-token&utm_source=nl&utm_medium=email\
        &utm_campaign=spring&city={city}&email={{email}}";
    let server = TestServer::ready(kind).await?;
    let row = json!({ "url": PAGE, "source": "nl", "medium": "email", "campaign": "spring",
        "params": [["city", "{city}"], ["email", "{{email}}"]] });
    let told = ask(&server, "utm/build", &json!({ "rows": [row] })).await?;
    assert_eq!(told["links"][0]["link"], json!(LINK), "{told}");
    let words =
        ["--json", "utm", "build", PAGE, "--source", "nl", "--medium", "email", "--campaign", "spring"];
    let params = ["--param", "city={city}", "--param", "email={{email}}"];
    let of_command = parsed(&run(&server, &[&words[..], &params[..]].concat()).await?)?;
    assert_eq!(of_command["links"][0]["link"], json!(LINK), "{of_command}");
    let file = server.database.directory().join("rows.csv");
    std::fs::write(
        &file,
        format!("url,source,medium,campaign,city,email\r\n{PAGE},nl,email,spring,{{city}},{{{{email}}}}\r\n"),
    )?;
    let output = run(&server, &["utm", "build", "--csv", &file.display().to_string()]).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(LINK), "{text}");
    // Others see of it what they see of every run.
    let id = word(&told, "run");
    let shown = server.api(&format!("/api/v1/tools/runs/{id}")).await?.to_string();
    assert!(shown.contains("country=***") && !shown.contains("page-token"), "{shown}");
    let page = PAGE.replace("country=US&", "");
    let row = json!({ "url": page, "source": "nl", "medium": "email", "campaign": "spring" });
    let told = ask(&server, "utm/build", &json!({ "rows": [row] })).await?;
    assert!(word(&told["links"][0], "link").starts_with(&page), "{told}");
    let path = format!("/api/v1/tools/runs/{}/repeat", word(&told, "run"));
    let again = client::post_as(server.admin, &path, &server.token, "{}").await?.json()?;
    assert_eq!(again["ok"], json!(true), "{again}");
    assert!(again.to_string().contains("token=***") && !again.to_string().contains("page-token"), "{again}");
    server.stop().await;
    Ok(())
}
