//! Meta's two cookies as they stand in a real cookie jar after the script has run: the recorded rows of Meta's builders, and
//! generated cases beside the builder itself.

use anyhow::{Context, Result, bail};
use crosstally_core::identity::click_cookies::ClickCookie;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use super::{drive, page, text};
use crate::browser::config;
use crate::oracle::cookies::{Asked, generated, without_own_mark};

/// One visit: where, with which click id and cookies.
struct Visit {
    host: &'static str,
    query: String,
    fbc: Option<String>,
    fbp: Option<String>,
}

async fn server() -> Result<TestServer> {
    let server = TestServer::start(Kind::Sqlite).await?;
    let sites = "\"example.com\", \"*.example.com\", \"example.co.uk\", \"*.example.co.uk\"]";
    server.apply(&config().replace("\"shop.co.uk\"]", sites)).await?;
    Ok(server)
}

/// The two cookies after each visit, each visit with a jar of its own.
async fn jars(server: &TestServer, visits: &[Visit]) -> Result<Vec<Value>> {
    let mut steps = Vec::new();
    for visit in visits {
        let (host, query) = (visit.host, &visit.query);
        let address = format!("http://{host}/?{query}");
        let site = if host.ends_with(".co.uk") { "example.co.uk" } else { "example.com" };
        steps.push(json!({"forget": format!("http://{host}")}));
        let given = [("_fbc", &visit.fbc), ("_fbp", &visit.fbp)];
        let set: Vec<Value> = given
            .iter()
            .filter_map(|(name, value)| {
                Some(json!({"name": name, "value": value.as_ref()?, "domain": format!(".{site}"), "path": "/"}))
            })
            .collect();
        if !set.is_empty() {
            steps.push(json!({"set_cookies": set}));
        }
        steps.push(json!({"goto": address}));
        steps.push(json!({"wait": "JSON.parse(localStorage._xt || '{}').d"}));
        steps.push(json!({"cookies": address}));
    }
    let script = page("", "");
    let pages = json!({"example.com": script, "www.example.com": script, "example.co.uk": script, "shop.example.co.uk": script});
    Ok(drive(server, json!({"pages": pages, "steps": steps})).await?.answers)
}

/// A value without the moment at which it was made, if that is new.
fn timeless(value: &str, old: Option<&str>) -> String {
    match ClickCookie::parse(value) {
        Some(read) if old != Some(value) => format!("fb.{}.*.{}", read.subdomain_index, read.payload),
        _ => value.to_owned(),
    }
}

#[test]
fn chromium_cookies_are_those_of_the_recorded_rows() {
    crosstally_testkit::run(async {
        let old = |payload: &str| Some(format!("fb.1.1700000000000.{payload}"));
        let long = "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk";
        let visit = |host, query: &str, fbc, fbp| Visit { host, query: query.into(), fbc, fbp };
        let rows = [
            (visit("example.com", &format!("fbclid={long}"), None, None), Some(format!("fb.1.*.{long}"))),
            // Meta's own naive split takes `co.uk` for the site; by the list of public suffixes it is not.
            (visit("example.co.uk", "fbclid=AbC", None, None), Some("fb.2.*.AbC".into())),
            (visit("shop.example.co.uk", "fbclid=AbC", None, None), Some("fb.2.*.AbC".into())),
            (visit("example.com", "fbclid=AbC", old("AbC"), old("123456789")), old("AbC")),
            (visit("example.com", "fbclid=abc", old("AbC"), old("123456789")), Some("fb.1.*.abc".into())),
            (
                visit("example.com", "fbclid=AbC", old("AbC.AQQCAQMC"), old("123456789.AQQCAQMC")),
                old("AbC.AQQCAQMC"),
            ),
            (visit("example.com", "", None, None), None),
            // A broken cookie is not ours to take away; it is not used either.
            (visit("example.com", "", old("AbC.ZZ"), old("5.ZZ")), old("AbC.ZZ")),
            (visit("example.com", "", None, Some("fb.1.abc.5".into())), None),
            (visit("example.com", "fbclid=", None, None), None),
            (visit("www.example.com", "fbclid=AbC", None, None), Some("fb.1.*.AbC".into())),
        ];
        let server = server().await?;
        let (visits, expected): (Vec<Visit>, Vec<Option<String>>) = rows.into_iter().unzip();
        let jars = jars(&server, &visits).await?;
        for ((visit, expected), jar) in visits.iter().zip(&expected).zip(&jars) {
            let site = if visit.host.ends_with(".co.uk") { ".example.co.uk " } else { ".example.com " };
            let value = |name: &str| text(jar, name).strip_prefix(site).map(str::to_owned);
            let fbc = value("/_fbc").map(|fbc| timeless(&fbc, visit.fbc.as_deref()));
            assert_eq!(&fbc, expected, "{}?{}", visit.host, visit.query);
            let fbp = value("/_fbp").context("a browser has a number")?;
            match visit.fbp.as_deref().filter(|old| ClickCookie::parse(old).is_some()) {
                Some(old) => assert_eq!(fbp, old),
                None => assert!(
                    ClickCookie::parse(&fbp).is_some_and(|made| made.payload.parse::<u32>().is_ok()),
                    "{fbp}"
                ),
            }
        }
        assert_eq!(jars.len(), expected.len());
        server.stop().await;
        Ok(())
    });
}

