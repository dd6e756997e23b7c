//! The trace for people: one hop under the other, the evidence indented below.

use crosstally_core::reason::Reason;
use crosstally_core::visit::Way;
use crosstally_http::api::browser_events::BrowserEventOut;
use crosstally_http::api::clicks::ClickOut;
use crosstally_http::api::conversions::EntryOut;
use crosstally_http::api::deliveries::AttemptOut;
use crosstally_http::api::receipts::ReceiptOut;
use crosstally_http::api::trace::{ConversionTraceOut, DeliveryTraceOut, EventOut, TraceOut};

use super::{Paint, clean, signed};

mod reread;

/// Receipts of one kind in a row that are told one by one; of more, the rest is counted.
const ALIKE_MAX: usize = 2;

struct Page<'a> {
    paint: &'a Paint,
    text: String,
}

impl Page<'_> {
    fn hop(&mut self, word: &str, rest: &str) {
        let head = self.paint.bold(&format!("{word:<9}"));
        self.text.push_str(&format!("● {head} {rest}\n"));
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(&format!("│ {:<9} {text}\n", ""));
    }

    fn fact(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let name = self.paint.dim(&format!("{name:<9}"));
            self.line(&format!("{name} {}", clean(value)));
        }
    }

    /// A line under a name whose text is clean and may be painted.
    fn painted(&mut self, name: &str, text: &str) {
        let name = self.paint.dim(&format!("{name:<9}"));
        self.line(&format!("{name} {text}"));
    }

    fn gap(&mut self) {
        self.text.push_str("│\n");
    }
}

/// The whole page.
pub(super) fn page(trace: &TraceOut, paint: &Paint) -> String {
    let mut page = Page { paint, text: String::new() };
    page.text.push_str(&format!("{} {}\n\n", paint.dim(&trace.kind), paint.bold(&clean(&trace.id))));
    if let Some(found) = &trace.click {
        click(&mut page, found);
    }
    for told in &trace.browser_events {
        browser(&mut page, told);
    }
    let unbooked: Vec<&ReceiptOut> =
        trace.receipts.iter().filter(|receipt| receipt.conversion.is_none()).collect();
    receipts(&mut page, &unbooked, None);
    for hops in &trace.conversions {
        conversion(&mut page, trace, hops);
    }
    summary(&mut page, trace);
    page.text
}

/// One receipt alone.
pub(super) fn receipt_page(found: &ReceiptOut, paint: &Paint) -> String {
    let mut page = Page { paint, text: String::new() };
    receipt(&mut page, found, None);
    page.text
}

fn browser(page: &mut Page<'_>, told: &BrowserEventOut) {
    page.hop("browser", &format!("{}  {}", told.at, page.paint.bold(&clean(&told.name))));
    page.fact("id", &told.event_id);
    page.fact("order", told.transaction_id.as_deref().unwrap_or(""));
    page.fact("page", &told.page);
    let pair = match (&told.conversion, told.pair.as_str()) {
        (Some(key), _) => format!("met: the conversion {} of {} carries this id", key.key, key.partner),
        (None, "open") => "open: no conversion carries this id so far".to_owned(),
        (None, _) => String::new(),
    };
    page.fact("pair", &pair);
    page.gap();
}

