#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::tests::{Scratch, server};
use super::*;

const PASSWORD: &str = "geheim?x/y";

fn problem(result: Result<Pool, OpenError>) -> OpenError {
    let Err(error) = result else { panic!("it was opened") };
    assert!(!error.to_string().contains("geheim"), "{error}");
    assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
    error
}

#[tokio::test]
async fn no_error_shows_the_password() {
    // Special characters that nobody escaped: the parser takes a piece of the password for something else.
    for url in [
        format!("postgres://me:{PASSWORD}@127.0.0.1:1/db"),
        "postgres://me:geheim@127.0.0.1:geheim/db".to_owned(),
        "postgres://me@127.0.0.1:1/db?password=geheim&geheim=1".to_owned(),
        "host=127.0.0.1 port=1 password=geheim sslmode=geheim".to_owned(),
        "postgres://me:geheim@127.0.0.1:1/db".to_owned(),
    ] {
        assert!(matches!(problem(connect(&url, 1).await), OpenError::Unavailable(_)));
    }
    let (head, place) = server().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (user, _) = head.rsplit_once(':').unwrap();
    let refused = problem(connect(&format!("{user}:geheim@{place}"), 1).await);
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
}

#[tokio::test]
async fn a_server_that_acknowledges_before_it_writes_is_refused() {
    let scratch = Scratch::new().await;
    let set = |value| format!("ALTER DATABASE {} SET synchronous_commit = {value}", scratch.name);
    for (value, good) in [("off", false), ("local", true), ("remote_write", true)] {
        scratch.admin.batch_execute(&set(value)).await.unwrap();
        let opened = connect(&scratch.url, 1).await;
        assert_eq!(opened.is_ok(), good, "{value}");
        if let Err(error) = opened {
            assert!(
                matches!(&error, OpenError::NotDurable(text) if text.contains("synchronous_commit")),
                "{error}"
            );
        }
    }
    scratch.remove().await;
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let scratch = Scratch::with("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").await;
    let refused = problem(connect(&scratch.url, 1).await);
    assert!(refused.to_string().contains("LATIN1"), "{refused}");
    scratch.remove().await;
}

#[tokio::test]
async fn every_connection_plans_by_index_and_gives_up_in_time() {
    let scratch = Scratch::new().await;
    let pool = connect(&scratch.url, 2).await.unwrap();
    let (one, other) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    for client in [&one, &other] {
        for (name, value) in SETTINGS {
            let row = client.query_one("SELECT current_setting($1)", &[name]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), *value, "{name}");
        }
    }
    drop((one, other));
    pool.close();
    scratch.remove().await;
}
