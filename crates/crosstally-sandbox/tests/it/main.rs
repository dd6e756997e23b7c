//! The sandbox over a real listener, as a sender meets it.
#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod faults;
mod inspect;
mod meta;
mod pixel;
mod server;
