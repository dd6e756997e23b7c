//! Sends calls and compares what became of them with what was asked for.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use crosstally_core::postback::signature::Scheme;
use crosstally_engine::clock::Clock as _;
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::server::TestServer;
use serde_json::Value;

use super::sample::{Outcome, Sample};

const HOUR_MS: i64 = 3_600_000;

/// A server with what was sent to it so far.
pub(crate) struct Bench {
    server: TestServer,
    calls: usize,
    /// How many rows came to what, by partner and result.
    counted: BTreeMap<(String, String), u64>,
    deviations: Vec<String>,
}

/// What the server says about one row.
#[derive(Debug, Default)]
struct Told {
    result: String,
    code: Option<String>,
    conversion: Option<String>,
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn told(row: &Value) -> Told {
    Told {
        result: text(row, "/result").unwrap_or_default(),
        code: text(row, "/code"),
        conversion: text(row, "/conversion"),
    }
}

impl Bench {
    pub(crate) fn new(server: TestServer) -> Self {
        Self { server, calls: 0, counted: BTreeMap::new(), deviations: Vec::new() }
    }

    /// Sends a partner's calls in order, about three clicks of its own.
    pub(crate) async fn run(
        &mut self,
        partner: &str,
        scheme: Option<Scheme>,
        calls: &[Sample],
    ) -> Result<()> {
        let mut clicks = [String::new(), String::new(), String::new()];
        for (at, click) in clicks.iter_mut().enumerate() {
            *click = self.server.click(&format!("fbclid={partner}-{at}")).await?;
        }
        for call in calls {
            // Receipts are ordered by time: one that is asked for as the newest must be it.
            self.server.advance(1 + call.after_hours * HOUR_MS);
            let now = self.server.clock.now().as_millis() / 1000;
            let request = call.request(partner, &clicks, scheme.filter(|_| call.signed), now)?;
            let reply = client::send(self.server.tracking, request).await?;
            self.calls += 1;
            let found = self.judge(partner, call, &reply).await?;
            let shown = format!("{partner}: {}", call.title);
            self.deviations.extend(found.into_iter().map(|deviation| format!("{shown}: {deviation}")));
        }
        Ok(())
    }

    async fn judge(&mut self, partner: &str, call: &Sample, reply: &Reply) -> Result<Vec<String>> {
        let rows = self.rows(partner, reply).await?;
        let outcomes = call.outcomes();
        let mut found = Vec::new();
        let is_refused = outcomes.len() == 1 && outcomes[0].result.as_deref() == Some("refused");
        let fits = match call.http {
            Some(status) => reply.status == status,
            None if is_refused => (400..500).contains(&reply.status),
            None => reply.status == 200,
        };
        if !fits {
            found.push(format!("HTTP {}: {}", reply.status, reply.text()));
        }
        if let Some(answer) = call.answer.as_deref().filter(|answer| !reply.text().contains(answer)) {
            found.push(format!("the answer has no `{answer}`: {}", reply.text()));
        }
        if rows.len() != outcomes.len() {
            found.push(format!("{} rows, not {}: {}", rows.len(), outcomes.len(), reply.text()));
        }
        for (row, outcome) in rows.iter().zip(&outcomes) {
            *self.counted.entry((partner.to_owned(), row.result.clone())).or_default() += 1;
            if Some(&row.result) != outcome.result.as_ref() || row.code != outcome.code {
                found.push(format!(
                    "{:?} {:?} instead of {:?} {:?}: {}",
                    row.result,
                    row.code,
                    outcome.result,
                    outcome.code,
                    reply.text()
                ));
            }
            found.extend(self.compare(row, outcome).await?);
        }
        Ok(found)
    }

    /// What the answer says, or where it is plain text the receipt.
    async fn rows(&self, partner: &str, reply: &Reply) -> Result<Vec<Told>> {
        if let Ok(answer) = reply.json() {
            return Ok(match answer.get("results").and_then(Value::as_array) {
                Some(rows) => rows.iter().map(told).collect(),
                None => vec![told(&answer)],
            });
        }
        let newest = self.server.api(&format!("/api/v1/receipts?partner={partner}&limit=1")).await?;
        Ok(vec![told(newest.pointer("/data/0").context("no receipt")?)])
    }

