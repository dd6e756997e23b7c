//! The steps of a postback as tables of cases, from raw bytes to the booking.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use super::book::{self, Context};
use super::normalise::{self, Setting};
use super::*;
use crate::click::AdClickIds;
use crate::condition::Condition;
use crate::config::{Auth, Campaign, Config, Destination, EventIdMode, Goal, Leads, Partner, Role};
use crate::contract::{Contract, DuplicateMode, Meaning, Terms, ValueOf};
use crate::ids::ClickIdKey;
use crate::params::Params;
use crate::target::Target;
use crate::time::DAY_MS;
use crate::verdict::Stop;

mod labels;
mod order;
mod shown;
const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);

fn key() -> ClickIdKey {
    ClickIdKey::new(&[7; 32])
}

fn terms() -> Terms {
    Terms {
        statuses: BTreeMap::from([
            ("1".into(), Meaning::Status(Status::Approved)),
            ("pending review".into(), Meaning::Status(Status::Hold)),
        ]),
        ..Terms::default()
    }
}

fn partner_of(own: Terms) -> Partner {
    Partner {
        slug: "acme".into(),
        preset: "generic".into(),
        contract: Contract::new(&own, &Terms::default()),
        own,
        auth: Auth::default(),
        rate: None,
        drop_in: None,
    }
}

fn partner() -> Partner {
    partner_of(terms())
}

fn set(partner: &mut Partner, change: impl FnOnce(&mut Terms)) {
    change(&mut partner.own);
    partner.contract = Contract::new(&partner.own, &Terms::default());
}

fn goal(slug: &str, when: &str, event_name: &str) -> Goal {
    Goal {
        slug: slug.into(),
        role: Role::LearningSignal,
        when: Condition::compile(when).unwrap(),
        event_name: event_name.into(),
        send_to: vec!["meta-main".into()],
        delay_ms: 0,
        event_id: EventIdMode::Shared,
        send_value: crate::config::SendValue::Value,
        value_at: crate::config::ValueAt::Lead,
        expected: None,
        action_source: None,
    }
}

fn config(partner: Partner) -> Config {
    Config {
        campaigns: vec![Campaign {
            slug: "summer".into(),
            source: "facebook".into(),
            leads: Leads::Target(Target::parse("https://lander.example/p?cid={click_id}").unwrap()),
            redirect: crate::redirect::Redirect::default(),
            sticky: crate::rotation::Sticky::default(),
            cost_model: None,
            test: false,
            sites: Vec::new(),
        }],
        partners: vec![partner],
        destinations: vec![Destination {
            slug: "meta-main".into(),
            kind: "meta".into(),
            ..Destination::default()
        }],
        goals: vec![
            goal("purchase", "status == 'approved' && value > 0", "Purchase"),
            goal("lead", "status == 'lead'", "Lead"),
        ],
        ..Config::empty()
    }
}

fn click() -> Click {
    Click {
        id: ClickId::new(&key(), NOW.plus_millis(-60_000), [1; 7]),
        at: NOW.plus_millis(-60_000),
        campaign: "summer".into(),
        source: "facebook".into(),
        query: "fbclid=AbC&sub1=x".into(),
        target: "https://lander.example/p?cid=1".into(),
        ip: Some("192.0.2.7".parse().unwrap()),
        in_europe: None,
        user_agent: "UA/1.0".into(),
        referrer: String::new(),
        language: String::new(),
        fbc_cookie: String::new(),
        fbp_cookie: String::new(),
        ad_click_ids: AdClickIds::from_stored("{\"fbclid\":\"AbC\"}"),
        cost: None,
        gpc: false,
        test: false,
        labels: Vec::new(),
        way: None,
    }
}

fn read(query: &str, partner: &Partner) -> Result<Postback, Stop> {
    let inbound =
        Inbound { method: "GET".into(), partner: "acme".into(), query: query.into(), ..Inbound::default() };
    let row = body::rows(&inbound, partner.contract.encoding())?.remove(0);
    let fields = parse::fields(row.params?, &inbound.headers, &partner.contract)?;
    let workspace = config(partner.clone()).workspace;
    let setting = Setting { partner, workspace: &workspace, click_id_key: &key(), received_at: NOW };
    normalise::postback(&fields, setting)
}

