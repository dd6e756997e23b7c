//! Line E1 of the security checklist: no link leads where the configuration does not.

use anyhow::Result;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;

use super::{LINKS, STRANGER, location_of, server, visit};

on_both! {
    /// Line E1: whatever stands in a click link, the target's host is one of the configuration's.
    e1_no_link_leads_elsewhere => elsewhere;
}

const EVIL: [&str; 9] = [
    "https://evil.example",
    "//evil.example",
    "%5C%5Cevil.example",
    "javascript:alert(1)",
    "@evil.example",
    "%0D%0ALocation:%20https://evil.example",
    "https%3A%2F%2Fevil.example",
    ".evil.example",
    "%E2%80%8B//evil.example",
];
const NAMES: [&str; 10] =
    ["url", "to", "target", "redirect", "sub1", "ct_to", "click_id", "cid", "campaign", "country"];

async fn elsewhere(kind: Kind) -> Result<()> {
    let raw = "\n[[campaign]]\nslug = \"raw\"\ntarget = \"https://raw.example/{sub1|raw}?c={click_id}&u={url|raw}\"\n";
    let server = server(kind, &format!("{LINKS}{raw}")).await?;
    let hosts = [
        "https://lander.example/",
        "https://shop.example/",
        "https://de.shop.example/",
        "https://raw.example/",
    ];
    for path in ["/c/summer", "/c/links", "/c/raw", "/o/shop", "/o/shop-de", "/c/summer&", "/c/summer/"] {
        for evil in EVIL {
            for name in NAMES {
                let asked = format!("{path}?{name}={evil}&zone=9");
                let reply = visit(server.tracking, &asked, STRANGER).await?;
                let target = location_of(&reply);
                assert!(
                    reply.status == 404 || hosts.iter().any(|host| target.starts_with(host)),
                    "{asked}: {} {target}",
                    reply.status
                );
                assert!(!target.contains(['\r', '\n', '\\']), "{asked}: {target}");
            }
        }
        // The path is no place for it either.
        for evil in ["//evil.example", "%2F%2Fevil.example", "https://evil.example"] {
            let reply = visit(server.tracking, &format!("{path}{evil}"), STRANGER).await?;
            let target = location_of(&reply);
            assert!(
                matches!(reply.status, 400 | 404) || hosts.iter().any(|host| target.starts_with(host)),
                "{path}{evil}: {} {target}",
                reply.status
            );
        }
    }
    // A host that was not meant: the answer names none of the request's.
    let request = http::Request::get("/c/summer")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example");
    let reply =
        crosstally_testkit::client::send(server.tracking, request.body(http_body_util::Full::default())?)
            .await?;
    assert!(location_of(&reply).starts_with("https://lander.example/"));
    server.stop().await;
    Ok(())
}
