//! Server events: booked like postbacks, each row for itself, under a token of the API.

use std::sync::Arc;

use crosstally_core::postback::body::{self, Media};
use crosstally_core::postback::normalise::Setting;
use crosstally_core::postback::{Inbound, json, server_event};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, MINUTE_MS};
use crosstally_core::verdict::Stop;
use crosstally_core::{hops, limits};
use crosstally_store::{BegunUnder, Claim, StoreError};
use sha2::{Digest, Sha256};

use crate::Engine;
use crate::metrics::Name;
use crate::postback::{PostbackOut, Stopped, unavailable};
use crate::snapshot::Snapshot;

/// How long the answer to a request is kept under its key.
const KEY_LIFE_MS: i64 = DAY_MS;
/// A request that was begun this long ago and never answered has broken off.
const BROKEN_OFF_MS: i64 = MINUTE_MS;
const KEYS_AT_ONCE: u32 = 5_000;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsOut {
    /// One per event, in their order; never none.
    pub rows: Vec<PostbackOut>,
    /// Whether the body was a list.
    pub is_list: bool,
}

impl Engine {
    /// Books a request's events. The inbound's partner is the one that stands for its sender.
    pub async fn receive_events(&self, inbound: Inbound) -> EventsOut {
        let snapshot = self.snapshot.load_full();
        let (rows, is_list) = match split(&inbound) {
            Ok(split) => split,
            Err(stop) => {
                let stopped = Stopped { stop, stranger: false };
                let now = self.clock.now();
                let out = self.record_stop(&inbound, &snapshot, stopped, now).await;
                return EventsOut {
                    rows: vec![out.unwrap_or_else(|error| unavailable(&error))],
                    is_list: false,
                };
            }
        };
        let mut outs = Vec::with_capacity(rows.len());
        for row in rows {
            let part = Inbound { body: row, content_type: "application/json".into(), ..inbound.clone() };
            let out = self.receive_event(&part, &snapshot).await.unwrap_or_else(|error| unavailable(&error));
            // The label is bounded by the configuration, whatever a sender names.
            let known = snapshot.partner(&part.partner).map_or("unknown", |(partner, _)| &partner.slug);
            self.metrics.count_for(Name::Postbacks, known, ("verdict", out.verdict.as_str()));
            outs.push(out);
        }
        EventsOut { rows: outs, is_list }
    }

    async fn receive_event(
        &self,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
    ) -> Result<PostbackOut, StoreError> {
        let now = self.clock.now();
        let read = match snapshot.partner(&inbound.partner) {
            Some((partner, _)) => {
                let workspace = &snapshot.config.workspace;
                let setting =
                    Setting { partner, workspace, click_id_key: &self.click_id_key, received_at: now };
                hops::check(inbound.headers.hops())
                    .and_then(|()| server_event::postback(&inbound.body, setting))
                    .map(|postback| self.noted(postback))
            }
            None => Err(Stop::refused(Reason::UnknownPartner, "no partner has this name")),
        };
        match read {
            Ok(postback) => self.book_postback(inbound, snapshot, postback, now, None).await,
            Err(stop) => self.record_stop(inbound, snapshot, Stopped { stop, stranger: false }, now).await,
        }
    }

    /// Takes an idempotency key for a request.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn claim_key(&self, key: &str, request: &[&[u8]]) -> Result<Claim, StoreError> {
        let now = self.clock.now();
        let stale_before = now.plus_millis(-BROKEN_OFF_MS);
        self.store.claim_key(key.to_owned(), digest(request), now, stale_before).await
    }

    /// What a job that is begun by this request under this key is known by, as long as the key is.
    #[must_use]
    pub fn begun_under(&self, key: &str, request: &[&[u8]]) -> BegunUnder {
        let since = self.clock.now().plus_millis(-KEY_LIFE_MS);
        BegunUnder { digest: digest(&[&[key.as_bytes()], request].concat()), since }
    }

    /// Keeps the answer to a request under its key; without an answer the key is free again.
    pub async fn answer_key(&self, key: &str, answer: Option<(u16, String)>) {
        // The events are booked: whoever sends them again is told that they are duplicates.
        if let Err(error) = self.store.answer_key(key.to_owned(), answer).await {
            tracing::warn!(error = %error, "the answer under an idempotency key was not kept");
        }
    }

    /// Forgets old idempotency keys.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_keys(&self) -> Result<u64, StoreError> {
        self.store.purge_keys(self.clock.now().plus_millis(-KEY_LIFE_MS), KEYS_AT_ONCE).await
    }
}

/// Of several parts, none of which can be taken for a piece of another.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The events of a body as they came, and whether it is a list.
fn split(inbound: &Inbound) -> Result<(Vec<Vec<u8>>, bool), Stop> {
    let raw = inbound.body.as_slice();
    let lines = |raw: &[u8]| -> Vec<Vec<u8>> {
        raw.split(|&byte| byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (rows, is_list) = match body::media(&inbound.content_type, raw)? {
        Media::None => {
            return Err(Stop::refused(
                Reason::BodyUnreadable,
                "send an event, an array of them, or one per line",
            ));
        }
        Media::JsonLines => (lines(raw), true),
        Media::Json if raw.trim_ascii_start().starts_with(b"[") => {
            (json::items(raw)?.into_iter().map(String::into_bytes).collect(), true)
        }
        Media::Json => (vec![raw.to_vec()], false),
        Media::Form | Media::Multipart => {
            return Err(Stop::refused(
                Reason::UnsupportedMediaType,
                "send application/json or application/x-ndjson",
            ));
        }
    };
    match rows.len() {
        0 => Err(Stop::refused(Reason::BodyUnreadable, "there is no event in it")),
        1..=limits::ROWS_MAX => Ok((rows, is_list)),
        many => {
            let detail = format!("{many} events; the limit is {}", limits::ROWS_MAX);
            Err(Stop::refused(Reason::BodyTooLarge, detail))
        }
    }
}
