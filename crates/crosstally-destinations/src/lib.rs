//! Dialects of others: what an ad platform or a partner wants to be sent, and what its answers mean.
//!
//! **Invariant**: pure text work. This crate has no client, no store and no clock; it does not know whether a request
//! is ever sent. One folder per destination, always the same files: `config.rs`, `request.rs`, `response.rs`,
//! `tests.rs`.

mod age;
mod amount;
mod answer;
mod batch;
pub mod call_url;
pub mod catalog;
pub mod consent;
mod custom;
pub mod dialect;
#[cfg(test)]
mod every_kind;
mod field;
pub mod findings;
pub mod ga4;
pub mod google_data_manager;
mod json;
pub mod linkedin;
pub mod mask;
pub mod meta;
pub mod microsoft;
mod names;
mod oauth;
pub mod openai;
pub mod pinterest;
mod platform;
pub mod postback;
mod privacy;
pub mod reddit;
mod refused;
#[cfg(test)]
mod sample;
mod setting;
pub mod snapchat;
mod spelling;
pub mod templates;
pub mod tiktok;
mod visitor;
pub mod webhook;
mod written;
pub mod x;
