//! Journeys through the real doors, engine, store and sandbox, each on both databases.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod balance;
mod commands;
mod connections;
mod crash;
mod drop_in;
mod events;
mod faults;
mod fraud;
mod fx;
mod guarded;
mod histories;
mod histories_killed;
mod journey;
mod kept;
mod ledger;
mod nodes;
mod oracle;
mod partner;
mod platforms;
mod postback_commands;
mod presets;
mod previews;
mod quarantine;
mod reasons;
mod reread;
mod security_b;
mod security_c;
mod security_d;
mod security_e;
mod settings;
mod sick;
mod signed;
mod stop;
mod waits;
