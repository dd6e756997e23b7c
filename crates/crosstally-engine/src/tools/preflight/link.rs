//! Hop 1: the click link. Visitors with marked links come to the real door; what is stored of each click is compared with
//! what was sent.

use crosstally_core::config::source;
use crosstally_core::ids::ClickId;
use crosstally_core::params::Params;
use crosstally_core::preflight::{Code, Hop, marked};
use crosstally_core::tools::link::parts;
use crosstally_destinations::dialect::Response;
use crosstally_store::StoreError;
use url::Url;

use super::{Action, Gone, Run};
use crate::http_out::SendError;
use crate::tools::redirect_check::onward;

/// What visitors come with, unless told otherwise.
pub(super) const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
/// The parameter whose capitals are watched.
pub(super) const FBCLID: &str = "fbclid";
/// Letters and digits of a click id of ours.
const ID_SIGNS: usize = 26;
/// Pages of our own that may stand before the target.
const OWN_PAGES_MAX: usize = 2;

impl Run<'_> {
    pub(super) async fn link(&mut self, mark: &str, gone: &mut Gone) -> Result<(), StoreError> {
        for at in 0..self.actions.len() {
            gone.expected.add(None, None);
            if self.is_late() {
                self.too_slow(Hop::Link);
                break;
            }
            let Some(action) = self.actions.get(at).cloned() else { break };
            let query = marked(&self.query(&action), mark);
            let came = self.visit(&format!("/c/{}?{query}", self.campaign.slug)).await;
            let (target, cookie) = match came {
                Ok(came) => came,
                Err(problem) => {
                    self.defect(Code::LinkBroken, Hop::Link, problem);
                    break;
                }
            };
            if !self.take(at, &action, &target, cookie, gone).await? {
                break;
            }
        }
        Ok(())
    }

    /// The parameters of a click link, as its source fills them in.
    fn query(&self, action: &Action) -> String {
        let of = self.snapshot.config.sources.iter().find(|source| source.slug == self.campaign.source);
        let preset = of.and_then(|of| source::named(&of.preset));
        let number = action.number;
        let own = preset.map_or_else(String::new, |preset| {
            let value = |name: &str| format!("&{name}=preflight{number}");
            preset
                .link_params()
                .chain(preset.click_params.iter().map(String::as_str))
                .filter(|name| *name != FBCLID && *name != "sub1")
                .map(value)
                .collect()
        });
        let and = if self.wanted.params.is_empty() { "" } else { "&" };
        format!("{FBCLID}={}&sub1=preflight{number}{own}{and}{}", action.fbclid, self.wanted.params)
    }

    /// Goes to the link and on to the first page that is not ours: its URL, and the click that a cookie names.
    async fn visit(&self, path: &str) -> Result<(String, Option<ClickId>), String> {
        let agent = self.wanted.user_agent.clone().unwrap_or_else(|| AGENT.to_owned());
        let headers = vec![
            ("user-agent".to_owned(), agent),
            ("accept".to_owned(), "text/html".to_owned()),
            ("accept-language".to_owned(), "en".to_owned()),
        ];
        let mut path = path.to_owned();
        let mut cookie = None;
        for _ in 0..=OWN_PAGES_MAX {
            let answer = self.base.get(&path, headers.clone()).await.map_err(|error| told(&error))?;
            cookie = cookie.or_else(|| self.cookie(&answer));
            let body = String::from_utf8_lossy(&answer.body);
            let Some((_, target, _)) = onward(&answer, &body) else {
                let code = code_of(&body);
                return Err(format!("the link answered {}{code} and leads nowhere", answer.status));
            };
            let here = Url::parse(&format!("{}{path}", self.base.url)).ok();
            let next = here.and_then(|here| here.join(&target).ok()).ok_or("the link leads to no URL")?;
            let next = String::from(next);
            match next.strip_prefix(&self.base.url).filter(|_| self.base.is_own(&next)) {
                Some(own) if own.contains("ct_to=") => path = own.to_owned(),
                _ => return Ok((next, cookie)),
            }
        }
        Err("the link leads round".to_owned())
    }

    fn cookie(&self, answer: &Response) -> Option<ClickId> {
        let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        let value = set.filter_map(|(_, value)| value.strip_prefix("ct_click=")).next()?;
        ClickId::parse(&self.engine.click_id_key, value.split(';').next()?).ok()
    }

    /// Compares what is stored with what was sent. Whether the run may go on.
    async fn take(
        &mut self,
        at: usize,
        action: &Action,
        target: &str,
        cookie: Option<ClickId>,
        gone: &mut Gone,
    ) -> Result<bool, StoreError> {
        let named = self.ids_in(target).first().copied();
        // Whoever is not seen to be a test may be a visitor that counts, of this installation or another: nobody follows.
        let Some(id) = named.or(cookie) else {
            let page = without_query(target);
            let (code, problem) = if words_in(target).any(|word| ClickId::parse_unchecked(word).is_ok()) {
                (
                    Code::MarkIgnored,
                    format!("the link leads to {page} with a click id of another installation"),
                )
            } else {
                (Code::ClickIdDropped, format!("the link leads to {page} without the click id"))
            };
            self.defect(code, Hop::Link, problem);
            return Ok(false);
        };
        let Some(click) = self.engine.store.click(id).await? else {
            self.defect(Code::ClickNotKept, Hop::Link, format!("click {id} is not stored"));
            return Ok(false);
        };
        if !click.test {
            self.defect(Code::MarkIgnored, Hop::Link, "the link's clicks are not marked as tests");
            return Ok(false);
        }
        self.compare(
            Hop::Link,
            &action.fbclid,
            click.ad_click_ids.get(FBCLID).unwrap_or_default(),
            "is stored",
        );
        let params = Params::parse(parts(target).all().as_bytes()).unwrap_or_default();
        if let Some(passed) = params.get_ignoring_case(FBCLID) {
            self.compare(Hop::Link, &action.fbclid, passed, "is passed to the page");
        }
        if let Some(way) = click.way.as_ref().filter(|way| !way.instead_of.is_empty()) {
            let problem =
                format!("the cap of offer `{}` is hit: visitors go to `{}`", way.instead_of, way.offer);
            self.defect(Code::CapReached, Hop::Link, problem);
        }
        if let Some(action) = self.actions.get_mut(at) {
            (action.click, action.target) = (Some(id), Some(target.to_owned()));
        }
        gone.found.add(None, None);
        Ok(true)
    }

    /// Names what was done to an ad click id.
    fn compare(&mut self, hop: Hop, sent: &str, found: &str, where_to: &str) {
        if found == sent {
            return;
        }
        if found == sent.to_ascii_lowercase() {
            let problem = format!("`{FBCLID}` {where_to} in lower case");
            self.defect(Code::ClickIdLowerCased, hop, problem);
        } else {
            let problem = if found.is_empty() {
                format!("`{FBCLID}` is lost before it {where_to}")
            } else {
                format!("`{FBCLID}` {where_to} with another value")
            };
            self.defect(Code::ClickIdHarmed, hop, problem);
        }
    }

    /// Our click ids anywhere in a URL.
    pub(super) fn ids_in(&self, url: &str) -> Vec<ClickId> {
        words_in(url).filter_map(|word| ClickId::parse(&self.engine.click_id_key, word).ok()).collect()
    }
}

/// Words of a URL that are as long as a click id of ours.
fn words_in(url: &str) -> impl Iterator<Item = &str> {
    url.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|word| word.len() == ID_SIGNS)
}

pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// The reason code of an answer of ours, in brackets.
fn code_of(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let code = problem.get("code").and_then(serde_json::Value::as_str);
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

pub(super) fn told(error: &SendError) -> String {
    format!("there is no answer: {}", error.detail)
}
