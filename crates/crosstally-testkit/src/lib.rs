//! Real servers, a fake clock and throw-away databases for tests.
//!
//! **Invariant**: for tests only; nothing outside tests may depend on it. It starts the real floors and the real
//! sandbox; it never stands in for one of them.

pub mod client;
pub mod database;
pub mod mmdb;
pub mod process;
pub mod server;
pub mod spellings;

/// Runs one async test body on SQLite and on PostgreSQL: `on_both! { name => body }` makes the tests `name::sqlite` and
/// `name::postgres`. The body is called with a [`database::Kind`].
#[macro_export]
macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident => $body:ident;)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::$body;

            #[test]
            fn sqlite() {
                $crate::run($body($crate::database::Kind::Sqlite));
            }

            #[test]
            fn postgres() {
                $crate::run($body($crate::database::Kind::Postgres));
            }
        }
    )*};
}

/// Runs a test's future on a runtime of its own.
///
/// # Panics
/// If the test fails: an error is a failed test.
pub fn run(test: impl Future<Output = anyhow::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test machine can start threads");
    if let Err(error) = runtime.block_on(test) {
        panic!("{error:?}");
    }
}
