//! An engine over a real store in a throw-away directory, under a clock that stands still, and a platform that answers
//! as a test says, over a real socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crosstally_core::postback::Inbound;
use crosstally_core::time::Timestamp;
use crosstally_store::{
    AttemptRecord, DeliveryFilter, DeliveryRecord, DestinationState, Location, OpenOptions, Places, Store,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::Engine;
use crate::clock::{Clock, FakeClock};
use crate::delivery::{Delivered, deliver_until_idle};
use crate::http_out::tests::peer::Peer;
use crate::open::Parts;
use crate::random::Random;
use crate::secrets::FixedSecrets;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);
pub(super) const TOKEN: &str = "tok/en s3cret";

/// What the platform does with a call.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Confirms every event.
    Accept,
    /// This status, further header lines, and this body.
    Say(u16, &'static str, String),
    /// Nothing, ever.
    Hang,
    /// Waits until the test says go, then does as that says.
    Held,
}

/// A call as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) text: String,
    pub(super) events: Vec<Value>,
}

pub(super) struct Platform {
    peer: Peer,
    calls: watch::Receiver<Vec<Call>>,
    pub(super) go: watch::Sender<Option<Reply>>,
}

type Script = Arc<Mutex<dyn FnMut(&Call) -> Reply + Send>>;

/// Whatever a test waits for comes soon, or the test fails in place of hanging.
pub(super) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

impl Platform {
    pub(super) async fn start(script: impl FnMut(&Call) -> Reply + Send + 'static) -> Self {
        let (seen, calls) = watch::channel(Vec::new());
        let (go, wait) = watch::channel(None);
        let script: Script = Arc::new(Mutex::new(script));
        let peer = Peer::start(move |mut peer| {
            let (seen, wait, script) = (seen.clone(), wait.clone(), Arc::clone(&script));
            async move {
                loop {
                    let text = peer.read_request().await;
                    if text.is_empty() {
                        return;
                    }
                    let call = Call::read(text);
                    let mut reply = (script.lock().unwrap())(&call);
                    seen.send_modify(|calls: &mut Vec<Call>| calls.push(call.clone()));
                    if matches!(reply, Reply::Held) {
                        reply = wait.clone().wait_for(Option::is_some).await.unwrap().clone().unwrap();
                    }
                    let answer = match reply {
                        Reply::Accept => accepted(call.events.len()),
                        Reply::Say(status, headers, body) => answer(status, headers, &body),
                        Reply::Hang | Reply::Held => return peer.wait_for_close().await,
                    };
                    peer.write(answer.as_bytes()).await;
                }
            }
        })
        .await;
        Self { peer, calls, go }
    }

    /// How many events each call carried, in order of arrival.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.calls.borrow().iter().map(|call| call.events.len()).collect()
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.borrow().clone()
    }

    pub(super) async fn has_seen(&self, calls: usize) {
        let mut seen = self.calls.clone();
        let enough = seen.wait_for(|seen| seen.len() >= calls);
        soon("the calls come", enough).await.unwrap();
    }

    pub(super) async fn has_seen_events(&self, events: usize) {
        let mut seen = self.calls.clone();
        let enough = seen.wait_for(|seen| seen.iter().map(|call| call.events.len()).sum::<usize>() >= events);
        soon("the events come", enough).await.unwrap();
    }
}

impl Call {
    fn read(text: String) -> Self {
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        // A call without a body carries its one event in the URL.
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let events = body["data"].as_array().cloned().unwrap_or_else(|| vec![Value::Null]);
        Self { text, events }
    }

    pub(super) fn carries(&self, value: &str) -> bool {
        self.text.contains(&format!("\"value\":{value},"))
    }
}

