//! Click links: paths by rules, landers and offers. Below: `draws` (weights, caps, sticky visitors), `redirects`, `readings`
//! (prices, mistakes, programs), `hostile`.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use crosstally_http::DoorOptions;
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::{CONFIG, TestServer};
use crosstally_testkit::{mmdb, on_both};
use http_body_util::Full;
use serde_json::Value;

mod draws;
mod hostile;
mod readings;
mod redirects;

on_both! {
    /// Country, device and parameter decide; what decided is kept with the click.
    visitors_go_by_the_first_path_that_they_meet => rules;
    /// A file that is put in the place of another is taken up, a broken one is not.
    a_new_file_of_places_is_taken_up => reload;
    /// By parameter or cookie the step keeps the click and its campaign's parameters; without either it is a click itself.
    a_step_leads_from_the_lander_to_the_offer => steps;
}

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.1 Mobile/15E148 Safari/604.1";
const DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/131.0.0.0 Safari/537.36";

/// The usual partner, destination and goal with a campaign that has paths.
const LINKS: &str = r#"
[[offer]]
slug = "shop-de"
target = "https://de.shop.example/?c={click_id}&s={sub1}&g={country}&k={campaign}"

[[offer]]
slug = "shop"
target = "https://shop.example/?c={click_id}&s={sub1}&last={sub30}"

[[lander]]
slug = "quiz"
target = "https://quiz.example/?c={click_id}"

[[path]]
slug = "german-phones"
when = { country = ["DE", "AT"], device = "mobile" }
landers = { quiz = 1 }

[[path]]
slug = "germans"
when = { country = ["DE", "AT"] }
offers = { shop-de = 1 }

[[path]]
slug = "bad-zones"
condition = "has(param.zone) && param.zone in ['7', '9'] && os == 'windows'"
offers = { shop-de = 1 }

[[path]]
slug = "rest"
offers = { shop = 1 }

[[campaign]]
slug = "links"
source = "facebook"
paths = ["german-phones", "germans", "bad-zones", "rest"]
"#;

fn config(more: &str) -> String {
    format!("{CONFIG}\n{more}")
}

async fn server(kind: Kind, more: &str) -> Result<TestServer> {
    let proxied = DoorOptions { trusted_proxies: vec!["127.0.0.0/8".parse()?], ..DoorOptions::default() };
    let server = TestServer::behind(kind, proxied).await?;
    let file = server.database.directory().join("places.mmdb");
    std::fs::write(&file, places("DE"))?;
    server.engine.geo.open(&[file])?;
    server.apply(&config(more)).await?;
    Ok(server)
}

fn places(country: &str) -> Vec<u8> {
    let v4 = |text: &str| text.parse().unwrap();
    mmdb::file(&[
        (v4("203.0.113.0"), 24, mmdb::place(country, "Berlin", "Example Telecom", 64_500)),
        (v4("198.51.100.0"), 24, mmdb::place("US", "Ashburn", "Example Cloud", 64_501)),
        ("2001:db8::".parse().unwrap(), 32, mmdb::place("AT", "Vienna", "Example Kabel", 64_502)),
    ])
}

/// A visitor.
#[derive(Clone, Copy)]
struct Visitor<'a> {
    from: &'a str,
    agent: &'a str,
    cookies: &'a str,
}

const GERMAN: Visitor<'_> = Visitor { from: "203.0.113.7", agent: PHONE, cookies: "" };
const STRANGER: Visitor<'_> = Visitor { from: "192.0.2.1", agent: DESKTOP, cookies: "" };

async fn visit(at: SocketAddr, path: &str, visitor: Visitor<'_>) -> Result<Reply> {
    let request = http::Request::get(path)
        .header("user-agent", visitor.agent)
        .header("x-forwarded-for", visitor.from)
        .header("cookie", visitor.cookies);
    client::send(at, request.body(Full::<Bytes>::default())?).await
}

fn location(reply: &Reply) -> Result<String> {
    Ok(reply.header("location").with_context(|| format!("{}: {}", reply.status, reply.text()))?.to_owned())
}

fn id_in(url: &str) -> Result<String> {
    let rest = url.split(['?', '&']).find_map(|part| part.strip_prefix("c="));
    Ok(rest.with_context(|| url.to_owned())?.to_owned())
}

async fn click(server: &TestServer, id: &str) -> Result<Value> {
    let path = format!("/api/v1/clicks/{id}");
    let shown = server.api(&path).await?;
    if shown["status"].is_null() {
        return Ok(shown);
    }
    // A busy machine: the redirect did not wait for the store.
    server.engine.drain_spool().await.map_err(anyhow::Error::msg)?;
    server.api(&path).await
}

