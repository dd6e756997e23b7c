//! Every defect that a pre-flight can name: why it usually is, and what to do. What happened is told by whoever saw it.

use serde::{Serialize, Serializer};

use super::Hop;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $why:literal; $fix:literal.)*) => {
        /// A defect's stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {$(#[doc = $why] $name,)*}

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$name => $code,)*}
            }

            /// Why it usually is.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self {$(Self::$name => $why,)*}
            }

            /// What to do.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self {$(Self::$name => $fix,)*}
            }
        }
    };
}

codes! {
    // --- the link
    LinkBroken "link_broken" "The tracking address is wrong, the server is down, or a proxy before it does not pass /c/ on.";
        "Open the click link in a browser; give the tracking address with --base if it is another one.".
    MarkIgnored "mark_ignored" "The link belongs to another installation, or something on the way cuts or reorders the query.";
        "Let /c/ reach this server with its query as it is; no postback was sent, as the clicks would have counted.".
    ClickNotKept "click_not_kept" "The store is sick, or the link belongs to another installation.";
        "Look at /readyz and the log.".
    ClickIdDropped "click_id_dropped" "The target has no {click_id}, or a redirect or page behind it throws parameters away.";
        "Put {click_id} into the target, and let every redirect behind it pass the query on.".
    ClickIdLowerCased "ad_click_id_lower_cased" "A redirect rule or a proxy that lower-cases URLs; ad click ids are case-sensitive, so the platform cannot match them.";
        "Find the rule that lower-cases, and pass the query on byte for byte.".
    ClickIdHarmed "ad_click_id_harmed" "A redirect that rewrites or drops parameters; the platform cannot match the click any more.";
        "Pass the query on byte for byte.".
    CapReached "cap_reached" "The offer has had as many visitors as its `cap` allows.";
        "Raise the cap, or wait for the next day; until then visitors go to the overflow offer.".
    // --- the lander
    LanderDead "lander_dead" "The page was taken down, its path changed, or its host does not answer.";
        "Mend the page, or the target of the campaign, lander or offer.".
    RedirectTwice "redirect_twice" "The target is not the page itself but leads on: from http to https, to www, or through another tracker. Each hop loses visitors and parameters.";
        "Put the page's final address into the target.".
    PixelIdWrong "pixel_id_wrong" "A page copied from another project, or a dataset id with a typing error: pixel and server then tell two different datasets, and nothing is deduplicated.";
        "Use the same id in the page's pixel and in the destination.".
    // --- the browser
    BrowserRefused "browser_refused" "The page's host is not among the campaign's `sites`, or /e does not reach this server.";
        "Add the page's host to `sites`.".
    EventIdDiffers "event_id_differs" "The goal derives an id of its own, or the partner hands back another one: the platform counts pixel and server twice.";
        "Set event_id = \"shared\" in the goal, and let the partner hand back the id that the page made, or none.".
    // --- the partner's call
    PostbackBroken "postback_broken" "The server is down, or a proxy before it does not pass /postback/ on.";
        "Open the postback address in a browser: it must answer in JSON.".
    PostbackElsewhere "postback_elsewhere" "A typing error in the postback URL, or one that was copied from another partner: real calls would never arrive, or be another partner's.";
        "Put this server's tracking address and /postback/ with the partner's own slug into the URL; add the host to `public_hosts` if it is this server's.".
    PostbackRefused "postback_refused" "The call does not show what the partner's `auth` asks for, or breaks its contract.";
        "See the code and its sentence; compare the postback URL with the partner's section.".
    ParameterWrong "parameter_wrong" "The postback URL gives the value a name that the partner's `params` do not know.";
        "Rename the parameter in the postback URL, or add its name to `params` of the partner.".
    ValueMissing "value_missing" "The call carries no amount.";
        "Add the amount's macro to the postback URL.".
    ValueDiffers "value_differs" "The amount is read in another format, taken from the other field, or changed on the way.";
        "Compare `value`, `decimal`, `thousands` and `amounts` of the partner with what it sends.".
    CentsForUnits "cents_for_units" "One side counts cents, the other whole units: every amount is wrong a hundredfold.";
        "Set `amounts` of the partner to what it sends: \"units\" or \"cents\".".
    CurrencyMissing "currency_missing" "The call states no currency and the partner has none, so the workspace's own is assumed.";
        "Set `currency` of the partner, or add the currency's macro to the postback URL.".
    CurrencyDiffers "currency_differs" "The contract or the postback URL names another currency than the sale has.";
        "Compare `currency` of the partner and the postback URL with what is sold.".
    TimeDiffers "time_differs" "The time is sent in local time, or in a format that is read as another one.";
        "Send Unix seconds or RFC 3339 with its zone.".
    StatusUnmapped "status_unmapped" "A status word of the partner that is not in its map: such calls wait for somebody.";
        "Add the word to `statuses` of the partner.".
    PostbackFiresTwice "postback_fires_twice" "Two pixels or two rules on the thank-you page, or a page that is loaded twice.";
        "Remove one of the two; here the second is swallowed as long as both say the same.".
    RepeatCounted "repeat_counted" "The partner's `duplicates` or `transaction_scope` take the same call for another sale.";
        "Use duplicates = \"update\", unless every repeat really is a new sale.".
    WrongTokenTaken "wrong_token_taken" "The partner has no token and no signature: whoever knows the address can report sales.";
        "Give the partner `auth = { token = .. }`, and the token to its postback URL.".
    UnmappedTaken "unmapped_taken" "The map has a word for all others (`*`), so that words nobody knows move money.";
        "Take `*` out of `statuses`, or map it to \"ask\".".
    // --- the ledger and the signals
    NotBooked "not_booked" "The call is understood, and its content keeps it from being booked.";
        "See the code and its sentence.".
    GoalNotMet "goal_not_met" "No goal that sends to a destination is met by such a sale.";
        "Compare the goals' `when` with status, event and value of the calls.".
    ConsentDenied "consent_denied" "The visitor's consent comes with the link or from the page and stands against it, or the destination's consent_policy withholds it.";
        "If that is not meant: mend what tells the consent, or set consent_policy of the destination.".
    EventIncomplete "event_incomplete" "The event lacks something that the platform requires.";
        "See the named field.".
    // --- the destination
    SecretMissing "secret_missing" "An environment variable or file that is not set where this runs.";
        "Set it in the shell that flies this. A server has it already: fly with --url and --token to use the server's.".
    TokenExpired "token_expired" "The token ran out or was revoked: the platform takes nothing until there is a new one.";
        "Make a new token at the platform and set it in the destination.".
    DestinationRefused "destination_refused" "The platform does not take the event.";
        "See the platform's own words.".
    DestinationPaused "destination_paused" "A call of before was refused in a way that every other would be: its events wait.";
        "See `crosstally destinations list` for what to do.".
    DestinationUnreachable "destination_unreachable" "The endpoint is wrong, or the platform is down.";
        "Check the endpoint and the network.".
    DestinationLost "destination_lost" "The destination confirmed the event and has it not, or with something else in it.";
        "Compare the request with what the destination lists.".
    // --- all of it
    ClockOff "clock_off" "This machine's clock is not kept right: events get wrong times, signatures fail, and platforms refuse what lies in the future.";
        "Let the machine keep its time by NTP.".
    TooSlow "too_slow" "A hop that takes seconds: visitors leave before it answers.";
        "Look at the times of the hops; with fewer --actions the run itself takes less.".
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

/// One defect, told once however many actions show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// Its code.
    pub code: Code,
    /// Where it is.
    pub hop: Hop,
    /// What happened.
    pub problem: String,
    /// Why it usually is.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// How many actions show it.
    pub actions: usize,
}

impl Defect {
    /// A defect that one action shows.
    #[must_use]
    pub fn new(code: Code, hop: Hop, problem: impl Into<String>) -> Self {
        Self { code, hop, problem: problem.into(), why: code.why(), fix: code.fix(), actions: 1 }
    }
}
