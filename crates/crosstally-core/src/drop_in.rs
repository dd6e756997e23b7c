//! Drop-in endpoints: the paths, parameters and replies of other trackers and networks, so that a move is a change of
//! DNS. Pure tables: whose path a call takes, and what its sender expects to read. Knows no partner and no socket.

use crate::reason::Reason;
use crate::verdict::Verdict;

/// Whose endpoint a partner's calls keep using.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `/{key}/postback?subid=`
    Keitaro,
    /// `/postback?cid=`
    Voluum,
    /// `/postback?cid=`
    BeMob,
    /// `/postback?clickid=`
    RedTrack,
    /// `/click?cnv_id=` and `/click.php?cnv_id=`
    Binom,
    /// `/pb/?hit=`
    FunnelFlux,
    /// `/aff_lsr?transaction_id=`
    Tune,
    /// `/postback?clickid=&action_id=`
    Affise,
    /// `/track/conv`, `/track/conv-change`, `/track/conv-addchange`
    Scaleo,
    /// `/tracking202/static/gpb.php?subid=`
    Prosper202,
}

/// The endpoint that a partner answers at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DropIn {
    /// Whose.
    pub dialect: Dialect,
    /// What tells it from others of the same dialect: Keitaro's key in the path; elsewhere the parameter `key`, which a
    /// sender's URL may carry. Empty if there is only one.
    pub key: String,
}

impl Dialect {
    /// The preset of whoever calls this endpoint.
    #[must_use]
    pub const fn preset(self) -> &'static str {
        match self {
            Self::Keitaro => "keitaro",
            Self::Voluum => "voluum",
            Self::BeMob => "bemob",
            Self::RedTrack => "redtrack",
            Self::Binom => "binom",
            Self::FunnelFlux => "funnelflux",
            Self::Tune => "tune-advertiser",
            Self::Affise => "affise-advertiser",
            Self::Scaleo => "scaleo-advertiser",
            Self::Prosper202 => "prosper202",
        }
    }

    /// Whether the key stands in the path, so that there must be one.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::Keitaro)
    }
}

/// The parameter that carries the key where the path does not.
pub const KEY_PARAM: &str = "key";

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<'p> {
    /// The dialects that it may be, the likeliest first.
    pub dialects: &'static [Dialect],
    /// The key in the path.
    pub key: Option<&'p str>,
}

/// Whose path this is, if it is one of those that are taken over.
#[must_use]
pub fn route<'p>(path: &'p str, has_param: impl Fn(&str) -> bool) -> Option<Route<'p>> {
    use Dialect::{Binom, FunnelFlux, Prosper202, Scaleo, Tune};
    let dialects: &'static [Dialect] = match path {
        "/postback" | "/postback/" => by_click_name(has_param),
        "/click" | "/click.php" if has_param("cnv_id") => &[Binom],
        "/pb" | "/pb/" => &[FunnelFlux],
        "/aff_lsr" => &[Tune],
        "/track/conv" | "/track/conv-change" | "/track/conv-addchange" => &[Scaleo],
        "/tracking202/static/gpb.php" => &[Prosper202],
        _ => {
            let key = path.strip_prefix('/')?.strip_suffix("/postback")?;
            let is_key = !key.is_empty() && !key.contains('/');
            return is_key.then_some(Route { dialects: &[Dialect::Keitaro], key: Some(key) });
        }
    };
    Some(Route { dialects, key: None })
}

/// `/postback` is the path of four: the click's parameter tells them apart.
fn by_click_name(has_param: impl Fn(&str) -> bool) -> &'static [Dialect] {
    use Dialect::{Affise, BeMob, RedTrack, Voluum};
    let is_affise = has_param("action_id") || has_param("goal");
    match (has_param("cid"), has_param("clickid") || has_param("click_id")) {
        (true, _) => &[Voluum, BeMob, RedTrack, Affise],
        (false, true) if is_affise => &[Affise, RedTrack, Voluum, BeMob],
        (false, true) => &[RedTrack, Affise, Voluum, BeMob],
        // A form has its parameters in the body: whoever is there.
        (false, false) => &[Voluum, BeMob, RedTrack, Affise],
    }
}