fn accepted(events: usize) -> String {
    answer(200, "", &format!(r#"{{"events_received":{events},"messages":[],"fbtrace_id":"A1"}}"#))
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn graph_error(status: u16, code: i64) -> Reply {
    Reply::Say(status, "", format!(r#"{{"error":{{"message":"No","code":{code},"fbtrace_id":"A2"}}}}"#))
}

/// One node.
pub(super) struct Desk {
    pub(super) engine: Engine,
    pub(super) clock: FakeClock,
    pub(super) platform: Arc<Platform>,
    pub(super) folder: Arc<TempDir>,
}

impl Desk {
    pub(super) async fn at(platform: Platform) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::open(OpenOptions::at(Location::Directory(folder.path().join("data")))).await.unwrap();
        let clock = FakeClock::at(NOW);
        let secrets = [("META_TOKEN", TOKEN), ("NEW_TOKEN", "another")];
        let engine = engine(store, Arc::new(clock.clone()), &secrets, &folder).await;
        let desk = Self { engine, clock, platform: Arc::new(platform), folder: Arc::new(folder) };
        desk.apply("META_TOKEN").await;
        desk
    }

    /// The same facts under another clock or with other secrets: another node.
    pub(super) async fn node(&self, clock: Arc<dyn Clock>, secrets: &[(&str, &str)]) -> Engine {
        engine(self.engine.store.clone(), clock, secrets, &self.folder).await
    }

    pub(super) async fn apply(&self, token: &str) {
        let settings = format!(
            r#"
            kind = "meta"
            dataset_id = "1234567890"
            access_token = {{ env = "{token}" }}
            endpoint = "{}"
            "#,
            self.platform.peer.url("")
        );
        self.apply_destination(&settings).await;
    }

    /// The same destination as a partner's plain URL.
    pub(super) async fn apply_postback(&self) {
        self.apply_postback_with("").await;
    }

    pub(super) async fn apply_postback_with(&self, more: &str) {
        let url = self.platform.peer.url("/p");
        let settings = format!("kind = \"postback\"\nurl = \"{url}?id={{event_id}}\"\n{more}");
        self.apply_destination(&settings).await;
    }

    /// The same destination as an account of Google, which wants a sign-in.
    pub(super) async fn apply_google(&self) {
        self.apply_google_as("app.example").await;
    }

    pub(super) async fn apply_google_as(&self, client_id: &str) {
        let settings = format!(
            r#"
            kind = "google_data_manager"
            account_id = "1234567890"
            conversion_actions = {{ Purchase = "1" }}
            client_id = "{client_id}"
            client_secret = {{ env = "META_TOKEN" }}
            refresh_token = {{ env = "META_TOKEN" }}
            endpoint = "{}"
            token_endpoint = "{}"
            "#,
            self.platform.peer.url(""),
            self.platform.peer.url("/token"),
        );
        self.apply_destination(&settings).await;
    }

    async fn apply_destination(&self, settings: &str) {
        let document = format!(
            r#"
            [workspace]
            base_currency = "USD"
            timezone = "UTC"
            [[partner]]
            slug = "acme"
            currency = "USD"
            value = "payout"
            [[destination]]
            slug = "meta-main"
            {settings}
            allow_private = true
            [[goal]]
            slug = "purchase"
            role = "learning_signal"
            when = "true"
            event_name = "Purchase"
            send_to = ["meta-main"]
            delay = "0s"
            "#
        );
        self.engine.apply_config(&document, "test.toml", None, "test").await.unwrap();
        self.engine.refresh_config().await.unwrap();
    }

    /// Books this many sales of ten dollars.
    pub(super) async fn book(&self, from: usize, to: usize) {
        for number in from..to {
            self.book_sale(number, "10.00").await;
        }
    }

    pub(super) async fn book_sale(&self, number: usize, payout: &str) {
        let query = format!(
            "transaction_id=t{number}&status=approved&payout={payout}&external_id=u{number}&event_time={}",
            self.engine.clock.now().as_seconds()
        );
        let inbound = Inbound {
            method: "GET".into(),
            partner: "acme".into(),
            query: query.into_bytes(),
            ..Inbound::default()
        };
        let out = self.engine.receive_postback(inbound).await;
        assert!(out.rows.iter().all(|row| row.conversion.is_some()), "{out:?}");
    }

    pub(super) async fn deliver(&self) -> Delivered {
        deliver_until_idle(&self.engine).await.unwrap()
    }

    /// All deliveries, oldest first.
    pub(super) async fn deliveries(&self) -> Vec<DeliveryRecord> {
        let filter = DeliveryFilter::default();
        let mut all = self.engine.store.list_deliveries(filter, Places::All, None, 5_000).await.unwrap();
        all.reverse();
        all
    }

    pub(super) async fn one(&self) -> DeliveryRecord {
        self.deliveries().await.remove(0)
    }

    pub(super) async fn attempts(&self, of: &DeliveryRecord) -> Vec<AttemptRecord> {
        self.engine.store.attempts(of.id).await.unwrap()
    }

    pub(super) async fn state(&self) -> Option<DestinationState> {
        self.engine.store.destination_states().await.unwrap().pop()
    }
}

async fn engine(store: Store, clock: Arc<dyn Clock>, secrets: &[(&str, &str)], folder: &TempDir) -> Engine {
    let secrets: BTreeMap<String, String> =
        secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let random = Random::from_system().unwrap();
    let spool = folder.path().join(crate::keys::hex_of(random.bytes::<8>()));
    std::fs::create_dir_all(&spool).unwrap();
    let parts = Parts {
        store,
        clock,
        random,
        secret_source: Arc::new(FixedSecrets(secrets)),
        master_key: None,
        spool: &spool,
    };
    Engine::build(parts).await.unwrap()
}
