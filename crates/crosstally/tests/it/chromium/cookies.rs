//! Meta's two cookies as they stand in a real cookie jar after the script has run: the recorded rows of Meta's builders, and
//! generated cases beside the builder itself.

use anyhow::{Context, Result, bail};
use crosstally_core::identity::click_cookies::ClickCookie;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use super::{drive, page, text};
use crate::browser::config;
use crate::oracle::asked::installed;
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

/// The two cookies after each visit with our script, each visit with a jar of its own.
async fn jars(server: &TestServer, visits: &[Visit]) -> Result<Vec<Value>> {
    let script = page("", "");
    let hosts = ["example.com", "www.example.com", "example.co.uk", "shop.example.co.uk"];
    let pages = hosts.iter().map(|host| ((*host).to_owned(), json!(script))).collect();
    visited(server, visits, Value::Object(pages), "JSON.parse(localStorage._xt || '{}').d").await
}

/// The same with Meta's own script for browsers.
async fn jars_of_builder(server: &TestServer, visits: &[Visit]) -> Result<Vec<Value>> {
    let script = installed("meta-capi-param-builder-clientjs/dist/clientParamBuilder.bundle.js")?;
    let script = std::fs::read_to_string(script).context("Meta's script for browsers")?;
    let page = "<!doctype html><title>theirs</title><script src=\"/builder.js\"></script>\
                <script nonce=\"page\">clientParamBuilder.processAndCollectParams(); window.done = true</script>";
    let mut pages = serde_json::Map::new();
    for host in ["example.com", "www.example.com"] {
        pages.insert(host.to_owned(), json!(page));
        pages.insert(format!("{host}/builder.js"), json!(script));
    }
    visited(server, visits, Value::Object(pages), "window.done").await
}

async fn visited(server: &TestServer, visits: &[Visit], pages: Value, done: &str) -> Result<Vec<Value>> {
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
        steps.push(json!({"wait": done}));
        steps.push(json!({"cookies": address}));
    }
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
        let theirs = jars_of_builder(&server, &visits).await?;
        assert_eq!((jars.len(), theirs.len()), (visits.len(), visits.len()));
        let three = visits.iter().zip(&jars).zip(&theirs);
        let compared: usize = three.map(|((visit, ours), theirs)| same_as_builder(visit, ours, theirs)).sum();
        assert!(compared >= 100, "only {compared} cookies stand beside theirs");
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

/// Our jar beside that of Meta's script, but for the mark of its own that it puts behind each value, and for the number of a
/// new browser, which is chance. How many cookies were compared: those that say of themselves that they are of the domain on
/// which they are, as theirs writes a second one beside any other, and none where there was a broken value: theirs tries the
/// widest domain first, takes the broken value that it reads there for its own, and stops. Of all these their library for
/// servers has its say.
fn same_as_builder(visit: &Visit, ours: &Value, theirs: &Value) -> usize {
    let value = |jar: &Value, name: &str, given: Option<&str>| {
        let value = text(jar, name).strip_prefix(".example.com ").unwrap_or_default();
        timeless(without_browser_mark(value, given), given)
    };
    let about = format!("{}?{} {:?} {:?}: {ours} {theirs}", visit.host, visit.query, visit.fbc, visit.fbp);
    let mut compared = 0;
    for (name, given) in [("/_fbc", visit.fbc.as_deref()), ("/_fbp", visit.fbp.as_deref())] {
        let of_this_domain =
            |given| ClickCookie::parse(given).is_some_and(|known| known.subdomain_index == 1);
        if !given.is_none_or(of_this_domain) {
            continue;
        }
        compared += 1;
        let (ours, theirs) = (value(ours, name, given), value(theirs, name, given));
        let made = |value: &str| ClickCookie::parse(value).map(|made| made.subdomain_index);
        match name {
            "/_fbp" if given.is_none() => assert_eq!(made(&ours), made(&theirs), "{about}"),
            _ => assert_eq!(ours, theirs, "{name} {about}"),
        }
    }
    compared
}

/// A value without the appendix of Meta's script for browsers: format 1, language 6.
fn without_browser_mark<'v>(value: &'v str, given: Option<&str>) -> &'v str {
    match value.rsplit_once('.') {
        Some((rest, mark)) if given != Some(value) && mark.len() == 8 && mark.starts_with("AQY") => rest,
        _ => value,
    }
}
