//! The admin API: `*Out` types are what goes out; they are this floor's own and never core's.

pub mod aliases;
pub mod ask;
pub mod balance;
pub mod browser_events;
pub mod capi;
pub mod clicks;
pub mod config;
pub mod console;
pub mod conversions;
pub mod deliveries;
pub mod delivery_errors;
pub mod destinations;
pub mod erasures;
pub mod evidence;
pub mod fields;
pub mod fx;
pub mod hybrid;
pub mod imports;
pub mod jobs;
pub mod ledger;
pub mod offers;
pub mod overstated;
mod page;
pub mod postback_conversions;
pub mod receipts;
pub mod reconcile;
pub mod replays;
pub mod revisions;
pub mod statuses;
pub mod tokens;
pub mod tools;
pub mod trace;

use axum::response::IntoResponse;
use crosstally_store::StoreError;

use crate::answer::Answer;
use crate::problem::{Fault, fault, refusal};

/// A handler's answer: what was asked for, or a problem.
pub type Reply = Result<axum::response::Response, Refused>;

/// An answer that is a problem.
pub struct Refused(Box<Answer>);

impl IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        self.0.into_response()
    }
}

impl From<Answer> for Refused {
    fn from(answer: Answer) -> Self {
        Self(Box::new(answer))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %error, "the store failed under an API call");
        refusal(crosstally_core::reason::Reason::StoreUnavailable, "", None).into()
    }
}

fn not_found() -> Refused {
    fault(Fault::NotFound, "").into()
}

fn bad(detail: impl Into<String>) -> Refused {
    fault(Fault::BadRequest, detail).into()
}