/// What a sender expects to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Whether the text is JSON.
    pub is_json: bool,
    /// The text.
    pub text: String,
}

/// What became of a call, as far as its sender is told.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'o> {
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<Reason>,
    /// About this call.
    pub detail: &'o str,
    /// The text that the sender asked for (`return` of Keitaro).
    pub wanted: Option<&'o str>,
}

/// The most of a text that a sender asked for.
const WANTED_BYTES_MAX: usize = 256;

/// The reply in this dialect; `None` where no public statement about the peer's own was found, so that ours is as good.
///
/// Only for what is stored and had its turn: a call that could not be kept, or that came too often, is never told that all
/// is well.
#[must_use]
pub fn reply(dialect: Dialect, outcome: &Outcome<'_>) -> Option<Reply> {
    match dialect {
        Dialect::Keitaro => Some(keitaro(outcome)),
        Dialect::Tune => Some(tune(outcome)),
        Dialect::Affise => Some(affise(outcome)),
        Dialect::Prosper202 => Some(prosper202(outcome)),
        Dialect::Voluum
        | Dialect::BeMob
        | Dialect::RedTrack
        | Dialect::Binom
        | Dialect::FunnelFlux
        | Dialect::Scaleo => None,
    }
}

const fn text(status: u16, text: String) -> Reply {
    Reply { status, is_json: false, text }
}

/// It queues first and looks later: whatever it is, the answer is the text that the URL asks for.
fn keitaro(outcome: &Outcome<'_>) -> Reply {
    let wanted = outcome.wanted.filter(|wanted| !wanted.is_empty() && wanted.len() <= WANTED_BYTES_MAX);
    let clean = wanted.map(|wanted| wanted.chars().filter(|c| !c.is_control()).collect());
    text(200, clean.unwrap_or_else(|| "OK".into()))
}

/// Always 200; a repeat is an error.
fn tune(outcome: &Outcome<'_>) -> Reply {
    match outcome.verdict {
        Verdict::Recorded | Verdict::Updated | Verdict::Test => text(200, "success=true;".into()),
        Verdict::Duplicate | Verdict::Quarantined | Verdict::Refused => {
            text(200, format!("success=false; err_msg={};", told(outcome).replace(';', ",")))
        }
    }
}

/// Status 1 is said on receipt, whatever is found later; a call that breaks a rule gets status 2 with the reason.
fn affise(outcome: &Outcome<'_>) -> Reply {
    let said = match outcome.verdict {
        Verdict::Refused => serde_json::json!({ "status": 2, "error": told(outcome) }),
        _ => serde_json::json!({ "status": 1 }),
    };
    Reply { status: 200, is_json: true, text: said.to_string() }
}

/// An unknown click is 404 as JSON, everything else that was taken is an empty 200.
fn prosper202(outcome: &Outcome<'_>) -> Reply {
    let is_unknown = matches!(
        outcome.reason,
        Some(
            Reason::ClickUnknown | Reason::ClickIdMalformed | Reason::ClickIdForged | Reason::IdentityMissing
        )
    );
    match outcome.verdict {
        _ if is_unknown => problem(404, outcome),
        Verdict::Refused => problem(400, outcome),
        _ => text(200, String::new()),
    }
}

fn problem(status: u16, outcome: &Outcome<'_>) -> Reply {
    let said = serde_json::json!({ "error": true, "code": status, "msg": told(outcome) });
    Reply { status, is_json: true, text: said.to_string() }
}