fn receipt(number: u8) -> Receipt {
    Receipt {
        id: ReceiptId::new(NOW, [number; 10]),
        received_at: NOW,
        partner: "acme".into(),
        method: "GET".into(),
        query: Vec::new(),
        body: Vec::new(),
        content_type: String::new(),
        peer: String::new(),
        user_agent: String::new(),
        verdict: Verdict::Refused,
        reason: None,
        detail: String::new(),
        conversion: None,
        sequence: None,
        click: None,
        read: Arc::default(),
        goals: Vec::new(),
        revision: 0,
        headers: Headers::default(),
        contact: Contact::default(),
        sealed: None,
        labels: Vec::new(),
        awaits: None,
    }
}

/// A partner's calls one after the other, as the store would have them booked.
struct Story {
    config: Config,
    click: Option<Click>,
    conversion: Option<Conversion>,
    entries: Vec<LedgerEntry>,
    seen: Vec<crate::fraud::Seen>,
    number: u8,
}

impl Story {
    fn new(partner: Partner) -> Self {
        Self {
            config: config(partner),
            click: Some(click()),
            conversion: None,
            entries: Vec::new(),
            seen: Vec::new(),
            number: 0,
        }
    }

    fn call(&mut self, query: &str) -> Booking {
        let partner = self.config.partners[0].clone();
        let query = query.replace("CLICK", &click().id.to_string());
        let postback = read(&query, &partner).unwrap();
        let facts = Facts {
            click: self.click.clone().filter(|click| postback.click == ClickRef::Ours(click.id)),
            conversion: self.conversion.clone(),
            attributed: self.conversion.as_ref().and_then(|known| known.click).and(self.click.clone()),
            entries: self.entries.clone(),
            nonce_used_by: None,
            seen: self.seen.clone(),
        };
        self.number += 1;
        let mut counter = self.number;
        let key = dedupe::key(&postback, &partner.contract).unwrap();
        let context = Context {
            config: &self.config,
            partner: &partner,
            rates: &crate::fx::Rates::default(),
            measured: &[],
            key: &key,
            received_at: NOW,
            now: NOW,
            max_age_ms: &|_, _| 7 * DAY_MS,
            mode: partner.contract.duplicates(postback.event.as_deref()),
            random: &mut || {
                counter = counter.wrapping_add(16);
                [counter; 10]
            },
        };
        let booking = book::book(&postback, &facts, receipt(self.number), context);
        if let Some(change) = &booking.conversion {
            self.conversion = Some(change.conversion().clone());
        }
        self.entries.extend(booking.entry.clone());
        booking
    }
}

#[test]
fn a_call_is_read_by_accepted_names_in_any_order_and_case() {
    let id = click().id;
    for query in [
        format!("click_id={id}&transaction_id=T1&status=approved&payout=12.34&currency=usd"),
        format!(
            "CURRENCY=USD&Commission=12.34&STATUS=Approved&tid=T1&subid={}",
            id.to_string().to_uppercase()
        ),
        format!("sub_id={id}&order_id=T1&status=1&payout=12.340"),
        format!("cid={id}&lead_id=T1&payout=12.34&payout=12.34&empty="),
    ] {
        let postback = read(&query, &partner()).unwrap();
        assert_eq!(postback.click, ClickRef::Ours(id), "{query}");
        assert_eq!(postback.transaction_id.as_deref(), Some("T1"), "{query}");
        assert_eq!(postback.status, Status::Approved, "{query}");
        assert_eq!(postback.amounts.value, Some(1234), "{query}");
    }
}

#[test]
fn the_partners_own_names_come_first_and_belong_to_their_field_alone() {
    let mut partner = partner();
    set(&mut partner, |own| {
        own.params = BTreeMap::from([
            ("click_id".into(), vec!["aff_sub".into()]),
            ("payout".into(), vec!["sum".into()]),
        ]);
    });
    let postback = read(&format!("aff_sub={}&sum=3&cid=campaign9", click().id), &partner).unwrap();
    assert_eq!(postback.click, ClickRef::Ours(click().id));
    assert_eq!((postback.amounts.payout, postback.amounts.revenue), (Some(300), None));
}

