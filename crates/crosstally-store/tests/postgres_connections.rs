//! Connections that break, and nodes that meet: what PostgreSQL alone has to stand, over real connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "the shared stage finds its server in the environment and runs its own tasks"
)]

#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
#[path = "conformance/build.rs"]
mod build;
#[path = "postgres_connections/cut.rs"]
mod cut;
#[path = "postgres_connections/kill.rs"]
mod kill;
#[path = "postgres_connections/nodes.rs"]
mod nodes;
#[path = "postgres_connections/proxy.rs"]
mod proxy;
#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
#[path = "conformance/stage.rs"]
mod stage;
