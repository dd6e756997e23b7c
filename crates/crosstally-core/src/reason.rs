//! The closed list of reason codes, shared by answers, log, trace, API, command line and docs.
//!
//! A code never changes its meaning and is never reused. Each has a sentence, its likely causes, the fix, how bad it
//! is, and whether trying again can help.

/// How bad a reason is for whoever runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Worth a look when there are many.
    Notice,
    /// Money or signals are waiting for somebody.
    Problem,
}

/// What is known about a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The stable code.
    pub code: &'static str,
    /// One sentence: what happened.
    pub sentence: &'static str,
    /// Why it usually happens.
    pub causes: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the same thing can succeed later without anybody changing anything.
    pub retryable: bool,
}

macro_rules! reasons {
    ($($name:ident $code:literal $severity:ident $retry:literal $sentence:literal; $causes:literal; $fix:literal.)*) => {
        /// Why something was refused, kept back, merged, sent or not sent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {$(#[doc = $sentence] $name,)*}

        impl Reason {
            /// All reasons, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Everything known about this reason.
            #[must_use]
            pub const fn about(self) -> About {
                match self {$(
                    Self::$name => About {
                        code: $code, sentence: $sentence, causes: $causes, fix: $fix,
                        severity: Severity::$severity, retryable: $retry,
                    },
                )*}
            }
        }
    };
}

