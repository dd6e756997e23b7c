//! `crosstally redirect check|loss`.

use anyhow::Result;
use serde_json::{Value, json};

use super::hybrid::loss;
use super::tools::{list, run, text, told_where, verdict};
use crate::cli::Redirect;
use crate::show;

/// Runs one of the redirect commands.
pub(crate) async fn execute(command: Redirect, json: bool) -> Result<()> {
    let (url, hops, user_agent, allow_private, at) = match command {
        Redirect::Check { url, hops, user_agent, allow_private, at } => {
            (url, hops, user_agent, allow_private, at)
        }
        Redirect::Loss { campaign, offer, when, at } => return loss(campaign, offer, when, &at, json).await,
    };
    let mut request = json!({ "url": url, "allow_private": allow_private });
    if let Some(hops) = hops {
        request["hops_max"] = hops.into();
    }
    if let Some(agent) = user_agent {
        request["user_agent"] = agent.into();
    }
    let answer = run("redirect_check", &request, &at).await?;
    if json {
        show::json(&answer)?;
    } else {
        page(&answer)?;
        told_where(&answer)?;
    }
    verdict(&answer, "the link loses something, or does not arrive")
}

fn page(answer: &Value) -> Result<()> {
    for hop in list(answer, "hops") {
        let status = text(hop, "status");
        let status = if status.is_empty() { "no answer".to_owned() } else { status };
        let by = match text(hop, "leads_on_by").as_str() {
            "" => String::new(),
            by => format!(", leads on by {by}"),
        };
        let line = format!(
            "{}. {status} in {} ms{by}\n   {}\n",
            text(hop, "number"),
            text(hop, "time_ms"),
            text(hop, "url")
        );
        show::text(&line)?;
        for param in list(hop, "params") {
            let now = text(param, "now");
            let name = text(param, "name");
            let name = if now.is_empty() || now.eq_ignore_ascii_case(&name) {
                name
            } else {
                format!("{name} -> {now}")
            };
            show::text(&format!("   {}: {} {}\n", text(param, "fate"), name, text(param, "value")))?;
        }
        for cookie in list(hop, "cookies") {
            show::text(&format!("   cookie {} ({})\n", text(cookie, "name"), text(cookie, "attributes")))?;
        }
        for note in list(hop, "notes").iter().filter_map(Value::as_str) {
            show::text(&format!("   note: {}\n", show::clean(note)))?;
        }
    }
    for problem in list(answer, "problems") {
        let hop = text(problem, "hop");
        show::text(&format!(
            "hop {hop}: {} ({})\n  fix: {}\n",
            text(problem, "problem"),
            text(problem, "code"),
            text(problem, "fix")
        ))?;
    }
    for note in list(answer, "notes").iter().filter_map(Value::as_str) {
        show::aside(&format!("note: {note}"))?;
    }
    show::text(&format!("arrives at {} after {} ms\n", text(answer, "final_url"), text(answer, "time_ms")))
}
