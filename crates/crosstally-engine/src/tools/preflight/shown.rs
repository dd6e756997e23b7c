//! What a flight has really shown, beyond that nothing was wrong: a line of the checklist passes only by it.

use crosstally_core::address::{forbidden, is_this_machine, lone_host};
use crosstally_core::config::Leads;
use crosstally_core::preflight::Code;
use crosstally_core::preflight::line::Line;
use crosstally_core::rotation::Kind;
use url::Url;

use super::Run;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Pages that were read.
    pub(super) pages: usize,
    /// Those of them whose text names this server's script.
    pub(super) scripts: usize,
    /// Those of them that start the pixel of a destination.
    pub(super) pixels: usize,
    /// Destinations that took a test event.
    pub(super) took: Vec<String>,
}

impl Shown {
    /// Notes what a page's text names.
    pub(super) fn page(&mut self, html: &str) {
        self.pages += 1;
        self.scripts += usize::from(html.contains("/t.js"));
    }
}

impl Run<'_> {
    /// Why nothing is known of a line although no defect was seen, and what would show it.
    pub(super) fn unshown(&self, check: &str) -> Option<(String, &'static str)> {
        let Shown { pages, scripts, pixels, took } = &self.shown;
        match check {
            // In a real browser its own script has told it.
            "event_id" if scripts < pages && !self.wanted.browser => Some((
                "the text of the page names no /t.js: the event was told in its place".to_owned(),
                "put the script into the page; where another script loads it, fly with --browser",
            )),
            "caps" => self.offers_unseen().map(|why| (why.to_owned(), "see `crosstally offers list`")),
            "pixel_id" if pixels < pages => Some((
                "the text of the page starts no pixel of a destination".to_owned(),
                "look at the page with the platform's own pixel helper",
            )),
            "token" => {
                let untried: Vec<String> =
                    self.slugs().into_iter().filter(|slug| !took.contains(slug)).collect();
                let why = format!("no test event was sent to {}", untried.join(", "));
                (!untried.is_empty()).then_some((why, "see the notes of the hop `destination`"))
            }
            _ => None,
        }
    }

    pub(super) fn clock_line(&self) -> Line {
        let (check, question) = ("clock", "Is this server's clock right?");
        if let Some(defect) = self.defects.iter().find(|defect| defect.code == Code::ClockOff) {
            return Line::fail(check, question, defect.problem.clone(), defect.fix);
        }
        match self.skews.iter().filter(|(from, _)| self.is_elsewhere(from)).count() {
            0 => Line::unknown(check, question, "nobody outside told the time", ""),
            many => Line::pass(check, question, format!("{many} answers of others do not show it to be off")),
        }
    }

    /// Why it is not known to which offers the campaign leads, where any has a cap: what a page links to is not seen here.
    pub(super) fn offers_unseen(&self) -> Option<&'static str> {
        if self.snapshot.config.offers.iter().all(|offer| offer.cap.is_none()) {
            return None;
        }
        match &self.campaign.leads {
            Leads::Target(_) => Some("to which offers the target leads is not seen from here"),
            Leads::Paths(paths) => {
                let config = &self.snapshot.config;
                let mut ours = config.paths.iter().filter(|path| paths.contains(&path.slug));
                let has_lander = ours.any(|path| path.members.iter().any(|one| one.kind == Kind::Lander));
                has_lander.then_some("to which offers the landers lead is not seen from here")
            }
        }
    }

    /// Whether a time was told by another machine, as far as its name or address tells: this one is always of its own mind.
    pub(super) fn is_elsewhere(&self, from: &str) -> bool {
        let endpoint = self.snapshot.destination(from).map(|ready| {
            let text = ready.settings.text("endpoint").or_else(|| ready.settings.text("url"));
            text.map(str::to_owned)
        });
        let host = match endpoint {
            // The platform's own address.
            Some(None) => return true,
            Some(Some(url)) => Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned)),
            None => Some(from.to_owned()),
        };
        let ours = &self.snapshot.config.workspace.public_hosts;
        host.is_some_and(|host| is_public(&host) && lone_host(&host).is_none_or(|host| !ours.contains(&host)))
    }
}

/// Whose word about the time is heard: that of others. This machine, its network and what runs behind `public_hosts` say
/// what this clock says, right or wrong, and are heard only where nobody else is.
pub(super) fn asked_for_time(
    skews: &[(String, i64)],
    is_elsewhere: impl Fn(&str) -> bool,
) -> Vec<(String, i64)> {
    let others: Vec<(String, i64)> = skews.iter().filter(|(from, _)| is_elsewhere(from)).cloned().collect();
    if others.is_empty() { skews.to_vec() } else { others }
}

/// By how many milliseconds this clock is ahead, at the least, where all agree that it is off, and who says so.
pub(super) fn off_by(asked: &[(String, i64)]) -> Option<(String, i64)> {
    const OFF_MS: i64 = 300_000;
    let all = |is_off: fn(i64) -> bool| asked.iter().all(|(_, ms)| is_off(*ms));
    let least = asked.iter().min_by_key(|(_, ms)| ms.abs())?;
    (all(|ms| ms > OFF_MS) || all(|ms| ms < -OFF_MS)).then(|| least.clone())
}

/// Whether a host is none of this machine or its network, as far as its text says.
pub(super) fn is_public(host: &str) -> bool {
    let Some(host) = lone_host(host) else { return false };
    match host.parse() {
        Ok(address) => forbidden(address).is_none(),
        Err(_) => !is_this_machine(&host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_off_if_everybody_outside_says_so() {
        const TWO_HOURS: i64 = 7_200_000;
        for (skews, found) in [
            (&[("127.0.0.1", 0), ("graph.facebook.com", TWO_HOURS)][..], Some("graph.facebook.com")),
            (&[("127.0.0.1", 0), ("graph.facebook.com", -TWO_HOURS)], Some("graph.facebook.com")),
            (&[("127.0.0.1", TWO_HOURS), ("graph.facebook.com", 0)], None),
            (&[("8.8.8.8", 0), ("graph.facebook.com", TWO_HOURS)], None),
            (&[("8.8.8.8", -TWO_HOURS), ("graph.facebook.com", TWO_HOURS)], None),
            (&[("127.0.0.1", TWO_HOURS)], Some("127.0.0.1")),
            (&[("127.0.0.1", 299_000)], None),
            (&[], None),
        ] {
            let skews: Vec<(String, i64)> =
                skews.iter().map(|(from, ms)| ((*from).to_owned(), *ms)).collect();
            let off = off_by(&asked_for_time(&skews, is_public));
            assert_eq!(off.as_ref().map(|(from, _)| from.as_str()), found, "{skews:?}");
        }
    }

    #[test]
    fn this_machine_and_its_network_tell_no_time() {
        for host in
            ["127.0.0.1", "[::1]", "::1", "localhost", "shop.localhost", "10.0.0.1", "192.168.1.1", ""]
        {
            assert!(!is_public(host), "{host}");
        }
        for host in ["graph.facebook.com", "8.8.8.8", "[2606:4700::1111]"] {
            assert!(is_public(host), "{host}");
        }
    }
}
