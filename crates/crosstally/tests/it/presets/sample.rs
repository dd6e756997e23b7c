//! A call as a data file writes it, and what must become of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use crosstally_core::postback::Inbound;
use crosstally_core::postback::signature::{Key, Scheme};
use crosstally_core::secret::Secret;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;

/// What the test's servers hold under `ACME_TOKEN`.
const SECRET: &str = "acme-secret";

/// A call and its outcome.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// What it shows.
    pub(crate) title: String,
    /// Good, duplicate, rejected, broken or other.
    #[serde(default)]
    pub(crate) kind: String,
    /// The query; `{click}`, `{click2}` and `{click3}` stand for clicks.
    #[serde(default)]
    query: String,
    method: Option<String>,
    #[serde(default)]
    body: String,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Whether it is signed, where the contract names a scheme.
    #[serde(default = "yes")]
    pub(crate) signed: bool,
    /// Hours that pass before it.
    #[serde(default)]
    pub(crate) after_hours: i64,
    /// The HTTP status, where it is not 200, or 4xx for a refusal.
    pub(crate) http: Option<u16>,
    /// A text that the answer must contain.
    pub(crate) answer: Option<String>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// What becomes of each row, where the call has several.
    #[serde(default)]
    pub(crate) rows: Vec<Outcome>,
}

const fn yes() -> bool {
    true
}

/// What must become of a call, and how its conversion stands afterwards.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) result: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) payout: Option<String>,
    pub(crate) revenue: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) currency: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) event: Option<String>,
    /// How many movements the conversion has.
    pub(crate) movements: Option<u64>,
}

impl Sample {
    /// The outcome of each row.
    pub(crate) fn outcomes(&self) -> Vec<&Outcome> {
        if self.rows.is_empty() { vec![&self.outcome] } else { self.rows.iter().collect() }
    }

    /// The request, with these clicks, signed by this scheme.
    pub(crate) fn request(
        &self,
        partner: &str,
        clicks: &[String; 3],
        scheme: Option<Scheme>,
        now_s: i64,
    ) -> Result<Request<Full<Bytes>>> {
        let fill = |text: &str| {
            let click = &clicks[0];
            let (cut, last) = click.split_at(click.len() - 1);
            let forged = format!("{cut}{}", if last == "0" { "1" } else { "0" });
            text.replace("{click}", click)
                .replace("{click2}", &clicks[1])
                .replace("{click3}", &clicks[2])
                .replace("{cut}", cut)
                .replace("{forged}", &forged)
                .replace("{upper}", &click.to_uppercase())
        };
        // What a URL cannot hold is escaped as a sender's client would; everything else goes out as it is written.
        let query: String = fill(&self.query)
            .bytes()
            .map(|byte| match byte {
                b' '
                | b'"'
                | b'<'
                | b'>'
                | b'^'
                | b'`'
                | b'\\'
                | b'|'
                | b'{'
                | b'}'
                | b'#'
                | 0x7f..
                | ..0x20 => {
                    format!("%{byte:02X}")
                }
                byte => char::from(byte).to_string(),
            })
            .collect();
        let method = self.method.as_deref().unwrap_or(if self.body.is_empty() { "GET" } else { "POST" });
        let target = if query.is_empty() { String::new() } else { format!("?{query}") };
        let mut request = Request::builder().method(method).uri(format!("/postback/{partner}{target}"));
        if let Some(kind) = &self.content_type {
            request = request.header("content-type", kind);
        }
        for (name, value) in &self.headers {
            request = request.header(name, fill(value));
        }
        // TOML has no way to write the line ends of a multipart form but escapes, which its literal texts lack.
        let body = fill(&self.body).replace("\\r\\n", "\r\n");
        if let Some(scheme) = scheme {
            let inbound = Inbound {
                method: method.to_owned(),
                query: query.clone().into_bytes(),
                body: body.clone().into_bytes(),
                ..Inbound::default()
            };
            let key = Key::new(scheme, &Secret::new(SECRET)).context("a secret of this scheme")?;
            for (name, value) in key.headers(&inbound, &now_s.to_string(), "") {
                request = request.header(name, value);
            }
        }
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }
}
