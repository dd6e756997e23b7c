//! Fake ad platforms that keep the real ones' rules: somewhere to send conversion events while no real account is at stake.
//!
//! Tests, the demo and the offline pre-flight send to it; people who write their own sender do too. It listens on
//! plain HTTP, validates like the platform, dedupes browser against server, answers like the platform, misbehaves when
//! told to, and lists what it took. The platforms are those of [`Platform`]; each is a line in `platform.rs`, a module
//! and its routes in `router.rs`. What the edges beside Meta's share stands in `edge.rs`.
//!
//! **Invariant**: shares no code with the connectors that it judges (a rule misread once must not be misread twice),
//! keeps nothing on disk, opens no connection to anywhere, and never asks the time: "now" is passed in.
//!
//! # Sending
//!
//! | request | what happens |
//! |---|---|
//! | `POST /v26.0/{dataset}/events` | the Conversions API edge: JSON, urlencoded or multipart; 1 to 1,000 events; one bad event refuses all |
//! | `POST /open_api/v1.3/event/track/` | TikTok: 1 to 1,000 events, taken in part, the verdict in `code` |
//! | `POST /v3/{asset}/events` | Snapchat: 1 to 2,000 events; one bad event refuses all |
//! | `POST /v5/ad_accounts/{id}/events` | Pinterest: 1 to 1,000 events, a row for each in the answer; `?test=true` records nothing |
//! | `POST /api/v3/pixels/{id}/conversion_events` | Reddit: 1 to 1,000 events; one bad event refuses all |
//! | `POST /v1/{tag}/events` | Microsoft: 1 to 1,000 events; one bad event refuses all, or with `continueOnValidationError` itself |
//! | `POST /v1/events?pid={pixel}` | OpenAI: 1 to 1,000 events; one bad event refuses all; `validate_only` records nothing |
//! | `POST /v1/events:ingest` | Google Ads: 1 to 2,000 events; one bad event refuses all, every bad place is named; `validateOnly` records nothing |
//! | `GET /v1/requestStatus:retrieve` | Google Ads: what became of a request, all of it counted; a fault for the dataset `requestStatus` says otherwise |
//! | `POST /v26/customers/{id}:uploadConversionAdjustments` | Google Ads: 1 to 2,000 adjustments of what came to `events:ingest`, taken in part; unknown, too old and retracted conversions are named |
//! | `POST /token` | Google: a refresh token, unless it starts with `expired`, becomes an access token; faults do not meet it |
//! | `POST /mp/collect` | Google Analytics: 1 to 25 events, always 204; what is wrong is listed as refused |
//! | `POST /debug/mp/collect` | Google Analytics: says what is wrong, records nothing |
//! | `POST /rest/conversionEvents` | LinkedIn: 1 to 5,000 events; one bad event refuses all, every bad place is named |
//! | `POST /12/measurement/conversions/{pixel}` | X: 1 to 500 events; one bad event refuses all; an OAuth signature is not checked, only that it is whole |
//! | `POST /webhook/{receiver}` | one message, signed as Standard Webhooks asks for; the keys stand in `webhook.rs` |
//! | `GET`, `POST /partner/{name}/…` | one postback: takes any call without an unfilled macro, answers 200 with `OK` or `ERROR` |
//! | `GET`, `POST /tr` | the browser pixel (`id`, `ev`, `eid`, `dl`, `cd[..]`, `ud[..]`, `fbp`, `fbc`): always a GIF |
//!
//! Any non-empty token is good, except one that starts with `expired` in any case (190/463). Give it as `access_token`
//! in the query or the body, or as `Authorization: Bearer`; to the others as they document it. Tokens are never listed. The rules, with the subcode of
//! each, stand in the table of `meta/rule.rs`.
//!
//! # Looking
//!
//! | request | answer |
//! |---|---|
//! | `GET /_sandbox` | what there is |
//! | `GET /_sandbox/events` | accepted events, each once, oldest first, byte for byte as sent |
//! | `GET /_sandbox/duplicates` | what was swallowed as a duplicate, and of what |
//! | `GET /_sandbox/refused` | one row for each refused request: the first bad event, the reason, the answer given; a row for each bad event where the rest is taken |
//! | `GET /_sandbox/stats` | exact counts per dataset, what is kept in memory, open connections |
//! | `DELETE /_sandbox` | forgets everything, the faults too |
//!
//! Lists answer `{"data":[..],"next_cursor":..}`. They take `platform`, `dataset`, `event_name`, `event_id`, `source`
//! (`browser` or `server`), `limit` (1 to 100,000, which is also the default) and `after` (a cursor). With more than
//! `limit` rows, follow `next_cursor` until it is `null`.
//!
//! # Deduplication
//!
//! An event is a duplicate if its dataset, `event_name` and `event_id` came less than 48 hours ago, counted from the
//! first receipt; later it is new. A duplicate still counts in `events_received`. When a browser event meets a server
//! event, the browser's is kept if they came within 5 minutes of each other, else the first; the kept row says
//! `source` and `deduplicated_with`. Server events without an `event_id` are swallowed by an earlier browser event of
//! the same name and `external_id` (or `fbp`), never by another server event. Store events (`physical_store`) with an
//! `order_id` are compared among themselves by time, name, item and order for 7 days.
//!
//! # Misbehaving
//!
//! `POST /_sandbox/faults` takes one fault or an array: `{"kind":"status","status":429,"retry_after":2,"times":3}`.
//! Common keys: `times` (default: until deleted), `dataset`, `platform`, `probability` in percent with its `seed`.
//! Each call meets the first fault that fits, in the order in which they were posted. `GET` lists them with their
//! `hits`, `DELETE /_sandbox/faults[/{id}]` removes them. A call answered by a fault leaves its events unrecorded, unless
//! the fault says `"accept": true`: then they count, and the sender cannot know it. Faults meet the
//! events edges only, not the pixel; `reject_event_id` and the like refuse that event alone where a platform takes the rest.
//!
//! The codes, subcodes and headers below are Meta's; every other platform says the same in its own words.
//!
//! | kind | what the sender meets | keys |
//! |---|---|---|
//! | `status` | any status, with the code that goes with it | `status`, `body`, `content_type`, `code`, `subcode`, `message`, `is_transient`, `retry_after`, `accept` |
//! | `throttle` | a rate limit with its usage headers | `status`, `code` (80004; or 4, 17, 613 ..), `subcode`, `minutes`, `retry_after` |
//! | `server_error` | a 5xx | `status` (500), `html`: not JSON, `accept` |
//! | `hang` | no answer | `ms` (until the sender leaves), `accept` |
//! | `slow` | events taken at once, the answer late | `ms` |
//! | `drip` | events taken, the answer's body byte by byte | `ms_per_byte` (1000) |
//! | `reset_before` | connection reset before the body is read | |
//! | `reset_after_accept` | events taken, connection reset: outcome unknown | |
//! | `expired_token` | 401, 190/463 | |
//! | `permission` | 403, code 10 | |
//! | `reject_event_id` | 100 for a batch that holds it | `event_id`, `subcode` |
//! | `reject_event_name` | 100 for a batch that holds it | `event_name`, `subcode` |
//! | `partial_count` | the last events not taken, `events_received` lower | `missing` (1) |
//! | `redirect` | 3xx | `status` (302), `location` |
//! | `endless_body` | a 200 that never ends | `accept` |
//! | `garbage_json` | a 200 that is cut JSON | `body`, `accept` |
//! | `wrong_version` | the version is no longer supported | |
//! | `raw` | these bytes instead of HTTP | `text`, `repeat` (1; 0 is for ever), `ms_per_byte`, `end` (`close`, `reset`, `hang`), `accept` |
//!
//! `raw` makes the rest: endless interim answers (`"text":"HTTP/1.1 103 Early Hints\r\n\r\n","repeat":0`), a head of one
//! byte per second (`ms_per_byte`), a body shorter than its length (`end` `close`), a bad chunk, a 200 then a reset.
//!
//! `/hostile/{kind}` needs no fault: it takes any method and is as hostile as its name says (`silent`, `drip_body`,
//! `endless_interim`, `gzip_bomb`, `redirect_private`, `error_text` and more; `GET /hostile` lists them), for ever and at once
//! for everybody. Nothing is recorded there. Point a partner's URL at it to see what a sender makes of such a partner.
//!
//! Resets and raw bytes need [`serve`]; under another server around [`router()`] they become a bare 500.
//!
//! # Limits
//!
//! Memory is bounded by [`Limits`]. When a list is full its oldest rows go (`stats` says how many), while the counts
//! and the deduplication stay exact. Keys are told apart by 128 keyed hash bits and forgotten when their window is over;
//! if there are ever more live keys than `dedup_keys_max`, calls are refused as "try again later" (code 2) until
//! `DELETE /_sandbox`, because guessing would be worse.

mod body;
mod chance;
mod edge;
mod faults;
mod ga4;
mod google_ads;
mod google_data_manager;
mod hostile;
mod inspect;
mod json;
mod ledger;
mod linkedin;
mod meta;
mod microsoft;
mod misbehave;
mod openai;
mod partner;
mod pinterest;
mod platform;
mod problem;
mod reddit;
mod router;
mod server;
mod shop;
mod snapchat;
mod state;
mod tiktok;
mod webhook;
mod x;

pub use platform::Platform;
pub use router::router;
pub use server::{ServeError, serve};
pub use state::{Clock, Limits, Sandbox};