#[test]
fn breaches_of_the_contract_stop_with_the_reason() {
    use Reason::*;
    for (query, verdict, reason) in [
        ("payout=1", Verdict::Refused, IdentityMissing),
        ("tid=1&payout=1,50", Verdict::Refused, AmountNotANumber),
        ("tid=1&payout=1.505", Verdict::Refused, AmountTooPrecise),
        ("tid=1&payout=-1", Verdict::Refused, AmountNegative),
        ("tid=1&payout=99999999999999999", Verdict::Refused, AmountTooLarge),
        ("tid=1&payout=1&payout=9", Verdict::Refused, RepeatedField),
        ("tid=1&payout=1&commission=9", Verdict::Refused, RepeatedField),
        ("tid=1&tid=2", Verdict::Refused, RepeatedField),
        ("tid=1&currency=EURO", Verdict::Refused, CurrencyUnknown),
        ("tid=1&event_time=tomorrow", Verdict::Refused, EventTimeUnreadable),
        ("tid=1&event_time=1764209999", Verdict::Refused, EventTimeInFuture),
        ("tid=a%00b", Verdict::Refused, ControlCharacter),
        ("tid=%ED%A0%80", Verdict::Refused, BadEncoding),
        ("tid=1&payout={payout}", Verdict::Quarantined, MacroUnresolved),
        ("tid=1&status=whatever", Verdict::Quarantined, StatusUnmapped),
        ("tid=1&event={goal_name}", Verdict::Quarantined, MacroUnresolved),
        ("tid=1&event_id=[EVENT_ID]", Verdict::Quarantined, MacroUnresolved),
        ("tid=1&external_id=__UID__", Verdict::Quarantined, MacroUnresolved),
    ] {
        let stop = read(query, &partner()).unwrap_err();
        assert_eq!((stop.verdict, stop.reason), (verdict, reason), "{query}: {}", stop.detail);
    }
    let many = "a=1&".repeat(10_000);
    assert_eq!(read(&many, &partner()).unwrap_err().reason, TooManyParams);
}

#[test]
fn with_one_amount_it_is_the_value_and_with_both_the_contract_decides() {
    let mut partner = partner();
    let value = |query: &str, partner: &Partner| read(query, partner).unwrap().amounts.value;
    assert_eq!(value("tid=1&revenue=50", &partner), Some(5000));
    assert_eq!(value("tid=1&revenue=50&payout=5", &partner), Some(500));
    set(&mut partner, |own| own.value = Some(ValueOf::Revenue));
    assert_eq!(value("tid=1&revenue=50&payout=5", &partner), Some(5000));
    assert_eq!(value("tid=1&payout=5", &partner), Some(500));
    assert_eq!(value("tid=1", &partner), None);
}

#[test]
fn lead_hold_approved_reversed_are_four_movements_right_to_the_cent() {
    let mut story = Story::new(partner());
    let lead = story.call("click_id=CLICK&tid=T1&status=lead");
    assert_eq!(lead.receipt.verdict, Verdict::Recorded);
    assert_eq!(lead.goal_events[0].event.event_name, "Lead");
    let hold = story.call("click_id=CLICK&tid=T1&status=hold&payout=10.00");
    assert_eq!(hold.receipt.verdict, Verdict::Updated);
    assert!(hold.deliveries.is_empty());
    let approved = story.call("click_id=CLICK&tid=T1&status=approved&payout=12.34");
    assert_eq!(approved.goal_events.len(), 1);
    let event = &approved.goal_events[0].event;
    assert_eq!((event.event_name.as_str(), event.value.as_deref()), ("Purchase", Some("12.34")));
    assert_eq!(event.event_source_url.as_deref(), Some("https://lander.example/p"));
    assert_eq!(event.visitor.fbc.as_deref(), Some("fb.1.1764201540000.AbC"));
    assert_eq!(event.event_id, lead.goal_events[0].event.event_id);
    let reversed = story.call("click_id=CLICK&tid=T1&status=reversed");
    assert!(reversed.goal_events.is_empty());
    let deltas: Vec<_> =
        story.entries.iter().map(|entry| (entry.confirmed_delta, entry.pending_delta)).collect();
    assert_eq!(deltas, [(0, 0), (0, 1000), (1234, -1000), (-1234, 0)]);
    assert_eq!(crate::ledger::Balance::of(&story.entries), crate::ledger::Balance::default());
}

