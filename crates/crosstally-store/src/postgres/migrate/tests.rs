#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::connect::connect;
use super::super::tests::Scratch;
use super::*;

const FIRST: &str = "CREATE TABLE first (id BIGINT); INSERT INTO first VALUES (1);";
const SECOND: &str = "CREATE TABLE second (id BIGINT); UPDATE first SET id = id + 1;";
const BROKEN: &str = "UPDATE first SET id = 7; CREATE TABLE second (id BIGINT); SELECT nonsense;";

async fn database(scratch: &Scratch) -> Database {
    Database::new(connect(&scratch.url, 2).await.unwrap())
}

/// The schema's version, and what the steps left in the first table.
async fn state(database: &Database) -> (i64, i64) {
    let connection = database.connection().await.unwrap();
    let id = connection.query_one("SELECT sum(id)::bigint FROM first", &[]).await.unwrap().get(0);
    (version(&connection).await.unwrap(), id)
}

#[tokio::test]
async fn nodes_that_start_at_once_take_each_step_once() {
    let scratch = Scratch::new().await;
    let nodes = [database(&scratch).await, database(&scratch).await, database(&scratch).await];
    let steps = [FIRST, SECOND];
    let (a, b, c) = tokio::join!(
        migrate_to(&nodes[0], &steps),
        migrate_to(&nodes[1], &steps),
        migrate_to(&nodes[2], &steps)
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
    assert_eq!(state(&nodes[0]).await, (2, 2));
    nodes.iter().for_each(Database::close);
    scratch.remove().await;
}

#[tokio::test]
async fn a_step_that_fails_changes_nothing() {
    let scratch = Scratch::new().await;
    let database = database(&scratch).await;
    migrate_to(&database, &[FIRST]).await.unwrap();
    let failure = migrate_to(&database, &[FIRST, BROKEN]).await.unwrap_err();
    assert!(matches!(failure, OpenError::Migration { version: 2, .. }), "{failure}");
    assert!(failure.to_string().contains("nonsense"), "{failure}");
    assert_eq!(state(&database).await, (1, 1));
    migrate_to(&database, &[FIRST, SECOND]).await.unwrap();
    assert_eq!(state(&database).await, (2, 2));
    database.close();
    scratch.remove().await;
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let scratch = Scratch::new().await;
    let database = database(&scratch).await;
    migrate_to(&database, &[FIRST, SECOND]).await.unwrap();
    let refusal = migrate_to(&database, &[FIRST]).await.unwrap_err();
    assert!(matches!(refusal, OpenError::TooNew { found: 2, known: 1 }), "{refusal}");
    database.close();
    scratch.remove().await;
}
