//! Hop 3: what the page's script tells. Without a browser at hand its call is made as the script makes it, from the page at
//! which the visitor arrived, so that pixel and server have one id to agree on.

use crosstally_core::preflight::{Code, Hop};
use crosstally_store::StoreError;
use serde_json::{Value, json};
use url::Url;

use super::door::request;
use super::link::{AGENT, told, without_query};
use super::{Action, Gone, Run};
use crate::keys::hex_of;

impl Run<'_> {
    pub(super) async fn browser(&mut self, gone: &mut Gone) -> Result<(), StoreError> {
        let why_not = if self.campaign.sites.is_empty() {
            Some("the campaign names no `sites`: it takes no events of browsers")
        } else if self.actions.iter().all(|action| action.page.is_none()) {
            Some("no visitor arrived at a page")
        } else {
            None
        };
        if let Some(why) = why_not {
            *gone = Gone::not(why);
            return Ok(());
        }
        if self.wanted.browser {
            return self.told_by_pages(gone).await;
        }
        for at in 0..self.actions.len() {
            let Some(action) = self.actions.get(at).cloned() else { break };
            let Some(page) = action.page.clone() else { continue };
            gone.expected.add(None, None);
            if self.is_late() {
                self.too_slow(Hop::Browser);
                break;
            }
            match self.tell(&action, &page).await {
                Ok(told) => {
                    gone.found.add(None, None);
                    if let Some(action) = self.actions.get_mut(at) {
                        action.browser = Some(told);
                    }
                }
                Err(problem) => self.defect(Code::BrowserRefused, Hop::Browser, problem),
            }
        }
        Ok(())
    }

    /// What the script of each page has told by itself that the real browser opened.
    async fn told_by_pages(&mut self, gone: &mut Gone) -> Result<(), StoreError> {
        for at in 0..self.actions.len() {
            let Some(action) = self.actions.get(at).filter(|action| action.opened) else { continue };
            let (Some(click), page) = (action.click, action.page.clone().unwrap_or_default()) else {
                continue;
            };
            gone.expected.add(None, None);
            let events = self.engine.store.browser_events(click).await?;
            if events.is_empty() {
                let problem = format!("{} told nothing of its visitor", without_query(&page));
                self.defect(Code::BrowserRefused, Hop::Browser, problem);
                continue;
            }
            gone.found.add(None, None);
            let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
            gone.note(format!("the page told {}", names.join(", ")));
            let first = events.iter().filter(|event| event.is_qualified()).min_by_key(|event| event.at);
            let told = first.map(|event| (event.name.clone(), event.event_id.clone()));
            if let Some(action) = self.actions.get_mut(at) {
                action.browser = told;
            }
        }
        Ok(())
    }

    /// Tells the event of one visitor; its name and id.
    async fn tell(&self, action: &Action, page: &str) -> Result<(String, String), String> {
        let origin = Url::parse(page).ok().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let name = self.goals.first().map_or("Purchase", |goal| goal.event_name.as_str());
        let id = format!("preflight-{}", hex_of(self.engine.random.bytes::<8>()));
        let click = action.click.map(|click| click.to_string()).unwrap_or_default();
        let body = json!({
            "campaign": self.campaign.slug, "click_id": click, "page": page,
            "events": [{"name": name, "event_id": id, "page": page, "age_ms": 0, "transaction_id": action.transaction}],
        });
        let agent = self.wanted.user_agent.clone().unwrap_or_else(|| AGENT.to_owned());
        let headers = vec![
            ("content-type".to_owned(), "text/plain".to_owned()),
            ("origin".to_owned(), origin),
            ("referer".to_owned(), page.to_owned()),
            ("user-agent".to_owned(), agent),
        ];
        let url = format!("{}/e", self.base.url);
        let answer = self.base.send(&request("POST", url, headers, body.to_string().into_bytes())).await;
        let answer = answer.map_err(|error| told(&error))?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
        match (answer.status, text("result")) {
            (200, "recorded") => Ok((name.to_owned(), id)),
            (status, _) => Err(format!("an event of {page} was answered {status} {}", text("code"))),
        }
    }
}