#[test]
fn repeats_are_told_apart() {
    let mut story = Story::new(partner());
    story.call("click_id=CLICK&tid=T1&status=hold&payout=10");
    story.call("click_id=CLICK&tid=T1&status=approved&payout=10");
    for (query, verdict, reason) in [
        ("click_id=CLICK&tid=T1&status=approved&payout=10.00", Verdict::Duplicate, Some(Reason::SameContent)),
        ("click_id=CLICK&tid=T1&status=approved", Verdict::Duplicate, Some(Reason::SameContent)),
        // The retry of the earlier call, overtaken by the later one.
        ("click_id=CLICK&tid=T1&status=hold&payout=10", Verdict::Duplicate, Some(Reason::SameContent)),
        (
            "click_id=CLICK&tid=T1&status=hold&payout=11",
            Verdict::Quarantined,
            Some(Reason::TransitionRefused),
        ),
        ("click_id=CLICK&tid=T1&payout=10&currency=EUR", Verdict::Quarantined, Some(Reason::CurrencyChanged)),
        ("click_id=CLICK&tid=T1&status=approved&payout=15", Verdict::Updated, None),
    ] {
        let booking = story.call(query);
        assert_eq!((booking.receipt.verdict, booking.receipt.reason), (verdict, reason), "{query}");
    }
    assert_eq!(crate::ledger::Balance::of(&story.entries).confirmed, 1500);
    // The goal was met before: a changed amount is not a second purchase.
    assert!(story.call("click_id=CLICK&tid=T1&status=approved&payout=16").goal_events.is_empty());
}

#[test]
fn an_amount_is_never_read_in_another_currency_than_the_conversion_has() {
    for (first, second) in [
        ("tid=T1&status=approved&payout=1200&currency=JPY", "tid=T1&status=approved&payout=1200"),
        ("tid=T1&status=hold&payout=10.000&currency=KWD", "tid=T1&status=approved&payout=10.000"),
        ("tid=T1&status=hold&payout=10&currency=EUR", "tid=T1&status=approved&payout=11"),
    ] {
        let mut story = Story::new(partner());
        story.call(first);
        let booking = story.call(second);
        let refused =
            booking.receipt.reason.or_else(|| read(second, &partner()).err().map(|stop| stop.reason));
        assert_eq!(refused, Some(Reason::CurrencyChanged), "{second}");
        assert_eq!(booking.entry, None);
        // Without an amount there is nothing to mistake.
        assert_eq!(story.call("tid=T1&status=reversed").receipt.verdict, Verdict::Updated);
    }
    // As long as nothing has a price the currency is open.
    let mut story = Story::new(partner());
    story.call("click_id=CLICK&tid=T1&status=lead");
    let sale = story.call("click_id=CLICK&tid=T1&status=approved&payout=10.00&currency=EUR");
    assert_eq!(sale.receipt.verdict, Verdict::Updated);
    let event = &sale.goal_events[0].event;
    assert_eq!((event.value.as_deref(), event.currency.as_deref()), (Some("10.00"), Some("EUR")));
}

#[test]
fn the_value_follows_from_all_that_is_known() {
    let mut story = Story::new(partner());
    story.call("tid=T1&status=approved&payout=5.00&revenue=50.00");
    let again = story.call("tid=T1&status=approved&revenue=50.00");
    assert_eq!(again.receipt.reason, Some(Reason::SameContent));
    let dearer = story.call("tid=T1&status=approved&revenue=60.00");
    assert_eq!((dearer.receipt.verdict, dearer.entry.unwrap().confirmed_delta), (Verdict::Updated, 0));
    assert_eq!(crate::ledger::Balance::of(&story.entries).confirmed, 500);
    let mut by_revenue = partner();
    set(&mut by_revenue, |own| own.value = Some(ValueOf::Revenue));
    let mut story = Story::new(by_revenue);
    story.call("tid=T1&status=hold&payout=5&revenue=50");
    story.call("tid=T1&status=approved&payout=5.00");
    assert_eq!(crate::ledger::Balance::of(&story.entries).confirmed, 5000);
}

#[test]
fn a_later_call_without_its_click_is_still_about_the_click_that_gets_the_credit() {
    let mut story = Story::new(partner());
    story.call("click_id=CLICK&tid=T1&status=lead&event_time=1763330000");
    let approved = story.call("tid=T1&status=approved&payout=3");
    let event = &approved.goal_events[0].event;
    assert_eq!(event.visitor.fbc.as_deref(), Some("fb.1.1764201540000.AbC"));
    assert_eq!(event.action_source, "website");
    // The approval is an event of its own: it happened now, not when the lead did, and is not too old to send.
    assert_eq!(event.event_time, NOW);
    assert!(approved.deliveries[0].deadline_at > NOW);
}

