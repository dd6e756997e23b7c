//! A landing page to try things on: `GET /shop/{campaign}` shows the click's id, tells a lead and a sale through the
//! tracker's script, and gives the sale's id to the pixel too, which is the sandbox's own.
//!
//! Where the tracker is (`?tracker=`, this machine's port 8080 by default) and the pixel's dataset (`?pixel=`) stand in the
//! query. Nothing of it reaches the page but digits of a port and of a dataset, and a slug.

use axum::extract::{Path, RawQuery};
use axum::response::{Html, IntoResponse, Response};
use url::form_urlencoded;

use crate::problem::Problem;

const TRACKER_PORT: u16 = 8080;
const SLUG_BYTES_MAX: usize = 64;
const PIXEL_DIGITS_MAX: usize = 20;

/// `GET /shop/{campaign}`
pub(crate) async fn page(Path(campaign): Path<String>, query: RawQuery) -> Result<Response, Problem> {
    let is_slug =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if campaign.is_empty() || campaign.len() > SLUG_BYTES_MAX || !campaign.bytes().all(is_slug) {
        return Err(Problem::bad_request(
            "No such shop",
            "GET /shop/{campaign}, by a campaign's slug.".to_owned(),
        ));
    }
    let given = |name: &str| {
        let query = query.0.as_deref().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let port = given("tracker").and_then(|port| port.parse().ok()).unwrap_or(TRACKER_PORT);
    let pixel = given("pixel").filter(|pixel| {
        (1..=PIXEL_DIGITS_MAX).contains(&pixel.len()) && pixel.bytes().all(|byte| byte.is_ascii_digit())
    });
    Ok(Html(written(&campaign, port, pixel.as_deref())).into_response())
}

fn written(campaign: &str, port: u16, pixel: Option<&str>) -> String {
    PAGE.replace("CAMPAIGN", campaign)
        .replace("TRACKER", &format!("http://127.0.0.1:{port}"))
        .replace("PIXEL", pixel.unwrap_or("1234567890"))
}

const PAGE: &str = r##"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The sandbox's shop</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }
  button { font: inherit; padding: .5rem 1rem; margin-right: .5rem }
  code, pre { overflow-wrap: anywhere; white-space: pre-wrap }
</style>
<script async src="TRACKER/t.js" data-campaign="CAMPAIGN"></script>
<h1>The sandbox's shop</h1>
<p>Your click id: <code id="click">none: come through the click link</code></p>
<p><button id="lead">Ask for an offer</button><button id="buy">Buy for 12.34 USD</button></p>
<pre id="told" aria-live="polite"></pre>
<script>
  (window.crosstally = window.crosstally || []).push(function (x) {
    function say(text) { document.getElementById("told").textContent += text + "\n"; }
    var click = x.click();
    if (click) document.getElementById("click").textContent = click;
    document.getElementById("lead").onclick = function () {
      say("Lead told, event id " + x.track("Lead"));
    };
    document.getElementById("buy").onclick = function () {
      var order = "shop-" + Date.now();
      var id = x.track("Purchase", { transaction_id: order, value: "12.34", currency: "USD" });
      // The pixel of this shop, with the same id: the platform counts one.
      new Image().src = "/tr?id=PIXEL&ev=Purchase&eid=" + encodeURIComponent(id)
        + "&dl=" + encodeURIComponent(location.href);
      say("Purchase " + order + " told by script and pixel, event id " + id);
    };
  });
</script>
</html>
"##;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_of_the_query_stands_on_the_page() {
        let query = "tracker=9:%3Cscript%3E&pixel=1%22onload=x&cid=%3Cimg%3E";
        let asked = page(Path("summer".to_owned()), RawQuery(Some(query.to_owned()))).await;
        let body = axum::body::to_bytes(asked.expect("a page").into_body(), 1 << 20).await.expect("a body");
        let text = String::from_utf8(body.to_vec()).expect("text");
        assert_eq!(text, written("summer", TRACKER_PORT, None));
        assert!(text.contains(r#"src="http://127.0.0.1:8080/t.js" data-campaign="summer""#), "{text}");
        for slug in ["", "a\"b", "<x>", "UPPER"] {
            assert!(page(Path(slug.to_owned()), RawQuery(None)).await.is_err(), "{slug}");
        }
        assert!(written("summer", 9, Some("77")).contains("/tr?id=77&"));
    }
}
