//! Words and decisions of conversion tracking.
//!
//! Everything here is a plain function over plain values: ids, money, time, verdicts, clicks, postback steps, the
//! ledger, goals, routing and the retry policy. The floors above load facts, ask this crate what follows from them,
//! and record the answer.
//!
//! **Invariant**: this crate cannot wait, cannot fail for outside reasons, never asks the time or for randomness,
//! and knows no web framework and no SQL.

pub mod address;
pub mod browser;
pub mod click;
pub mod condition;
pub mod config;
pub mod consent;
pub mod contract;
pub mod conversion;
pub mod cost;
pub mod delivery;
pub mod device;
pub mod drop_in;
pub mod erasure;
pub mod event;
pub mod expression;
pub mod fields;
pub mod forwarded;
pub mod fraud;
pub mod fx;
pub mod goal;
pub mod hops;
pub mod hybrid;
pub mod identity;
pub mod ids;
pub mod journeys;
pub mod ledger;
pub mod limits;
pub mod link;
pub mod macro_names;
pub mod macros;
pub mod money;
pub mod month;
mod nearest;
pub mod offer;
pub mod params;
pub mod postback;
pub mod preflight;
pub mod pricing;
pub mod reason;
pub mod redirect;
pub mod retention;
pub mod reversal;
pub mod rotation;
pub mod route;
pub mod rule;
pub mod scheme;
pub mod secret;
pub mod share;
pub mod target;
pub mod template;
pub mod time;
pub mod tools;
pub mod value;
pub mod verdict;
pub mod visit;
pub mod word;
