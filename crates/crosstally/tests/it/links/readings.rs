//! What is read out of a click: its price, what its link was meant to say, who made it.

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use http_body_util::Full;

use super::{DESKTOP, STRANGER, click, config, location, server, visit};

on_both! {
    /// The price in the link is the click's cost, and fractions of a coin add up.
    the_price_in_the_link_is_the_cost => costs;
    /// Links with the mistakes that people make are read as they were meant; unfilled macros are not passed on.
    broken_links_are_read_as_they_were_meant => healing;
    /// Programs are sent on like everybody else, and their clicks say what they are.
    programs_are_labelled_and_sent_on => bots;
}

async fn costs(kind: Kind) -> Result<()> {
    let document =
        config("").replace("preset = \"meta\"", "preset = \"propellerads\"\ncost = { currency = \"EUR\" }");
    let server = server(kind, "").await?;
    server.apply(&document).await?;
    let cost = async |query: &str| {
        let id = server.click(query).await?;
        anyhow::Ok(click(&server, &id).await?["cost"].as_str().unwrap_or("none").to_owned())
    };
    assert_eq!(cost("cost=1.5").await?, "1.50 EUR");
    // Four tenths of a cent: two cents after five clicks.
    let mut cents = Vec::new();
    for _ in 0..5 {
        cents.push(cost("cost=0.004").await?);
    }
    assert_eq!(cents, ["0.00 EUR", "0.00 EUR", "0.01 EUR", "0.00 EUR", "0.01 EUR"]);
    // What is no price is not read; the campaign's own cost model holds.
    for query in ["cost=%7Bcost%7D", "cost=-1", "cost=free", "cost=", "sub1=x"] {
        assert_eq!(cost(query).await?, "0.25 USD", "{query}");
    }
    server.stop().await;
    Ok(())
}

async fn healing(kind: Kind) -> Result<()> {
    let server = server(kind, "").await?;
    for (path, meant) in [
        ("/c/summer?sub1=ad7?fbclid=IwAR2", "ad7"),
        ("/c/summer?x=1&amp;sub1=ad7&amp;fbclid=IwAR2", "ad7"),
        ("/c/summer?fbclid=IwAR2&sub1=ad7%20%20", "ad7"),
        ("/c/summer&sub1=ad7&fbclid=IwAR2", "ad7"),
        ("/c/summer%20?sub1=ad7&fbclid=IwAR2", "ad7"),
        ("/c/summer/?sub1=ad7&fbclid=IwAR2", "ad7"),
        ("/c/summer?sub1=a=b&fbclid=IwAR2", "a%3Db"),
        ("/c/summer?fbclid=IwAR2&sub1=https://x.example/?q=1", "https%3A%2F%2Fx.example%2F%3Fq%3D1"),
        ("/c/summer?fbclid=IwAR2&sub1=%7B%7Bad.id%7D%7D", ""),
    ] {
        let reply = visit(server.tracking, path, STRANGER).await?;
        let target = location(&reply)?;
        let id = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("an id")?;
        assert_eq!(target, format!("https://lander.example/p?cid={id}&s={meant}"), "{path}");
        let shown = click(&server, id).await?;
        assert_eq!(shown["ad_click_ids"]["fbclid"], "IwAR2", "{path}: {shown}");
    }
    let metrics = client::get(server.admin, "/metrics").await?.text();
    assert!(metrics.contains("crosstally_macros_unresolved_total{campaign=\"summer\"} 1"), "{metrics}");
    assert!(metrics.contains("crosstally_links_healed_total 5"), "{metrics}");
    for path in ["/c/summerx", "/c/winter&sub1=1", "/c/%20", "/c/summer/more"] {
        assert_eq!(visit(server.tracking, path, STRANGER).await?.status, 404, "{path}");
    }
    server.stop().await;
    Ok(())
}

async fn bots(kind: Kind) -> Result<()> {
    let server = server(kind, "").await?;
    let click_as = async |method: &str, headers: &[(&str, &str)]| {
        let mut request = http::Request::builder().method(method).uri("/c/summer");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = client::send(server.tracking, request.body(Full::default())?).await?;
        assert_eq!(reply.status, 302, "everybody is sent on");
        let target = location(&reply)?;
        let id = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("an id")?;
        let labels = click(&server, id).await?["labels"].clone();
        anyhow::Ok((target.replace(id, ""), serde_json::from_value::<Vec<String>>(labels)?))
    };
    let crawler = ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
    let cloud = ("x-forwarded-for", "198.51.100.4");
    // Nothing is looked at that nobody asked for.
    assert_eq!(click_as("GET", &[crawler, cloud]).await?.1, [""; 0]);
    assert_eq!(click_as("HEAD", &[("user-agent", DESKTOP)]).await?.1, ["head_request"]);
    server.apply(&config("[fraud]\nbots = true\ndata_centre_networks = [\"AS64501\"]\n")).await?;
    let person = click_as("GET", &[("user-agent", DESKTOP)]).await?;
    assert_eq!(person.1, [""; 0]);
    for (headers, labels) in [
        (&[crawler][..], &["bot_user_agent"][..]),
        (&[], &["no_user_agent"]),
        (&[("user-agent", DESKTOP), ("sec-purpose", "prefetch;prerender")], &["prefetch"]),
        (&[("user-agent", DESKTOP), ("purpose", "prefetch")], &["prefetch"]),
        (&[("user-agent", DESKTOP), cloud], &["data_centre"]),
        (&[crawler, cloud], &["bot_user_agent", "data_centre"]),
    ] {
        let (target, found) = click_as("GET", headers).await?;
        assert_eq!(found, labels, "{headers:?}");
        assert_eq!(target, person.0, "nobody is shown anything else");
    }
    // A conversion of such a click has its labels, and a goal can ask for them.
    let request = http::Request::get("/c/summer").header("user-agent", "curl/8.9.1").body(Full::default())?;
    let target = location(&client::send(server.tracking, request).await?)?;
    let id = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("an id")?;
    let answer = server.postback(&format!("click_id={id}&tid=B1&payout=5")).await?.json()?;
    let conversion = answer["conversion"].as_str().context("a conversion")?.to_owned();
    let conversion = server.api(&format!("/api/v1/conversions/{conversion}")).await?;
    assert!(conversion["labels"].to_string().contains("bot_user_agent"), "{conversion}");
    server.stop().await;
    Ok(())
}