fn click(page: &mut Page<'_>, click: &ClickOut) {
    let source =
        if click.source.is_empty() { String::new() } else { format!(" from {}", clean(&click.source)) };
    let test = if click.test { page.paint.odd(" test") } else { String::new() };
    page.hop(
        "click",
        &format!("{}  campaign {}{source}{test}", click.at, page.paint.bold(&clean(&click.campaign))),
    );
    page.fact("id", &click.id);
    for (name, value) in &click.ad_click_ids {
        page.fact(name, value);
    }
    page.fact("visitor", &format!("{}  {}", click.ip.as_deref().unwrap_or("-"), click.user_agent));
    page.fact("referrer", &click.referrer);
    page.fact("query", &click.query);
    let is_direct = click.way.as_ref().is_some_and(|way| way.direct);
    page.fact(if is_direct { "on page" } else { "sent to" }, &click.target);
    if let Some(chosen) = &click.way {
        page.fact("way", &way(chosen));
    }
    for step in &click.steps {
        let full = step.instead_of.as_ref().map(|full| format!(", as {full} was full")).unwrap_or_default();
        page.fact("step", &format!("{}  to offer {}{full}", step.at, step.offer));
    }
    page.fact("cost", click.cost.as_deref().unwrap_or(""));
    if click.gpc {
        page.fact("consent", "Sec-GPC: 1");
    }
    page.gap();
}

/// What was chosen for a click, and what was looked up to choose it.
fn way(way: &Way) -> String {
    let asn = way.asn.map(|asn| asn.to_string()).unwrap_or_default();
    let returning = way.returning.map(|returning| if returning { "yes" } else { "no" });
    let known = [
        ("path", way.path.as_str()),
        ("lander", &way.lander),
        ("offer", &way.offer),
        ("instead of", &way.instead_of),
        ("country", &way.country),
        ("region", &way.region),
        ("city", &way.city),
        ("isp", &way.isp),
        ("network", &asn),
        ("device", &way.device),
        ("os", &way.os),
        ("browser", &way.browser),
        ("returning", returning.unwrap_or_default()),
    ];
    let told = known.iter().filter(|(_, value)| !value.is_empty());
    let told: Vec<String> = told.map(|(name, value)| format!("{name} {value}")).collect();
    if way.direct { "direct: the page was reached without a redirect".to_owned() } else { told.join(", ") }
}

fn verdict(paint: &Paint, word: &str) -> String {
    match word {
        "recorded" | "updated" | "delivered" => paint.good(word),
        "refused" | "dead" | "expired" => paint.bad(word),
        "quarantined" | "held" | "test" => paint.odd(word),
        _ => paint.dim(word),
    }
}

fn receipts(page: &mut Page<'_>, list: &[&ReceiptOut], hops: Option<&ConversionTraceOut>) {
    let mut at = 0;
    while let Some(&first) = list.get(at) {
        let alike = list
            .iter()
            .skip(at)
            .take_while(|other| {
                let same = other.result == first.result && other.code == first.code;
                same && other.labels == first.labels && other.goals.is_empty() && other.revision == 0
            })
            .count()
            .max(1);
        let told = if alike > ALIKE_MAX { 1 } else { alike };
        for receipt in list.iter().skip(at).take(told) {
            self::receipt(page, receipt, hops);
        }
        if alike > told
            && let Some(last) = list.get(at + alike - 1)
        {
            page.line(&page.paint.dim(&format!(
                "and {} more {} like it, until {}",
                alike - told,
                first.result,
                last.received_at
            )));
            page.gap();
        }
        at += alike;
    }
}

fn receipt(page: &mut Page<'_>, receipt: &ReceiptOut, hops: Option<&ConversionTraceOut>) {
    let code = receipt.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    page.hop("receipt", &format!("{}  {}{code}", receipt.received_at, verdict(page.paint, &receipt.result)));
    page.fact("id", &receipt.id);
    let query =
        if receipt.request.query.is_empty() { String::new() } else { format!("?{}", receipt.request.query) };
    page.fact("call", &format!("{} /postback/{}{query}", receipt.request.method, receipt.partner));
    page.fact("body", &receipt.request.body);
    page.fact("sender", &format!("{}  {}", receipt.request.peer, receipt.request.user_agent));
    let read: Vec<String> = receipt
        .read
        .iter()
        .map(|(name, value)| clean(&format!("{name} {}", value.as_str().unwrap_or_default())))
        .collect();
    reread::fill(page, "read", read.iter().map(String::as_str), " · ");
    if receipt.code.is_some() {
        page.fact("why", receipt.reason.as_deref().unwrap_or(""));
        page.fact("", &receipt.detail);
        if !matches!(receipt.result.as_str(), "duplicate" | "test" | "recorded" | "updated") {
            page.fact("fix", receipt.fix.as_deref().unwrap_or(""));
        }
    }
    reread::labels(page, receipt);
    reread::revisions(page, receipt);
    page.gap();
    let entries = hops.into_iter().flat_map(|hops| &hops.ledger);
    for entry in entries.filter(|entry| entry.receipt == receipt.id) {
        movement(page, entry);
    }
    goals(page, receipt);
}

