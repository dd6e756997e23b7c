#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::connect::connect;
use super::super::tests::{Scratch, client};
use super::*;

async fn database(scratch: &Scratch) -> Database {
    Database::new(connect(&scratch.url, 2).await.unwrap())
}

#[tokio::test]
async fn the_server_tells_what_became_of_a_transaction() {
    let scratch = Scratch::new().await;
    let database = database(&scratch).await;
    let mut tickets = Vec::new();
    for commit in [true, false] {
        let transaction = database.transaction().await.unwrap();
        tickets.push(transaction.begin().await.unwrap());
        if commit {
            transaction.commit().await.unwrap();
        }
    }
    assert_eq!(database.fate(&tickets[0]).await, Some(Fate::Committed));
    assert_eq!(database.fate(&tickets[1]).await, Some(Fate::RolledBack));
    // Numbers of another server mean nothing, even if they exist here or are still to come.
    let foreign = Ticket { server: "1".into(), ..tickets.remove(0) };
    assert_eq!(database.fate(&foreign).await, Some(Fate::SeeRows));
    let foreign = Ticket { transaction: "9999999999".into(), ..foreign };
    assert_eq!(database.fate(&foreign).await, Some(Fate::SeeRows));
    database.close();
    scratch.remove().await;
}

#[tokio::test]
async fn a_commit_that_is_still_under_way_is_waited_for() {
    let scratch = Scratch::new().await;
    let database = database(&scratch).await;
    let transaction = database.transaction().await.unwrap();
    let ticket = transaction.begin().await.unwrap();
    let asking = database.fate(&ticket);
    tokio::pin!(asking);
    // The first answers must be that it is in progress.
    let early = tokio::time::timeout(FATE_WAIT * 2, &mut asking).await;
    assert!(early.is_err(), "{early:?}");
    transaction.commit().await.unwrap();
    assert_eq!(asking.await, Some(Fate::Committed));
    database.close();
    scratch.remove().await;
}

#[tokio::test]
async fn what_is_dropped_before_its_commit_leaves_nothing_and_frees_the_connection() {
    let scratch = Scratch::new().await;
    let database = Database::new(connect(&scratch.url, 1).await.unwrap());
    database.run("CREATE TABLE t (id BIGINT)", &[]).await.unwrap();
    let transaction = database.transaction().await.unwrap();
    let insert = transaction.prepare_cached("INSERT INTO t VALUES (1)").await.unwrap();
    let (ticket, inserted) = tokio::join!(biased; transaction.begin(), transaction.execute(&insert, &[]));
    assert!(ticket.is_ok() && inserted.unwrap() == 1);
    let pid: i32 = transaction.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    drop(transaction);
    // The only connection there is, and no transaction on it.
    let row = database
        .ask("SELECT count(*), pg_backend_pid(), pg_current_xact_id_if_assigned() IS NULL FROM t", &[])
        .await;
    let row = row.unwrap().remove(0);
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1), row.get::<_, bool>(2)), (0, pid, true));
    database.close();
    scratch.remove().await;
}

#[tokio::test]
async fn a_broken_connection_is_replaced_before_anything_is_said() {
    let scratch = Scratch::new().await;
    let database = database(&scratch).await;
    let pid: i32 = database.ask("SELECT pg_backend_pid()", &[]).await.unwrap()[0].get(0);
    let other = client(&scratch.url).await;
    other.execute("SELECT pg_terminate_backend($1, 5000)", &[&pid]).await.unwrap();
    let mut tries = Tries::default();
    let next: i32 = loop {
        match database.run("SELECT pg_backend_pid()", &[]).await {
            Ok(rows) => break rows[0].get(0),
            Err(fault) => tries.again_after(fault).await.unwrap(),
        }
    };
    assert_ne!(next, pid);
    database.close();
    scratch.remove().await;
}