#[test]
fn a_real_conversion_stays_real_when_its_campaign_becomes_a_test() {
    let mut story = Story::new(partner());
    story.call("click_id=CLICK&tid=T1&status=approved&payout=3");
    story.config.campaigns[0].test = true;
    assert_eq!(story.call("click_id=CLICK&tid=T1&status=reversed").receipt.verdict, Verdict::Updated);
    assert_eq!(crate::ledger::Balance::of(&story.entries).confirmed, 0);
}

#[test]
fn in_mode_ignore_a_change_is_kept_out_and_visible() {
    let mut partner = partner();
    set(&mut partner, |own| own.duplicates = Some(DuplicateMode::Ignore));
    let mut story = Story::new(partner);
    story.call("click_id=CLICK&tid=T1&status=hold&payout=10");
    let booking = story.call("click_id=CLICK&tid=T1&status=approved&payout=12");
    assert_eq!(
        (booking.receipt.verdict, booking.receipt.reason),
        (Verdict::Duplicate, Some(Reason::ChangeIgnored))
    );
    assert_eq!(booking.entry, None);
}

#[test]
fn without_a_transaction_id_the_click_and_the_event_name_the_conversion() {
    let key = |query: &str| {
        dedupe::key(
            &read(&query.replace("CLICK", &click().id.to_string()), &partner()).unwrap(),
            &partner().contract,
        )
        .unwrap()
        .key
    };
    assert_eq!(key("click_id=CLICK&payout=1"), key("click_id=CLICK&payout=2"));
    assert_ne!(key("click_id=CLICK&event=Signup"), key("click_id=CLICK&event=Deposit"));
    assert_eq!(key("click_id=CLICK&event=Signup"), key("click_id=CLICK&event=signup"));
    assert_eq!(key("tid=T1&click_id=CLICK"), key("tid=T1"));
}

#[test]
fn foreign_and_unknown_clicks_wait() {
    let mut story = Story::new(partner());
    story.click = None;
    let booking = story.call("click_id=CLICK&tid=T1&payout=1");
    assert_eq!(
        (booking.receipt.verdict, booking.receipt.reason),
        (Verdict::Quarantined, Some(Reason::ClickUnknown))
    );
    let booking = story.call("click_id=0123&tid=T1&payout=1");
    assert_eq!(booking.receipt.reason, Some(Reason::ClickIdMalformed));
    let booking = story.call("click_id=01234567890123456789012345&tid=T1&payout=1");
    assert_eq!(booking.receipt.reason, Some(Reason::ClickIdForged));
    assert_eq!((booking.conversion, booking.entry), (None, None));
}

#[test]
fn a_test_click_books_nothing() {
    let mut story = Story::new(partner());
    story.config.campaigns[0].test = true;
    let booking = story.call("click_id=CLICK&tid=T1&payout=1");
    assert_eq!((booking.receipt.verdict, booking.receipt.reason), (Verdict::Test, Some(Reason::TestCall)));
    assert!(booking.deliveries.is_empty() && booking.entry.is_none());
}

#[test]
fn every_goal_says_why_and_why_not() {
    let mut story = Story::new(partner());
    story.config.goals.push(goal("broken", "fields.nothing == 'x'", "X"));
    story.config.goals.push(goal("mapped", "click.sub1 == 'x' && attributed && payout >= 1.5", "Y"));
    let booking = story.call("click_id=CLICK&tid=T1&payout=1.50");
    let told: Vec<_> = booking.receipt.goals.iter().map(|d| (d.goal.as_str(), d.reason)).collect();
    assert_eq!(
        told,
        [
            ("purchase", Reason::GoalMet),
            ("lead", Reason::GoalNotMet),
            ("broken", Reason::GoalConditionFailed),
            ("mapped", Reason::GoalMet),
        ]
    );
}

#[test]
fn the_browsers_event_id_is_shared_and_an_own_one_is_derived() {
    let mut story = Story::new(partner());
    story.config.goals[1] =
        Goal { event_id: EventIdMode::Own, ..goal("approve", "status == 'approved'", "Approve") };
    let booking = story.call("click_id=CLICK&tid=T1&payout=1&event_id=browser-7");
    assert_eq!(booking.goal_events[0].event.event_id, "browser-7");
    let own = &booking.goal_events[1].event.event_id;
    assert!(own.len() == 32 && own != "browser-7");
}
