//! Conversions from a file: offline sales, a CRM's export, a network's statement. Each row is booked as a call of its partner
//! would be. Rows name their file and place in it (`import_row`), so that a file that is read twice is booked once, however
//! much later; a dry run makes the same decisions and records nothing.

use crosstally_core::ids::ReceiptId;
use crosstally_core::params::Params;
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Inbound, Postback, Receipt, claim_of_row};
use crosstally_core::reason::Reason;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::StoreError;

use crate::Engine;
use crate::postback::{PostbackOut, Stopped, guard, read};
use crate::replay::imagined::Imagined;

/// Rows of one request.
pub const ROWS_MAX: usize = 500;
/// The method that receipts of imported rows show.
const METHOD: &str = crosstally_core::postback::IMPORTED;

/// What became of a row, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRow {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<Reason>,
    /// About this row.
    pub detail: String,
    /// Its receipt; none in a dry run.
    pub receipt: Option<ReceiptId>,
}

impl Engine {
    /// Books rows of names and values as calls of a partner. A dry run says what would become of each.
    ///
    /// # Errors
    /// See [`StoreError`]; rows before the one that failed are booked, and are duplicates the next time.
    pub async fn import_rows(
        &self,
        partner: &str,
        rows: Vec<Vec<(String, String)>>,
        dry_run: bool,
    ) -> Result<Vec<ImportedRow>, StoreError> {
        let mut done = Vec::with_capacity(rows.len());
        let mut imagined = Imagined::default();
        for row in rows {
            let mut params = Params::default();
            for (name, value) in row.into_iter().filter(|(_, value)| !value.is_empty()) {
                params.push(name, value);
            }
            let inbound = Inbound {
                method: METHOD.to_owned(),
                partner: partner.to_owned(),
                query: written(&params).into_bytes(),
                ..Inbound::default()
            };
            let out = if dry_run {
                self.look_at(&inbound, params, &mut imagined).await?
            } else {
                self.import_row(&inbound, params).await?.into()
            };
            done.push(out);
        }
        Ok(done)
    }

    /// What a row of a file uses up when it is booked by being read again, unless it has done so. One that was booked as
    /// another receipt is a repeat of that, whatever it says now and whoever calls it real.
    pub(crate) async fn claim_row(
        &self,
        receipt: &Receipt,
        reading: &mut Result<Postback, Stop>,
    ) -> Result<Option<String>, StoreError> {
        let claim = match reading {
            Ok(postback) => claim_of_row(&receipt.method, postback),
            Err(_) => None,
        };
        let Some(claim) = claim else { return Ok(None) };
        let Some(first) = self.store.nonce_used_by(receipt.partner.clone(), claim.clone()).await? else {
            return Ok(Some(claim));
        };
        let booked = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
        if first != receipt.id && !booked {
            *reading = Err(guard::row_seen(first));
        }
        Ok(None)
    }

    async fn import_row(&self, inbound: &Inbound, params: Params) -> Result<PostbackOut, StoreError> {
        let (now, snapshot) = (self.clock.now(), self.snapshot.load_full());
        match read::postback(params, inbound, &snapshot, &self.click_id_key, now, None) {
            Ok(postback) => self.book_postback(inbound, &snapshot, postback, now, None).await,
            Err(stop) => self.record_stop(inbound, &snapshot, Stopped { stop, stranger: false }, now).await,
        }
    }

    /// What would become of a row, after those that were looked at before it.
    async fn look_at(
        &self,
        inbound: &Inbound,
        params: Params,
        imagined: &mut Imagined,
    ) -> Result<ImportedRow, StoreError> {
        let (now, snapshot) = (self.clock.now(), self.snapshot.load_full());
        let postback = match read::postback(params, inbound, &snapshot, &self.click_id_key, now, None) {
            Ok(postback) => postback,
            Err(stop) => return Ok(stop.into()),
        };
        let partner = snapshot.partner(&inbound.partner).map(|(partner, _)| partner);
        if partner.is_some_and(|partner| self.brings_back(&postback, (METHOD, now), &partner.contract)) {
            return Ok(Stop::refused(Reason::Erased, "").into());
        }
        let mut receipt = self.receipt(inbound, &snapshot, now);
        receipt.contact = postback.contact;
        let decided = self.decide_replay(&receipt, &Repair::default(), imagined).await?;
        let would_be = &decided.replayed.booking.receipt;
        let (verdict, reason, detail) = (would_be.verdict, would_be.reason, would_be.detail.clone());
        imagined.note(decided);
        Ok(ImportedRow { verdict, reason, detail, receipt: None })
    }
}

impl From<PostbackOut> for ImportedRow {
    fn from(out: PostbackOut) -> Self {
        Self { verdict: out.verdict, reason: out.reason, detail: out.detail, receipt: out.receipt }
    }
}

impl From<Stop> for ImportedRow {
    fn from(stop: Stop) -> Self {
        Self { verdict: stop.verdict, reason: Some(stop.reason), detail: stop.detail, receipt: None }
    }
}

/// A row as the query string that its receipt keeps.
fn written(params: &Params) -> String {
    let escape = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pairs: Vec<String> =
        params.iter().map(|param| format!("{}={}", escape(&param.name), escape(&param.value))).collect();
    pairs.join("&")
}