#[test]
fn chromium_cookies_equal_the_oracle_on_generated_visits() {
    crosstally_testkit::run(async {
        let usable = |asked: &Asked| {
            let sound = |text: &Option<String>| {
                text.as_deref().is_none_or(|text| text.is_ascii() && !text.contains([' ', '%', '+', ';']))
            };
            matches!(asked.host, "example.com" | "www.example.com")
                && sound(&asked.fbclid)
                && sound(&asked.fbc)
                && sound(&asked.fbp)
        };
        let (asked, said): (Vec<Asked>, Vec<Value>) =
            generated(1_000)?.into_iter().filter(|(asked, _)| usable(asked)).take(120).unzip();
        if asked.len() < 100 {
            bail!("only {} cases", asked.len());
        }
        let visits: Vec<Visit> = asked
            .iter()
            .map(|asked| Visit {
                host: asked.host,
                query: asked.fbclid.as_ref().map(|click| format!("fbclid={click}")).unwrap_or_default(),
                fbc: asked.fbc.clone().filter(|text| !text.is_empty()),
                fbp: asked.fbp.clone().filter(|text| !text.is_empty()),
            })
            .collect();
        let server = server().await?;
        let jars = jars(&server, &visits).await?;
        for ((visit, said), jar) in visits.iter().zip(&said).zip(&jars) {
            let value =
                |name: &str| text(jar, name).strip_prefix(".example.com ").unwrap_or_default().to_owned();
            if let Some(theirs) = said["fbc"].as_str() {
                let theirs = without_own_mark(theirs, visit.fbc.as_deref());
                // The builder takes the whole host for the cookie's domain; the script takes the owner's.
                let theirs = if visit.fbc.as_deref() == Some(theirs) {
                    theirs.to_owned()
                } else {
                    theirs.replacen("fb.2.", "fb.1.", 1)
                };
                assert_eq!(
                    timeless(&value("/_fbc"), visit.fbc.as_deref()),
                    timeless(&theirs, visit.fbc.as_deref()),
                    "{}?{} {:?}",
                    visit.host,
                    visit.query,
                    visit.fbc
                );
            }
            let theirs = without_own_mark(said["fbp"].as_str().unwrap_or_default(), visit.fbp.as_deref());
            if visit.fbp.as_deref() == Some(theirs) {
                assert_eq!(value("/_fbp"), theirs);
            } else {
                assert!(
                    ClickCookie::parse(&value("/_fbp")).is_some_and(|made| made.subdomain_index == 1),
                    "{jar}"
                );
            }
        }
        server.stop().await;
        Ok(())
    });
}