reasons! {
    // --- an inbound call as such
    UnknownPartner "unknown_partner" Notice false
        "No partner has this name."; "A typing error in the postback URL, or the partner was removed from the configuration.";
        "Compare the last part of the URL's path with the partner slugs in the configuration.".
    UnknownCampaign "unknown_campaign" Notice false
        "No campaign has this name."; "A typing error in the click URL, or the campaign was removed from the configuration.";
        "Compare the last part of the URL's path with the campaign slugs in the configuration.".
    UnknownOffer "unknown_offer" Notice false
        "No offer has this name."; "A typing error in the lander's link, or the offer was removed from the configuration.";
        "Compare the last part of the URL's path with the offer slugs in the configuration.".
    MethodNotAllowed "method_not_allowed" Notice false
        "This route does not take this method."; "A sender set to PUT, DELETE or a method of its own.";
        "Set the sender to GET or POST.".
    BodyTooLarge "body_too_large" Notice false
        "The body is larger than the limit; nothing of it was read as data."; "A file sent to the postback route.";
        "Send less per call.".
    QueryTooLarge "query_too_large" Notice false
        "The query string is larger than the limit."; "A template that repeats itself.";
        "Shorten the URL, or send the fields as a form by POST.".
    TooManyParams "too_many_params" Notice false
        "The call has more parameters than the limit."; "A template that repeats itself, or an attack.";
        "Send only the fields that the contract names.".
    ParamTooLong "param_too_long" Notice false
        "A parameter's name or value is longer than the limit."; "A whole document in one parameter.";
        "Shorten the value.".
    BadEncoding "bad_encoding" Notice false
        "A parameter that matters is not valid UTF-8 after percent-decoding."; "A sender that encodes in another charset, or a lone surrogate.";
        "Set the sender to UTF-8.".
    ControlCharacter "control_character" Notice false
        "A parameter that matters contains NUL or another control character."; "A broken template, or an attack.";
        "Mend the sender's template.".
    UnsupportedMediaType "unsupported_media_type" Notice false
        "The body's content type is not one that is read here."; "A sender set to another format.";
        "Send application/x-www-form-urlencoded, or use the query string.".
    RepeatedField "repeated_field" Notice false
        "A field that may come once came several times with different values."; "Two templates joined, or an attempt to slip in another amount.";
        "Send each field once.".
    TokenMissing "token_missing" Notice false
        "The partner must show a token and did not."; "The token was left out of the postback URL.";
        "Add the token to the partner's postback URL or header.".
    TokenWrong "token_wrong" Notice false
        "The token is not the partner's."; "An old token after a rotation, or somebody guessing.";
        "Give the partner the current token.".
    SignatureMissing "signature_missing" Notice false
        "The partner must sign its calls and did not."; "A sender that does not sign, or a proxy that drops headers.";
        "Send the timestamp and signature headers.".
    SignatureWrong "signature_wrong" Notice false
        "The signature does not fit the call."; "Another secret, a changed body, or a clock that is off by more than five minutes.";
        "Compare secret, canonical form and clock.".
    NonceSeen "nonce_seen" Fine false
        "This very message was booked before: its signature carries a number that may be used once."; "A sender that tries again, or somebody who repeats a call that he has seen.";
        "Nothing; a new message needs a new `webhook-id` or `X-Crosstally-Nonce`.".
    AddressNotAllowed "address_not_allowed" Notice false
        "The call came from an address outside the partner's allow-list."; "The partner has new servers, or a proxy is not trusted.";
        "Add the address range to the partner's `allow`, or set `trusted_proxies`.".
    TooManyHops "too_many_hops" Problem false
        "The call has come through too many servers: it goes round."; "Two trackers that are each other's destination, so that what one books the other tells it again.";
        "Take one of the two out of the goal's `send_to`, or let the goal's `when` leave out what came from the other: `partner != 'other'`.".
    OriginNotAllowed "origin_not_allowed" Notice false
        "The page is not on a host of the campaign."; "The script on a page whose host the campaign does not name, or somebody else's page.";
        "Add the page's host to the campaign's `sites`.".
    Erased "erased" Notice false
        "The person that this is about was erased on request; nothing of it is kept or sent."; "A call, a file or a replay that names somebody who asked to be erased.";
        "Nothing; docs/privacy.md says what an erasure stops.".
    TooManyEvents "too_many_events" Notice false
        "More events than the limit, in one call or of one click."; "A page that tells events in a loop, or an attack.";
        "Tell an event when something happens, not all the time.".
    TooManyRequests "too_many_requests" Notice true
        "More calls at once than the server takes."; "A burst beyond capacity.";
        "Try again after the time in Retry-After.".
    StoreUnavailable "store_unavailable" Problem true
        "The call could not be stored, so it was not accepted."; "The disk is full or sick, or the database is away.";
        "Try again later; whoever runs the server looks at /readyz and the log.".
    // --- the content of a postback
    IdentityMissing "identity_missing" Notice false
        "The call has neither a click id nor a transaction id."; "The template lacks both, or uses names that the parameter map does not know.";
        "Send click_id or transaction_id, or map the partner's own names in `params`.".
    AmountNotANumber "amount_not_a_number" Notice false
        "An amount is not a plain decimal number."; "A macro that was not filled in, a decimal comma, a currency sign.";
        "Send amounts such as 12.34, or say in `decimal`, `thousands` and `amounts` how the partner writes them.".
    BodyUnreadable "body_unreadable" Notice false
        "The body could not be read as what it says it is."; "Broken JSON, a template that puts quotes into a value, or a body that was cut.";
        "Send one valid JSON object, an array of them, or one per line; the receipt keeps the body for a repair.".
    EventInvalid "event_invalid" Notice false
        "A server event has mistakes."; "A key that is not known, an amount that is a float, a time without a zone.";
        "Mend what the detail names; each mistake stands with its place in the JSON.".
    FieldMissing "field_missing" Notice false
        "A field that the contract requires did not come."; "A template without it, or a name that the parameter map does not know.";
        "Add the field to the sender's template, map its name in `params`, or take it out of `required`.".
    AmountAmbiguous "amount_ambiguous" Notice false
        "An amount could be read in two ways."; "`1,234` from a sender whose decimal mark is not stated.";
        "Set `decimal` and `thousands` in the partner's contract.".
    AmountOutOfRange "amount_out_of_range" Problem false
        "An amount lies outside the contract's bounds."; "Cents in place of units, a test, or a new price.";
        "Compare the amount with `ranges`; change the bound and replay the receipt if the amount is right.".
    AmountTooPrecise "amount_too_precise" Notice false
        "An amount has more decimals than its currency has."; "An amount computed from shares.";
        "Round the amount at the sender, or set `rounding = \"half_even\"` in the contract.".
    AmountTooLarge "amount_too_large" Notice false
        "An amount is larger than anything that is believed."; "An id in the amount's place.";
        "Check the template.".
    AmountNegative "amount_negative" Notice false
        "An amount is below zero."; "A refund sent as a negative sale.";
        "Send refunds with a status that maps to `reversed`, or set `negative = \"reversal\"`.".
    CurrencyUnknown "currency_unknown" Notice false
        "The currency is not one of ISO 4217."; "A sign or a name in place of the code.";
        "Send a code such as USD.".
    CurrencyNotAllowed "currency_not_allowed" Problem false
        "The contract does not take amounts in this currency."; "Another market's offer, or a wrong template.";
        "Add the currency to `currencies`, and replay the receipt.".
    CurrencyChanged "currency_changed" Problem false
        "A later call states another currency than the conversion has."; "A template without a currency beside one with it.";
        "Set the partner's `currency`, and have the partner send one currency per transaction.".
    EventTimeUnreadable "event_time_unreadable" Notice false
        "The event time is not a time."; "A local format.";
        "Send Unix seconds or RFC 3339.".
    EventTimeInFuture "event_time_in_future" Notice false
        "The event time is more than five minutes ahead."; "A sender in local time, or a clock that is off.";
        "Send UTC.".
    MacroUnresolved "macro_unresolved" Problem false
        "A macro arrived unfilled, as its own name."; "The partner's template uses a macro that the partner's system does not know.";
        "Correct the macro's name or brackets in the postback URL.".
    StatusUnmapped "status_unmapped" Problem false
        "The status word is not in the partner's status map."; "A new word of the partner.";
        "Add the word to `statuses`; the receipt can then be replayed.".
    StatusIgnored "status_ignored" Fine false
        "The contract says that this status word is to be ignored."; "A ping, or an event that is not wanted.";
        "Nothing.".
    StatusNotAllowed "status_not_allowed" Notice false
        "The contract does not take this status."; "A partner that sends more than was agreed.";
        "Add the status to `allowed` if it should be booked.".
    EventTooLate "event_too_late" Problem false
        "It happened longer after its click than the contract allows."; "An old click id that is used again, or a slow approval.";
        "Raise `max_delay` and replay the receipt, if it is right.".
    ClickIdMalformed "click_id_malformed" Problem false
        "The click id has not the shape of one of ours."; "Another tracker's id, a truncated value, or a wrong parameter.";
        "Check which parameter carries the click id.".
    ClickIdForged "click_id_forged" Problem false
        "The click id's integrity tag does not fit."; "The id was altered on the way, or invented.";
        "Compare the id in the redirect with the id that came back.".
    ClickUnknown "click_unknown" Problem true
        "No click with this id is stored."; "The click belongs to another installation, or has not arrived yet.";
        "Wait, or check which installation made the click.".
    TransitionRefused "transition_refused" Notice false
        "The status cannot follow the conversion's present status."; "Calls that arrived out of order.";
        "Nothing, if the later status is right; otherwise repair the receipt.".
    SaleUnknown "sale_unknown" Problem true
        "A refund came, and the sale that it takes back is not booked."; "A refund that overtook its sale, or one under another transaction id.";
        "Nothing, if the sale is on its way: the refund is booked after it by itself. Otherwise repair the transaction id.".
    TooManyMovements "too_many_movements" Problem false
        "The conversion has more movements than the limit."; "One transaction id used for many sales.";
        "Have the partner send a transaction id per sale.".
    SameContent "same_content" Fine false
        "The same call was booked before; nothing changed."; "A retry of the sender, which is as it should be.";
        "Nothing.".
    ChangeIgnored "change_ignored" Notice false
        "The conversion is known and the partner's duplicate mode is `ignore`."; "A change of status or amount that the contract does not want.";
        "Set `duplicates = \"update\"` if changes should be booked.".
    ReadAgain "read_again" Fine false
        "The receipt was read again and says the same as before."; "A replay without a change.";
        "Nothing.".
    TestCall "test_call" Fine false
        "A marked test: checked, not booked."; "A test click or a test campaign, or a sender that marks the call as a test (`test_when`).";
        "Nothing.".
    // --- labels of booked calls
    LateApproval "late_approval" Notice false
        "The conversion was rejected before it was approved."; "A dispute won, a fraud check passed, an order paid late.";
        "Nothing; set `late_approvals = false` if the partner must not do this.".
    TooFast "too_fast" Notice false
        "It happened within seconds of its click."; "A bot, a test, or a sender that states the click's time.";
        "Look at the source; a goal can leave such conversions out.".
    ClickChanged "click_changed" Notice false
        "A later call named another click than the one the conversion is attributed to."; "A click id that changed on the way, or a partner that sends the last click.";
        "Compare the click ids in the trace.".
    RepeatedContact "repeated_contact" Notice false
        "The same mail address or telephone number is on too many conversions."; "One person who signs up again and again, invented leads, or a placeholder such as the shop's own address.";
        "Look at the other conversions of this contact; a goal can leave such conversions out.".
    RepeatedAddress "repeated_address" Notice false
        "Too many conversions come from clicks of the same address."; "One person or machine that fills forms in, or an office or mobile network with one address for many.";
        "Compare user agents and times of the clicks; raise `more_than` if real people share the address.".
    ClickFlood "click_flood" Notice false
        "Its click was one of too many from the same address on the same campaign."; "A bot, a click farm, a crawler that ignores robots.txt, or somebody's load test.";
        "Look at the source of these clicks; a goal can leave such conversions out.".
    DataCentre "data_centre" Notice false
        "Its click came from an address range that is listed as a data centre's."; "A bot on a rented server, a preview of the link, or a person behind a VPN.";
        "Look at the source; take ranges out of `data_centres` where people come from.".
    BotUserAgent "bot_user_agent" Notice false
        "The user agent of its click names a program that fetches pages by itself."; "A crawler, a preview of the link in a chat, a monitor, a script.";
        "Nothing, if there are few; a goal can leave such conversions out.".
    NoUserAgent "no_user_agent" Notice false
        "Its click came without a user agent."; "A script; browsers always send one.";
        "Look at the source of these clicks; a goal can leave such conversions out.".
    Prefetch "prefetch" Notice false
        "A browser fetched its click's page before anybody asked for it."; "A browser or an app that prepares pages which a person may open.";
        "Nothing; whoever then opens the page does not always make a second click.".
    HeadRequest "head_request" Notice false
        "Its click asked for the head of the answer only, so nobody saw a page."; "A checker of links, of a platform or of a mail program.";
        "Nothing; a goal can leave such conversions out.".
    StepWithoutClick "step_without_click" Notice false
        "Its click is a step from a lander to an offer that named none of our clicks."; "A lander that drops the click id, a visitor without cookies, or a shared link.";
        "Let the lander's link carry the click id: /o/an-offer?cid=..".
    FxPending "fx_pending" Problem true
        "Booked, but its amount cannot be told in the base currency: there is no rate for its day."; "Rates that were not imported, or a currency that the central bank does not publish.";
        "Import rates with `crosstally fx import`, or set one with `crosstally fx set`; it is then priced by itself.".
    // --- attribution and goals
    NoClickId "no_click_id" Notice false
        "Booked without a click: the call had no click id."; "The partner identifies sales by transaction id only.";
        "Pass the click id through the funnel if the click matters.".
    GoalMet "goal_met" Fine false
        "The goal's condition is met."; "The conversion is what the goal asks for.";
        "Nothing.".
    GoalNotMet "goal_not_met" Fine false
        "The goal's condition is not met."; "The conversion is not what the goal asks for.";
        "Nothing.".
    GoalAlreadyMet "goal_already_met" Fine false
        "The conversion met this goal before; a goal is met once per conversion."; "A later movement of the same conversion.";
        "Nothing.".
    GoalConditionFailed "goal_condition_failed" Problem false
        "The goal's condition could not be evaluated."; "The condition uses a field that this conversion does not have.";
        "Guard the field with `has(fields.name)`.".
    // --- deliveries
    Delivered "delivered" Fine false
        "The destination confirmed the event."; "All is well.";
        "Nothing.".
    AcceptedUnverified "accepted_unverified" Fine false
        "The destination took the event without saying whether it counts."; "A platform that answers every call alike, or checks what it took only later.";
        "Nothing; compare the platform's own reports when the sums matter.".
    RefusedLater "refused_later" Problem false
        "The destination took the event and found later that it does not count it."; "A click id of another account, a click that is too old or too young, or consent that was denied.";
        "Nothing while the delivery is pending: it is sent once more by itself. Else see the platform's own code in the detail; mend the cause, then replay the delivery.".
    RefusedInPart "refused_in_part" Problem false
        "Of the events of one call the destination found later that it does not count some, and does not tell which."; "The same causes, of some events among many.";
        "See the counts and codes in the detail, and the platform's own report.".
    EventTooOld "event_too_old" Problem false
        "The event is older than the destination accepts."; "A long delay before approval, or a long outage.";
        "Send the goal's event earlier, or set another event time.".
    EventIncomplete "event_incomplete" Problem false
        "The event lacks something that the destination requires, so it was not sent."; "A conversion without a click, an amount or a currency.";
        "See the named field.".
    ConsentDenied "consent_denied" Notice false
        "The visitor's consent does not allow it, so it was not sent."; "The visitor denied consent or the browser sent Sec-GPC: 1, and the destination cannot be told or its consent_policy is to withhold.";
        "Nothing, if that is meant; else set consent_policy of the destination, see docs/consent.md.".
    TemplateUnresolved "template_unresolved" Problem false
        "A macro of the destination's template had nothing that may stand in its place, so the event was not sent."; "A click that came without its source's click id, a status that `map` has no word for, or a macro in brackets that are not read.";
        "The detail names the macro: add the parameter to the click link, a word or `*` to the map, or a `default`; then replay the deliveries.".
    TakenBack "taken_back" Fine false
        "The sale was rejected or reversed before its event left, so it was not sent."; "A refund or rejection within the goal's delay, or while the destination was paused.";
        "Nothing.".
    CancelledByHand "cancelled_by_hand" Notice false
        "Somebody called the event off while it waited, so it was not sent."; "`deliveries cancel`: it was not wanted any more, or its destination is gone for good.";
        "Nothing, if that was meant; else `deliveries replay` sends it.".
    FirstDeliveryStands "first_delivery_stands" Notice false
        "The event had arrived and was sent once more; that was not taken, and the first delivery still stands."; "A replay of delivered events to a destination that knows them, or that is down.";
        "Nothing; the attempts show the answer.".
    NothingToAdjust "nothing_to_adjust" Fine false
        "The event that this one would adjust never arrived, or the destination takes no adjustment."; "A reversal of an event that was refused, expired or withheld.";
        "Nothing.".
    StandsAgain "stands_again" Fine false
        "The sale stood again before its retraction left, so that was not sent."; "A rejection that was put right while the destination was paused or slow.";
        "Nothing.".
    RetractionStands "retraction_stands" Problem false
        "The sale stands again, but the destination has taken its conversion out of the count for good."; "A sale that is approved once more after its rejection was told where retractions are final.";
        "Nothing can be sent; tell the partner to reject only what is final, or restate in place of retracting (`retractions = false`).".
    UnknownThere "unknown_there" Notice true
        "The destination does not know the event that this one adjusts, or not yet; it is tried again."; "A conversion that the platform still processes, or one that it took and did not count.";
        "Nothing, if it is young; else compare the platform's own report: it may never have counted the conversion.".
    AdjustmentsHeld "adjustments_held" Problem true
        "The destination takes events and not their adjustments, which wait and are tried again; events go on."; "An account, project or token that may not use the platform's API for adjustments, or a version of it that is gone.";
        "Do what the detail of the attempt says.".
    DestRejected "dest_rejected" Problem false
        "The destination refused the event for good."; "A field that the platform does not accept.";
        "See the platform's answer.".
    DestAuth "dest_auth" Problem false
        "The destination does not accept the token; sending is paused and everything waits."; "An expired or revoked token.";
        "Set a new token; sending goes on by itself.".
    DestPermission "dest_permission" Problem false
        "The token may not write to this dataset; sending is paused and everything waits."; "A token of another business, or a wrong dataset id.";
        "Give the token's user access to the dataset.".
    DestMisconfigured "dest_misconfigured" Problem false
        "The destination's settings do not work; sending is paused and everything waits."; "A wrong id or endpoint.";
        "Correct the destination's settings.".
    DestRateLimited "dest_rate_limited" Notice true
        "The destination asks to slow down."; "Too many calls for its quota.";
        "Nothing; it is tried again at the time the destination names.".
    DestServerError "dest_server_error" Notice true
        "The destination failed on its side."; "An outage of the platform.";
        "Nothing; it is tried again.".
    DestTimeout "dest_timeout" Notice true
        "The destination did not answer in time."; "An outage, or a slow network.";
        "Nothing; it is tried again under the same event id.".
    DestUnreachable "dest_unreachable" Notice true
        "The destination could not be reached."; "DNS, network, TLS, or nobody listens there.";
        "Check the endpoint and the network if it lasts.".
    DestRedirected "dest_redirected" Problem true
        "The destination answered with a redirect, which is never followed."; "A moved endpoint, or a login page.";
        "Set the endpoint to the final address.".
    DestUnreadable "dest_unreadable" Notice true
        "The destination's answer could not be understood, so the event counts as not confirmed."; "A proxy's error page.";
        "See the answer.".
    DestPartial "dest_partial" Notice true
        "The destination confirmed fewer events than were sent."; "The platform dropped some without saying which.";
        "Nothing; the batch is sent again and deduplicated there.".
    DestGone "dest_gone" Problem false
        "The destination says that it is gone for good (410); sending is paused and everything waits."; "A removed endpoint.";
        "Set the new endpoint.".
    AddressForbidden "address_forbidden" Problem false
        "The destination's address is private or otherwise not allowed; sending is paused and everything waits."; "A hostname that resolves into the own network.";
        "Set `allow_private = true` on the destination if that is meant.".
    OwnAddress "own_address" Problem false
        "The destination leads back to this server itself; sending is paused and everything waits."; "A URL with this server's own host or port in place of the receiver's.";
        "Name the receiver's own address; if the host is somebody else's after all, take it out of `public_hosts` of the workspace.".
    SecretMissing "secret_missing" Problem false
        "A secret that the destination needs is not set on this node; sending is paused and everything waits."; "An environment variable or file that is missing.";
        "Set it and start the server again.".
    PausedByHand "paused_by_hand" Notice false
        "Somebody paused the destination; everything waits until somebody resumes it."; "`destinations pause`, or the same by the API.";
        "`destinations resume`, when it may go on.".
    OutcomeUnknown "outcome_unknown" Notice true
        "The attempt was cut off before its outcome was known; it is tried again under the same event id."; "The process was stopped or killed in mid-call.";
        "Nothing.".
    RetriesExhausted "retries_exhausted" Problem false
        "The schedule of attempts is used up."; "A destination that was down for days.";
        "Retry by hand when the destination is back.".
    DestinationRemoved "destination_removed" Problem false
        "The destination is no longer in the configuration; its events wait."; "A change of configuration.";
        "Add it again, send them elsewhere (`deliveries replay --to --state held`), or call them off (`deliveries cancel`).".
}

impl Reason {
    /// The stable code, e.g. `click_unknown`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.about().code
    }

    /// The labels that a conversion can have: what goals, holds and alerts may ask for.
    pub const LABELS: &'static [Self] = &[
        Self::TooFast,
        Self::ClickChanged,
        Self::LateApproval,
        Self::RepeatedContact,
        Self::RepeatedAddress,
        Self::ClickFlood,
        Self::DataCentre,
        Self::BotUserAgent,
        Self::NoUserAgent,
        Self::Prefetch,
        Self::HeadRequest,
        Self::StepWithoutClick,
    ];

    /// Whether it is an answer by which a destination lets nobody in, so that all wait. A destination may give it to one event
    /// alone.
    #[must_use]
    pub const fn is_shut_door(self) -> bool {
        matches!(self, Self::DestAuth | Self::DestPermission | Self::DestMisconfigured | Self::DestGone)
    }

    /// Reads a code back.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.code())
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom("unknown reason code"))
    }
}

#[cfg(test)]
mod tests;