/// The reason for people, in one line.
fn told(outcome: &Outcome<'_>) -> String {
    let sentence = outcome.reason.map_or("", |reason| reason.about().sentence).trim_end_matches('.');
    let code = outcome.reason.map_or("", Reason::code);
    let detail = if outcome.detail.is_empty() { String::new() } else { format!(": {}", outcome.detail) };
    format!("{sentence} ({code}){detail}").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::word::Word;

    fn first(path: &str, params: &[&str]) -> Option<(Dialect, Option<String>)> {
        let found = route(path, |name| params.contains(&name))?;
        Some((*found.dialects.first()?, found.key.map(str::to_owned)))
    }

    #[test]
    fn every_peers_path_is_known_and_no_other() {
        use Dialect::{Affise, Binom, FunnelFlux, Keitaro, Prosper202, RedTrack, Scaleo, Tune, Voluum};
        for (path, params, dialect) in [
            ("/postback", &["cid", "payout"][..], Some(Voluum)),
            ("/postback", &["clickid", "sum"], Some(RedTrack)),
            ("/postback", &["clickid", "action_id"], Some(Affise)),
            ("/postback", &[], Some(Voluum)),
            ("/click", &["cnv_id"], Some(Binom)),
            ("/click.php", &["cnv_id"], Some(Binom)),
            ("/click", &["key"], None),
            ("/click.php", &[], None),
            ("/pb/", &["hit"], Some(FunnelFlux)),
            ("/aff_lsr", &["transaction_id"], Some(Tune)),
            ("/track/conv", &[], Some(Scaleo)),
            ("/track/conv-change", &[], Some(Scaleo)),
            ("/track/conv-addchange", &[], Some(Scaleo)),
            ("/track/conversion", &[], None),
            ("/tracking202/static/gpb.php", &["subid"], Some(Prosper202)),
            ("/tracking202/static/gpx.php", &["subid"], None),
            ("/a/b/postback", &["subid"], None),
            ("//postback", &["subid"], None),
            ("/", &[], None),
            ("/healthz", &[], None),
        ] {
            assert_eq!(first(path, params).map(|(dialect, _)| dialect), dialect, "{path} {params:?}");
        }
        assert_eq!(first("/abc123/postback", &["subid"]), Some((Keitaro, Some("abc123".into()))));
    }

    #[test]
    fn every_dialect_has_a_preset() {
        for dialect in Dialect::ALL {
            assert!(crate::config::preset::named(dialect.preset()).is_some(), "{dialect:?}");
        }
    }

    #[test]
    fn each_sender_reads_what_it_expects() {
        let outcome = |verdict, reason| Outcome { verdict, reason, detail: "", wanted: None };
        let good = outcome(Verdict::Recorded, None);
        let again = outcome(Verdict::Duplicate, Some(Reason::SameContent));
        let unknown = outcome(Verdict::Quarantined, Some(Reason::ClickUnknown));
        let broken = outcome(Verdict::Refused, Some(Reason::AmountNotANumber));
        for (dialect, outcome, status, text) in [
            (Dialect::Keitaro, good, 200, "OK"),
            (Dialect::Keitaro, unknown, 200, "OK"),
            (Dialect::Keitaro, Outcome { wanted: Some("th\nx"), ..broken }, 200, "thx"),
            (Dialect::Tune, good, 200, "success=true;"),
            (
                Dialect::Tune,
                again,
                200,
                "success=false; err_msg=The same call was booked before, nothing changed (same_content);",
            ),
            (
                Dialect::Tune,
                unknown,
                200,
                "success=false; err_msg=No click with this id is stored (click_unknown);",
            ),
            (Dialect::Affise, good, 200, r#"{"status":1}"#),
            (Dialect::Affise, unknown, 200, r#"{"status":1}"#),
            (
                Dialect::Affise,
                broken,
                200,
                r#"{"status":2,"error":"An amount is not a plain decimal number (amount_not_a_number)"}"#,
            ),
            (Dialect::Prosper202, good, 200, ""),
            (
                Dialect::Prosper202,
                unknown,
                404,
                r#"{"error":true,"code":404,"msg":"No click with this id is stored (click_unknown)"}"#,
            ),
        ] {
            let reply = reply(dialect, &outcome).unwrap();
            assert_eq!((reply.status, reply.text.as_str()), (status, text), "{dialect:?}");
        }
        assert_eq!(reply(Dialect::Voluum, &good), None);
    }
}
