//! How visitors are sent on.

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;

use super::{STRANGER, location, server, visit};

on_both! {
    /// Every kind of redirect, with its policy, and nothing of a stranger's in a page.
    every_kind_of_redirect => redirects;
}

async fn redirects(kind: Kind) -> Result<()> {
    let mut document = String::new();
    for (slug, word) in [
        ("found", "302"),
        ("temporary", "307"),
        ("meta", "meta"),
        ("double", "double_meta"),
        ("silent", "no_referrer"),
        ("script", "js"),
    ] {
        document.push_str(&format!(
            "\n[[campaign]]\nslug = \"{slug}\"\nredirect = \"{word}\"\n\
             target = \"https://shop.example/?c={{click_id}}&s={{sub1|raw}}\"\n"
        ));
    }
    let server = server(kind, &document).await?;
    let hostile = "sub1=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E'%0D%0Ax:y";
    for (slug, status) in [("found", 302), ("temporary", 307)] {
        let reply = visit(server.tracking, &format!("/c/{slug}?{hostile}"), STRANGER).await?;
        assert_eq!((reply.status, reply.body.len()), (status, 0));
        assert!(location(&reply)?.starts_with("https://shop.example/?c="), "{slug}");
        assert_eq!(reply.header("x"), None);
    }
    for (slug, policy, referrer) in [
        ("meta", "default-src 'none';", "origin"),
        ("silent", "default-src 'none';", "no-referrer"),
        ("double", "default-src 'none';", "no-referrer"),
        ("script", "script-src 'sha256-", "origin"),
    ] {
        let reply = visit(server.tracking, &format!("/c/{slug}?{hostile}"), STRANGER).await?;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{slug}");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.header("referrer-policy"), Some(referrer), "{slug}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let said = reply.header("content-security-policy").unwrap_or_default();
        assert!(
            said.contains(policy) && said.contains("frame-ancestors 'none'") && !said.contains("unsafe"),
            "{said}"
        );
        assert!(!text.contains("alert(1)</script>") && !text.contains("<script>alert"), "{text}");
        assert_eq!(text.contains("<script>"), slug == "script", "{text}");
        assert!(location(&reply).is_err());
        if slug == "double" {
            second_page(&server, &text).await?;
        } else {
            assert!(text.contains("href=\"https://shop.example/?c="), "{text}");
        }
    }
    server.stop().await;
    Ok(())
}

/// The first page leads to a second, which leads on; nobody else can make one, and it does not last.
async fn second_page(server: &TestServer, first: &str) -> Result<()> {
    let (_, rest) = first.split_once("href=\"").context("a link")?;
    let query = rest.split('"').next().unwrap_or_default().to_owned();
    assert!(query.starts_with("?ct_to=") && !first.contains("shop.example"), "{first}");
    let metrics = || async { anyhow::Ok(client::get(server.admin, "/metrics").await?.text()) };
    let before = metrics().await?;
    let second = visit(server.tracking, &format!("/c/double{query}"), STRANGER).await?;
    assert!(second.text().contains("href=\"https://shop.example/?c="), "{}", second.text());
    assert_eq!(second.header("referrer-policy"), Some("no-referrer"));
    // Stored, spooled or lost: all of them together.
    let clicks = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("crosstally_clicks_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum::<u32>()
    };
    assert!(clicks(&before) > 0);
    assert_eq!(clicks(&before), clicks(&metrics().await?), "the second page is no click");
    let mut changed = query.clone();
    let last = changed.pop().unwrap_or('0');
    changed.push(if last == '0' { '1' } else { '0' });
    for bad in ["?ct_to=", "?ct_to=https://evil.example/", "?ct_to=00", &changed] {
        assert_eq!(visit(server.tracking, &format!("/c/double{bad}"), STRANGER).await?.status, 404, "{bad}");
    }
    // A parameter of somebody else's that begins alike is none of ours.
    for other in ["ct_token=abc", "ct_to", "ct_top&ct_to=x"] {
        let reply = visit(server.tracking, &format!("/c/double?{other}"), STRANGER).await?;
        assert_eq!((reply.status, reply.text().contains("?ct_to=")), (200, true), "{other}");
    }
    assert_eq!(clicks(&before) + 3, clicks(&metrics().await?), "each is a click");
    server.advance(3_600_001);
    assert_eq!(visit(server.tracking, &format!("/c/double{query}"), STRANGER).await?.status, 404, "long ago");
    Ok(())
}
