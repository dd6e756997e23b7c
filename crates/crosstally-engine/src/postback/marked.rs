//! A call that bears the mark of a test: read and judged as any other of its partner's, and never booked. Its receipt has
//! the verdict `test`, with the reason that a real call of its kind would have stopped for.

use std::sync::Arc;

use crosstally_core::erasure;
use crosstally_core::postback::body::Row;
use crosstally_core::postback::book;
use crosstally_core::postback::{Inbound, Postback, Receipt, dedupe};
use crosstally_core::preflight::LABEL;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::StoreError;

use super::{PostbackOut, nameless, of_stranger, read, told};
use crate::Engine;
use crate::snapshot::Snapshot;

impl Engine {
    /// Receives a marked call, without its mark. Of the partner neither a rate nor the number of its signature is used up, and as it comes
    /// from this installation, the partner's list of addresses says nothing about it.
    pub(super) async fn receive_marked(
        &self,
        inbound: &mut Inbound,
        snapshot: &Arc<Snapshot>,
        now: Timestamp,
    ) -> Vec<Result<PostbackOut, StoreError>> {
        let peer = inbound.peer;
        let allowed = snapshot.partner(&inbound.partner).and_then(|(partner, _)| partner.auth.allow.first());
        if let Some(range) = allowed {
            inbound.peer = Some(range.addr());
        }
        let call = read::call(inbound, snapshot, now);
        inbound.peer = peer;
        let rows = match call {
            Ok(call) => call.rows,
            // The mark alone shows nobody: it stands in logs, and whoever read it there is a stranger as any other.
            Err(stop) => {
                if let Err(away) = self.admit_stranger(inbound, snapshot, now).await {
                    return vec![Ok(away)];
                }
                let receipt = of_stranger(self.receipt(inbound, snapshot, now));
                return vec![self.record_marked(receipt, inbound, snapshot, Err(stop)).await];
            }
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(stop) => {
                let receipt = self.receipt(inbound, snapshot, now);
                return vec![self.record_marked(receipt, inbound, snapshot, Err(stop)).await];
            }
        };
        let mut outs = Vec::with_capacity(rows.len());
        for Row { params, raw } in rows {
            let part = match raw {
                Some(body) => Inbound { body, content_type: "application/json".into(), ..inbound.clone() },
                None => inbound.clone(),
            };
            let read = params
                .and_then(|params| read::postback(params, &part, snapshot, &self.click_id_key, now, None));
            let receipt = self.receipt(&part, snapshot, now);
            outs.push(self.record_marked(receipt, &part, snapshot, read).await);
        }
        outs
    }

    async fn record_marked(
        &self,
        mut receipt: Receipt,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
        read: Result<Postback, Stop>,
    ) -> Result<PostbackOut, StoreError> {
        receipt.labels.push(LABEL.to_owned());
        receipt.verdict = Verdict::Test;
        let (reason, detail) = match read {
            Err(stop) => (stop.reason, stop.detail),
            Ok(postback) => {
                receipt.read = Arc::new(book::read_summary(&postback));
                receipt.contact = postback.contact.clone();
                receipt.click = postback.click.ours();
                let click = match receipt.click {
                    Some(id) => self.store.click(id).await?,
                    None => None,
                };
                let contract = snapshot.partner(&receipt.partner).map(|(partner, _)| &partner.contract);
                let has_name = contract.is_some_and(|contract| dedupe::key(&postback, contract).is_some());
                match book::unmatched_click(&postback, click.as_ref()) {
                    Some(unmatched) => unmatched,
                    None if !has_name => {
                        let stop = nameless(&postback);
                        (stop.reason, stop.detail)
                    }
                    None => (Reason::TestCall, "the mark of a pre-flight".to_owned()),
                }
            }
        };
        (receipt.reason, receipt.detail) = (Some(reason), detail);
        let out = told(&receipt);
        if self.would_keep_erased(&receipt, inbound, snapshot) {
            receipt = erasure::receipt(receipt);
        }
        self.store.record_receipt(receipt).await?;
        Ok(out)
    }
}
