//! Doors: HTTP in, redirects, JSON and problems out.
//!
//! **Invariant**: translates only. A handler parses, makes one engine call and answers; it never calls another handler,
//! never sees SQL, and nothing below this floor knows a status code of ours.

mod answer;
pub mod api;
mod auth;
mod client;
mod collect;
mod once;
mod ops;
pub mod problem;
mod router;
mod server;
mod state;

pub use server::{Doors, Listening, serve};
pub use state::{DoorOptions, ProxyHeader, State};
