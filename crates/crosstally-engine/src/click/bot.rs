//! Who is no visitor: programs, prefetching browsers, networks of data centres. They are sent on like everybody else, for
//! whoever shows them something else is a cheat; the click says what is noteworthy, and whoever counts decides.

use crosstally_core::device;
use crosstally_core::reason::Reason;
use crosstally_core::visit::Way;

use super::ClickIn;
use crate::Engine;
use crate::snapshot::Snapshot;

impl Engine {
    /// Whether the configuration asks who is a program.
    #[must_use]
    pub fn labels_bots(&self) -> bool {
        self.snapshot.load().config.fraud.bots
    }

    /// Adds the labels of a click that no person made, as far as the configuration asks for them. That only the head of the
    /// answer was asked for is always said: such a click has shown nobody a page.
    pub(super) fn label_bots(
        &self,
        snapshot: &Snapshot,
        input: &ClickIn<'_>,
        way: Option<&Way>,
        labels: &mut Vec<String>,
    ) {
        let mut add = |reason: Reason| labels.push(reason.code().to_owned());
        if input.head {
            add(Reason::HeadRequest);
        }
        let fraud = &snapshot.config.fraud;
        if fraud.bots {
            if input.prefetch {
                add(Reason::Prefetch);
            }
            if input.user_agent.trim().is_empty() {
                add(Reason::NoUserAgent);
            } else if device::is_crawler(input.user_agent) {
                add(Reason::BotUserAgent);
            }
        }
        if !fraud.data_centre_networks.is_empty() {
            let looked_up = || self.geo.place(input.ip?).asn;
            let asn = way.and_then(|way| way.asn).or_else(looked_up);
            if asn.is_some_and(|asn| fraud.data_centre_networks.contains(&asn)) {
                add(Reason::DataCentre);
            }
        }
    }
}