fn movement(page: &mut Page<'_>, entry: &EntryOut) {
    let amount = entry
        .amounts
        .value
        .as_deref()
        .map_or_else(String::new, |value| format!("  {value} {}", entry.amounts.currency));
    let kind = if entry.kind == "call" { String::new() } else { format!("  ({})", entry.kind) };
    let status = page.paint.bold(&entry.status);
    page.hop("ledger", &format!("movement {}  {status}{amount}{kind}", entry.sequence));
    let mut parts = Vec::new();
    for (name, value) in [("payout", &entry.amounts.payout), ("revenue", &entry.amounts.revenue)] {
        if let Some(value) = value {
            parts.push(format!("{name} {value}"));
        }
    }
    page.fact("amounts", &parts.join(" · "));
    page.fact(
        "balance",
        &format!("confirmed {} · pending {}", signed(&entry.confirmed_delta), signed(&entry.pending_delta)),
    );
    page.fact("base", &in_base(entry));
    page.fact("happened", &entry.event_time);
    page.gap();
}

/// What a movement is in the base currency.
fn in_base(entry: &EntryOut) -> String {
    match (&entry.fx, &entry.base_confirmed_delta, &entry.base_pending_delta) {
        (Some(fx), Some(confirmed), Some(pending)) => format!(
            "confirmed {} · pending {} {} at {} of {} ({})",
            signed(confirmed),
            signed(pending),
            fx.base,
            fx.rate,
            fx.date,
            fx.source
        ),
        _ if entry.fx_pending => "waits for a rate (fx_pending)".into(),
        _ => String::new(),
    }
}

fn goals(page: &mut Page<'_>, receipt: &ReceiptOut) {
    if receipt.goals.is_empty() {
        return;
    }
    page.hop("goals", &format!("{} asked", receipt.goals.len()));
    for goal in &receipt.goals {
        let word = match goal.code.as_str() {
            "goal_met" => page.paint.good("met"),
            "goal_condition_failed" => page.paint.bad("failed"),
            "goal_already_met" => page.paint.dim("met before"),
            _ => page.paint.dim("not met"),
        };
        page.line(&format!("{} {word}  {}", page.paint.bold(&clean(&goal.goal)), clean(&goal.detail)));
    }
    page.gap();
}

fn conversion(page: &mut Page<'_>, trace: &TraceOut, hops: &ConversionTraceOut) {
    let mine: Vec<&ReceiptOut> = trace
        .receipts
        .iter()
        .filter(|receipt| receipt.conversion.as_deref() == Some(&hops.conversion.id))
        .collect();
    receipts(page, &mine, Some(hops));
    for event in &hops.events {
        self::event(page, event);
        for delivery in hops.deliveries.iter().filter(|hop| hop.delivery.event == event.id) {
            self::delivery(page, delivery);
        }
    }
}

