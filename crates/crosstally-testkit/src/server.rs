//! A whole server in the test's own process: the real doors, engine, store and sandbox, under a clock that the test moves.
#![expect(clippy::disallowed_methods, reason = "a test runs its servers on tasks of its own")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use crosstally_core::time::Timestamp;
use crosstally_engine::Engine;
use crosstally_engine::clock::{Clock, FakeClock};
use crosstally_engine::delivery;
use crosstally_engine::open::Parts;
use crosstally_engine::random::Random;
use crosstally_engine::secrets::FixedSecrets;
use crosstally_http::{DoorOptions, Doors, Listening, State, serve};
use crosstally_sandbox::Sandbox;
use crosstally_store::{OpenOptions, Store};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::client::{self, Reply};
use crate::database::{Database, Kind};

/// The time at which every test begins: 2026-11-21 10:00 UTC.
pub const START: Timestamp = Timestamp::from_millis(1_795_255_200_000);

/// A server, its sandbox and its clock.
pub struct TestServer {
    /// The engine behind the doors.
    pub engine: Engine,
    /// The clock that the test moves.
    pub clock: FakeClock,
    /// The tracking listener.
    pub tracking: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The sandbox.
    pub sandbox: SocketAddr,
    /// A token that may do everything.
    pub token: String,
    /// The database; it goes away with the server.
    pub database: Database,
    stop: watch::Sender<bool>,
}

/// The configuration that most journeys run with. `SANDBOX` stands for the sandbox's address.
pub const CONFIG: &str = r#"
[workspace]
base_currency = "USD"
timezone = "UTC"

[[source]]
slug = "facebook"
preset = "meta"

[[campaign]]
slug = "summer"
source = "facebook"
target = "https://lander.example/p?cid={click_id}&s={sub1}"
cost_model = { kind = "cpc", amount = "0.25", currency = "USD" }

[[partner]]
slug = "acme"
preset = "generic"
currency = "USD"

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "1234567890"
access_token = { env = "META_TOKEN" }
endpoint = "http://SANDBOX"
allow_private = true

[[goal]]
slug = "purchase"
role = "learning_signal"
when = "status == 'approved' && value > 0"
event_name = "Purchase"
send_to = ["meta-main"]
"#;

impl TestServer {
    /// Starts a server over a fresh database, with a fresh sandbox, nothing configured.
    ///
    /// # Errors
    /// Something could not be started.
    pub async fn start(kind: Kind) -> Result<Self> {
        Self::over(Database::fresh(kind).await?, DoorOptions::default()).await
    }

    /// Starts a server with [`CONFIG`] behind doors of one's own.
    ///
    /// # Errors
    /// Something could not be started.
    pub async fn behind(kind: Kind, doors: DoorOptions) -> Result<Self> {
        let server = Self::over(Database::fresh(kind).await?, doors).await?;
        server.apply(CONFIG).await?;
        Ok(server)
    }

    /// Starts a server with [`CONFIG`].
    ///
    /// # Errors
    /// Something could not be started.
    pub async fn ready(kind: Kind) -> Result<Self> {
        let server = Self::start(kind).await?;
        server.apply(CONFIG).await?;
        Ok(server)
    }

    async fn over(database: Database, doors: DoorOptions) -> Result<Self> {
        let clock = FakeClock::at(START);
        let random = Random::seeded(7);
        let store = Store::open(OpenOptions::at(database.location())).await?;
        let secrets = [
            ("META_TOKEN", "tok-good"),
            ("ACME_TOKEN", "acme-secret"),
            ("ACME_OLD", "whsec_b2xkLXNlY3JldC1vZi1hY21lLTAwMDE="),
            ("ACME_NEW", "whsec_bmV3LXNlY3JldC1vZi1hY21lLTAwMDI="),
        ];
        let secrets: BTreeMap<String, String> =
            secrets.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let engine = Engine::build(Parts {
            store,
            clock: Arc::new(clock.clone()),
            random,
            secret_source: Arc::new(FixedSecrets(secrets)),
            master_key: Some([9; 32]),
            spool: &database.directory().join("spool"),
        })
        .await?;
        let sandbox = sandbox(clock.clone()).await?;
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let listening = Listening::bind(&Doors { tracking: Some(local), admin: Some(local) })?;
        let tracking = listening.tracking().context("bound")?;
        let admin = listening.admin().context("bound")?;
        engine.http_out.listens_at(listening.addresses());
        engine.door.opens_at(tracking);
        let (stop, stopped) = watch::channel(false);
        let state = State { engine: engine.clone(), options: Arc::new(doors) };
        tokio::task::spawn(serve(listening, state, stopped));
        let token = engine.create_token("test", &["admin".to_owned()]).await?.token;
        Ok(Self { engine, clock, tracking, admin, sandbox, token, database, stop })
    }