    /// The conversion behind a row, and its ledger.
    async fn compare(&self, row: &Told, outcome: &Outcome) -> Result<Vec<String>> {
        let is_booked = matches!(row.result.as_str(), "recorded" | "updated" | "duplicate");
        let Some(id) = &row.conversion else {
            return Ok(if is_booked { vec!["there is no conversion".into()] } else { Vec::new() });
        };
        let mut found = Vec::new();
        let conversion = self.server.api(&format!("/api/v1/conversions/{id}")).await?;
        if is_booked || outcome.status.is_some() {
            for (pointer, wanted) in [
                ("/status", &outcome.status),
                ("/amounts/payout", &outcome.payout),
                ("/amounts/revenue", &outcome.revenue),
                ("/amounts/value", &outcome.value),
                ("/amounts/currency", &outcome.currency),
                ("/transaction_id", &outcome.transaction_id),
            ] {
                let is = text(&conversion, pointer);
                // A conversion keeps the transaction id of its first call, which a later one need not name.
                let unasked = pointer == "/transaction_id" && wanted.is_none() && row.result != "recorded";
                if is != *wanted && !unasked {
                    found.push(format!("{pointer} is {is:?} instead of {wanted:?}"));
                }
            }
            if let Some(event) = &outcome.event
                && text(&conversion, "/event").as_ref() != Some(event)
            {
                found.push(format!("the event is {:?}", conversion.get("event")));
            }
            let movements = conversion.get("movements").and_then(Value::as_u64);
            if outcome.movements.is_some() && movements != outcome.movements {
                found.push(format!("{movements:?} movements"));
            }
        }
        found.extend(self.sums(id, &conversion).await?);
        Ok(found)
    }

    /// The ledger adds up to the conversion's balance, and the balance is its value under its status.
    async fn sums(&self, id: &str, conversion: &Value) -> Result<Vec<String>> {
        let ledger = self.server.api(&format!("/api/v1/conversions/{id}/ledger")).await?;
        let entries = ledger.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        let sum = |name: &str| entries.iter().map(|entry| minor(entry.get(name))).sum::<i128>();
        let (confirmed, pending) = (minor(conversion.get("confirmed")), minor(conversion.get("pending")));
        let mut found = Vec::new();
        if (sum("confirmed_delta"), sum("pending_delta")) != (confirmed, pending) {
            found.push(format!("the ledger does not add up to {confirmed} and {pending}: {ledger}"));
        }
        if conversion.get("movements").and_then(Value::as_u64) != u64::try_from(entries.len()).ok() {
            found.push(format!("{} entries in the ledger of {conversion}", entries.len()));
        }
        let value = minor(conversion.pointer("/amounts/value"));
        let wanted = match text(conversion, "/status").as_deref() {
            Some("approved") => (value, 0),
            Some("lead" | "hold") => (0, value),
            _ => (0, 0),
        };
        if (confirmed, pending) != wanted {
            found.push(format!("confirmed {confirmed}, pending {pending}: {conversion}"));
        }
        Ok(found)
    }

    /// How many calls were made, and what was not as it should be; the balance of receipts among it.
    pub(crate) async fn close(mut self) -> Result<(usize, Vec<String>)> {
        let balance = self.server.api("/api/v1/receipts/balance").await?;
        for row in balance.get("data").and_then(Value::as_array).into_iter().flatten() {
            let partner = text(row, "/partner").unwrap_or_default();
            for result in ["recorded", "updated", "duplicate", "quarantined", "refused", "test"] {
                let is = row.get(result).and_then(Value::as_u64).unwrap_or(0);
                let sent = self.counted.remove(&(partner.clone(), result.to_owned())).unwrap_or(0);
                if is != sent {
                    self.deviations.push(format!("{partner}: {is} receipts are {result}, {sent} calls were"));
                }
            }
        }
        self.deviations.extend(
            self.counted.keys().map(|(partner, result)| format!("{partner}: no receipts are {result}")),
        );
        self.server.stop().await;
        Ok((self.calls, self.deviations))
    }
}

/// A decimal as an integer: all amounts of one conversion have the same number of decimals.
fn minor(value: Option<&Value>) -> i128 {
    value.and_then(Value::as_str).and_then(|text| text.replace('.', "").parse().ok()).unwrap_or(0)
}