fn event(page: &mut Page<'_>, found: &EventOut) {
    let event = &found.event;
    let value = match (&event.value, &event.currency) {
        (Some(value), Some(currency)) => format!("  {value} {currency}"),
        _ => String::new(),
    };
    page.hop(
        "event",
        &format!("{}{value}  for goal {}", page.paint.bold(&clean(&event.event_name)), clean(&found.goal)),
    );
    page.fact("id", &found.id);
    page.fact("event id", &event.event_id);
    page.fact("happened", &event.event_time.to_string());
    page.fact(
        "value",
        event.value_basis.as_deref().map(|basis| format!("value_basis: {basis}")).as_deref().unwrap_or(""),
    );
    page.fact("page", event.event_source_url.as_deref().unwrap_or(""));
    page.fact("fbc", event.visitor.fbc.as_deref().unwrap_or(""));
    let consent: Vec<String> =
        event.consent.macros().map(|(name, value)| format!("{name} {value}")).collect();
    page.fact("consent", &consent.join(" · "));
    if let Some(adjustment) = &event.adjustment {
        let part = |name: &str, text: &Option<String>| text.as_ref().map(|text| format!(", {name} {text}"));
        let parts = [part("taken back", &adjustment.taken_back), part("left", &adjustment.left)];
        let told: String = parts.into_iter().flatten().collect();
        page.fact("adjusts", &format!("{}{told}, the sale is {}", adjustment.event, event.origin.status));
    }
    page.gap();
}

fn delivery(page: &mut Page<'_>, hop: &DeliveryTraceOut) {
    let found = &hop.delivery;
    let code = found
        .code
        .as_deref()
        .filter(|code| *code != found.state)
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    page.hop(
        "delivery",
        &format!(
            "to {}  {}{code}",
            page.paint.bold(&clean(&found.destination)),
            verdict(page.paint, &found.state)
        ),
    );
    page.fact("id", &found.id);
    page.fact("consent", hop.consent.as_deref().unwrap_or(""));
    // Of several in one call some are refused, and it may be this one: that is no plain arrival.
    let in_part = found.code.as_deref() == Some(Reason::RefusedInPart.code());
    if found.state != "delivered" || in_part {
        page.fact("why", found.reason.as_deref().unwrap_or(""));
        page.fact("", &found.detail);
        page.fact("fix", found.fix.as_deref().unwrap_or(""));
        if found.state == "pending" {
            page.fact("due", &format!("{}, at the latest {}", found.due_at, found.deadline_at));
        }
    }
    for attempt in &hop.attempts {
        self::attempt(page, attempt);
    }
    page.gap();
}

fn attempt(page: &mut Page<'_>, attempt: &AttemptOut) {
    let outcome = attempt.outcome.as_deref().unwrap_or("open");
    let status = attempt.status.map_or_else(|| "no answer".to_owned(), |status| format!("answer {status}"));
    let took = attempt.duration_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
    let batch =
        if attempt.batch > 1 { format!(", with {} others", attempt.batch - 1) } else { String::new() };
    let code = attempt
        .code
        .as_deref()
        .filter(|code| *code != outcome)
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    page.line(&format!(
        "attempt {}  {}  {}{code}  {status}{took}{batch}",
        attempt.number,
        attempt.started_at,
        verdict(page.paint, outcome)
    ));
    page.fact("  call", &format!("{} {}", attempt.method, attempt.url));
    page.fact("  sent", &attempt.payload);
    page.fact("  answer", &attempt.response);
    page.fact("  said", &attempt.detail);
}

fn summary(page: &mut Page<'_>, trace: &TraceOut) {
    for hops in &trace.conversions {
        let found = &hops.conversion;
        let delivered = hops.deliveries.iter().filter(|hop| hop.delivery.state == "delivered").count();
        let line = format!(
            "{}  {}  confirmed {} {}, pending {}\n  {} movement(s), {} event(s), {delivered} of {} deliveries made",
            found.id,
            page.paint.bold(&found.status),
            found.confirmed,
            found.amounts.currency,
            found.pending,
            found.movements,
            hops.events.len(),
            hops.deliveries.len(),
        );
        page.text.push_str(&format!("= {line}\n"));
    }
    if trace.conversions.is_empty() {
        page.text.push_str("= nothing was booked\n");
    }
}
