//! The sandbox over a real listener, as a sender meets it.
#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]
#![expect(
    clippy::disallowed_methods,
    reason = "a sender under test is no part of the server: it connects by itself"
)]

mod adjustments;
mod faults;
mod inspect;
mod meta;
mod pixel;
mod platforms;
mod server;