    /// Applies a configuration; `SANDBOX` in it stands for the sandbox's address.
    ///
    /// # Errors
    /// It has mistakes.
    pub async fn apply(&self, document: &str) -> Result<()> {
        let document = document.replace("SANDBOX", &self.sandbox.to_string());
        self.engine.apply_config(&document, "test.toml", None, "test").await.map_err(|error| {
            anyhow::anyhow!(match error {
                crosstally_engine::settings::ApplyError::Invalid(problems) =>
                    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
                other => other.to_string(),
            })
        })?;
        Ok(())
    }

    /// Clicks on a campaign's link; returns the click id from the redirect.
    ///
    /// # Errors
    /// The answer is not a redirect with a click id.
    pub async fn click(&self, query: &str) -> Result<String> {
        let request =
            http::Request::get(format!("/c/summer?{query}")).header("user-agent", "Mozilla/5.0 test");
        let reply = client::send(self.tracking, request.body(http_body_util::Full::default())?).await?;
        if reply.status != 302 {
            bail!("a click was answered {}: {}", reply.status, reply.text());
        }
        let location = reply.header("location").context("no location")?;
        let (_, rest) = location.split_once("cid=").context("no click id in the target")?;
        Ok(rest.split('&').next().unwrap_or(rest).to_owned())
    }

    /// Sends a postback of `acme`.
    ///
    /// # Errors
    /// The network failed.
    pub async fn postback(&self, query: &str) -> Result<Reply> {
        client::get(self.tracking, &format!("/postback/acme?{query}")).await
    }

    /// Delivers until nothing is due at the clock's present time.
    ///
    /// # Errors
    /// The store failed.
    pub async fn deliver(&self) -> Result<()> {
        delivery::deliver_until_idle(&self.engine).await.map(drop).map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// What the sandbox accepted, oldest first.
    ///
    /// # Errors
    /// The network failed.
    pub async fn accepted(&self) -> Result<Vec<Value>> {
        let reply = client::get(self.sandbox, "/_sandbox/events").await?.json()?;
        Ok(reply.get("data").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Tells the sandbox to misbehave.
    ///
    /// # Errors
    /// The sandbox does not know this fault.
    pub async fn fault(&self, fault: &Value) -> Result<()> {
        let reply =
            client::post(self.sandbox, "/_sandbox/faults", "application/json", fault.to_string()).await?;
        if reply.status >= 300 { bail!("the sandbox refused the fault: {}", reply.text()) } else { Ok(()) }
    }

    /// Lets the sandbox forget all that it has seen, faults too.
    ///
    /// # Errors
    /// The network failed.
    pub async fn forget(&self) -> Result<()> {
        let request = http::Request::delete("/_sandbox").body(http_body_util::Full::default())?;
        client::send(self.sandbox, request).await.map(drop)
    }

    /// Takes all faults back; what was accepted stays.
    ///
    /// # Errors
    /// The network failed.
    pub async fn no_faults(&self) -> Result<()> {
        let request = http::Request::delete("/_sandbox/faults").body(http_body_util::Full::default())?;
        client::send(self.sandbox, request).await.map(drop)
    }

    /// Asks the admin API.
    ///
    /// # Errors
    /// The network failed, or the answer is not JSON.
    pub async fn api(&self, path: &str) -> Result<Value> {
        client::get_as(self.admin, path, &self.token).await?.json()
    }

    /// Moves the clock.
    pub fn advance(&self, ms: i64) {
        self.clock.advance(ms);
    }

    /// Stops the doors and closes the store.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.engine.store.close().await;
    }
}

async fn sandbox(clock: FakeClock) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let sandbox = Sandbox::new(Arc::new(move || clock.now().as_millis()));
    tokio::task::spawn(crosstally_sandbox::serve(listener, sandbox, std::future::pending()));
    Ok(address)
}
