#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod desk;
mod leases;
mod nodes;
mod pauses;
mod poison;
mod rounds;
mod sign_in;
mod singles;
mod split;
mod stops;
mod waves;
