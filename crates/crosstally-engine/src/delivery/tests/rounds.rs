//! Rounds of look-backs, beside the deliveries of a running lane.

use std::fmt;
use std::sync::{Arc, Mutex};

use crosstally_core::time::MINUTE_MS;
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::desk::{Desk, Platform, Reply, TOKEN, soon};
use super::sign_in::{book, say, token};
use super::stops::Fragile;
use crate::clock::Clock;
use crate::delivery;

/// What is logged as an error.
#[derive(Debug, Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Errors {
    fn tell(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|message| message.contains(words))
    }
}

impl Visit for Errors {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    soon(what, waiting).await;
}

#[tokio::test]
async fn a_round_that_fails_inside_is_told_and_another_one_follows() {
    let platform = Platform::start(|call| match call.text.split(' ').nth(1) {
        Some("/token") => say(200, &token("good")),
        Some("/v1/events:ingest") => say(200, r#"{"requestId":"r-1"}"#),
        _ => Reply::Held,
    });
    let desk = Desk::at(platform.await).await;
    desk.apply_google().await;
    book(&desk, 1).await;
    assert_eq!(desk.deliver().await.delivered, 1);
    desk.clock.advance(31 * MINUTE_MS);
    let errors = Errors::default();
    let _listening = tracing::subscriber::set_default(errors.clone());
    let fragile = Fragile::over(&desk.clock);
    let live = desk.node(Arc::clone(&fragile) as Arc<dyn Clock>, &[("META_TOKEN", TOKEN)]).await;
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(live, stopped));
    // Signed in and sent; signed in again by this node, and asked what became of it.
    desk.platform.has_seen(4).await;
    fragile.arm();
    desk.platform.go.send_replace(Some(say(200, "{}")));
    until("the round's failure", || fragile.has_failed()).await;
    // The lane looks about, and it is too early for another round.
    desk.clock.advance(2_000);
    until("a word about it", || errors.tell("a round of look-backs failed inside this program")).await;
    // What it had taken is free again by now.
    desk.clock.advance(10 * MINUTE_MS);
    desk.platform.has_seen(5).await;
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
}