fn cookies(reply: &Reply) -> Vec<String> {
    let all = reply.headers.get_all("set-cookie").iter();
    all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

async fn rules(kind: Kind) -> Result<()> {
    let server = server(kind, LINKS).await?;
    let cases = [
        (GERMAN, "sub1=a", "https://quiz.example/?c=", "german-phones"),
        (Visitor { from: "2001:db8::9", ..GERMAN }, "sub1=a", "https://quiz.example/?c=", "german-phones"),
        (Visitor { agent: DESKTOP, ..GERMAN }, "sub1=a", "https://de.shop.example/?c=", "germans"),
        (STRANGER, "zone=9", "https://de.shop.example/?c=", "bad-zones"),
        (Visitor { agent: PHONE, ..STRANGER }, "zone=9", "https://shop.example/?c=", "rest"),
        (STRANGER, "zone=8&sub30=last", "https://shop.example/?c=", "rest"),
        (Visitor { from: "198.51.100.4", agent: "", cookies: "" }, "", "https://shop.example/?c=", "rest"),
    ];
    for (visitor, query, target, path) in cases {
        let reply = visit(server.tracking, &format!("/c/links?{query}"), visitor).await?;
        assert_eq!(reply.status, 302, "{path}: {}", reply.text());
        let location = location(&reply)?;
        assert!(location.starts_with(target), "{path}: {location}");
        let click = click(&server, &id_in(&location)?).await?;
        assert_eq!(click["way"]["path"], *path, "{click}");
        assert_eq!(click["target"], location, "{click}");
        if query.contains("sub30") {
            assert!(location.ends_with("&last=last"), "{location}");
        }
    }
    let reply = visit(server.tracking, "/c/links?sub1=x%26y", Visitor { agent: DESKTOP, ..GERMAN }).await?;
    let location = location(&reply)?;
    assert!(location.ends_with("&s=x%26y&g=DE&k=links"), "{location}");
    let way = click(&server, &id_in(&location)?).await?["way"].clone();
    let known = [("country", "DE"), ("city", "Berlin"), ("isp", "Example Telecom"), ("device", "desktop")];
    for (name, value) in
        known.into_iter().chain([("os", "windows"), ("browser", "chrome"), ("offer", "shop-de")])
    {
        assert_eq!(way[name], value, "{way}");
    }
    assert_eq!(way["asn"].to_string(), "64500");
    // A campaign with one target looks nothing up and sets no cookie.
    let plain = visit(server.tracking, "/c/summer?sub1=a", GERMAN).await?;
    assert!(cookies(&plain).is_empty() && plain.status == 302);
    let target = location_of(&plain);
    let id = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("an id")?;
    assert_eq!(click(&server, id).await?["way"], Value::Null);
    server.stop().await;
    Ok(())
}

fn location_of(reply: &Reply) -> String {
    reply.header("location").unwrap_or_default().to_owned()
}

async fn reload(kind: Kind) -> Result<()> {
    let server = server(kind, LINKS).await?;
    let file = server.database.directory().join("places.mmdb");
    let country = || server.engine.geo.place("203.0.113.7".parse().unwrap()).country;
    assert_eq!(country(), "DE");
    let mut longer = places("FR");
    longer.extend_from_slice(b"\0");
    for (bytes, is) in [(longer, "FR"), (b"broken".to_vec(), "FR"), (places("IT"), "IT")] {
        let broken = bytes.len() < 10;
        std::fs::write(&file, bytes)?;
        assert_eq!(server.engine.refresh_geo().await.is_err(), broken);
        assert_eq!(country(), is);
    }
    std::fs::remove_file(&file)?;
    assert!(server.engine.refresh_geo().await.is_err());
    assert_eq!(country(), "IT", "what was read stays in use");
    server.stop().await;
    Ok(())
}

async fn steps(kind: Kind) -> Result<()> {
    let server = server(kind, LINKS).await?;
    let reply = visit(server.tracking, "/c/links?sub1=ad7&sub30=z", GERMAN).await?;
    let id = id_in(&location(&reply)?)?;
    let cookie = cookies(&reply).into_iter().find(|one| one.starts_with("ct_click=")).context("a cookie")?;
    assert!(cookie.contains("Path=/o/;") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
    let pair = cookie.split(';').next().unwrap_or_default().to_owned();
    // By parameter, with the campaign's parameters and what was known of the way.
    let by_param = visit(server.tracking, &format!("/o/shop-de?cid={id}"), STRANGER).await?;
    let target = location(&by_param)?;
    assert_eq!(target, format!("https://de.shop.example/?c={id}&s=ad7&g=DE&k=links"));
    // By cookie; what the lander says goes before.
    server.advance(1_000);
    let with_cookie = Visitor { cookies: &pair, ..GERMAN };
    let by_cookie = visit(server.tracking, "/o/shop?sub1=own", with_cookie).await?;
    assert_eq!(location(&by_cookie)?, format!("https://shop.example/?c={id}&s=own&last=z"));
    let shown = click(&server, &id).await?;
    let offers: Vec<&str> =
        shown["steps"].as_array().into_iter().flatten().filter_map(|step| step["offer"].as_str()).collect();
    assert_eq!(offers, ["shop-de", "shop"], "{shown}");
    // What comes of it is the campaign's.
    let answer = server.postback(&format!("click_id={id}&tid=S1&payout=5")).await?.json()?;
    let conversion = answer["conversion"].as_str().context("a conversion")?.to_owned();
    let conversion = server.api(&format!("/api/v1/conversions/{conversion}")).await?;
    assert_eq!(conversion["campaign"], "links", "{conversion}");
    // Without a click, or with one that is none of ours, the offer is reached all the same.
    let mut forged = id.clone();
    forged.replace_range(3..4, if forged.get(3..4) == Some("a") { "b" } else { "a" });
    for query in [
        "",
        "?cid=",
        "?cid=%7Bclick_id%7D",
        &format!("?cid={forged}"),
        &format!("?cid={}", id.get(..20).unwrap_or_default()),
    ] {
        let lost = visit(server.tracking, &format!("/o/shop{query}"), STRANGER).await?;
        let target = location(&lost)?;
        let own = id_in(&target)?;
        assert!(target.starts_with("https://shop.example/?c=") && own != id, "{target}");
        let own = click(&server, &own).await?;
        assert_eq!(own["labels"][0], "step_without_click", "{own}");
        assert_eq!((own["campaign"].as_str(), own["way"]["offer"].as_str()), (Some(""), Some("shop")));
    }
    let unknown = visit(server.tracking, "/o/nothing", STRANGER).await?;
    assert_eq!((unknown.status, unknown.json()?["code"].as_str()), (404, Some("unknown_offer")));
    let post = client::post(server.tracking, "/o/shop", "text/plain", "").await?;
    assert_eq!(post.status, 405);
    server.stop().await;
    Ok(())
}
