//! Trying a destination: the exact request that would be sent for an event, or the reasons why it would not be; all that
//! is wrong with events; one event sent as a test. Nothing is stored.

use std::sync::Arc;

use crosstally_core::event::server_event::{self, ServerDefaults};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::consent::Leaving;
use crosstally_destinations::dialect::Request;
use serde_json::{Value, json};

use crate::Engine;
use crate::snapshot::{ReadyDestination, Snapshot};

pub mod send_test;
pub mod validate;

/// What building came to.
#[derive(Debug)]
pub enum Build {
    /// This would be sent, without the parts that were left out of the event: a JSON pointer, and why.
    Request(Request, Vec<(String, String)>),
    /// It would not be sent, for these reasons: a JSON pointer or field, and the rule.
    Refused(Vec<(String, String)>),
    /// No destination has this name.
    UnknownDestination(Vec<String>),
}

impl Engine {
    /// Builds the request for one server event.
    #[must_use]
    pub fn build_request(&self, destination: &str, event_json: &[u8]) -> Build {
        let snapshot = self.snapshot.load();
        let Some(ready) = snapshot.destination(destination) else {
            return Build::UnknownDestination(self.destination_names());
        };
        let now = self.clock.now();
        let defaults = defaults(&snapshot, now);
        let (event, notes) = match server_event::read(event_json, defaults) {
            Ok(read) => (read.event, read.notes),
            Err(problems) => {
                return Build::Refused(
                    problems.into_iter().map(|invalid| (invalid.pointer, invalid.problem)).collect(),
                );
            }
        };
        let mut notes: Vec<(String, String)> =
            notes.into_iter().map(|note| (note.pointer, note.problem)).collect();
        let event = match ready.leaving(&event, &self.geo) {
            Leaving::InFull => event,
            Leaving::Limited { event, why } => {
                notes.push(("/consent".to_owned(), why));
                *event
            }
            Leaving::Withheld { why } => {
                return Build::Refused(vec![(Reason::ConsentDenied.code().to_owned(), why)]);
            }
        };
        let built = ready.dialect.build(&ready.settings, &[event], now);
        match built.request {
            Some(request) if built.left_out.is_empty() => Build::Request(request, notes),
            _ => Build::Refused(
                built.left_out.into_iter().map(|left| (left.reason.code().to_owned(), left.detail)).collect(),
            ),
        }
    }

    fn destination_names(&self) -> Vec<String> {
        self.snapshot.load().config.destinations.iter().map(|known| known.slug.clone()).collect()
    }

    fn ready_destination(&self, slug: &str) -> Result<Arc<ReadyDestination>, Vec<String>> {
        self.snapshot.load().destination(slug).cloned().ok_or_else(|| self.destination_names())
    }
}

fn defaults(snapshot: &Snapshot, now: Timestamp) -> ServerDefaults<'_> {
    ServerDefaults { default_region: snapshot.config.workspace.default_region.as_deref(), now }
}

/// The request as it is printed: method, URL without its token, body without its token.
#[must_use]
pub fn shown(request: &Request) -> Value {
    let body = serde_json::from_slice(&request.body_shown)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&request.body_shown).into_owned()));
    json!({ "method": request.method, "url": request.url_shown(), "body": body })
}
