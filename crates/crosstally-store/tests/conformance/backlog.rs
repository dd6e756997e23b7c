//! A start with very many deliveries that wait: what a lane asks before its first call reads no more rows the more wait.
//! PostgreSQL counts the rows that it reads; for SQLite the steps of its machine are counted beside the statements.

use crosstally_store::{LeaseWanted, Location};
use tokio_postgres::NoTls;

use crate::build::{self, META};
use crate::stage::Stage;

/// The rows and index entries of deliveries that have been read since the last time.
async fn rows_read(stage: &Stage) -> i64 {
    let Location::Postgres(url) = stage.location() else { panic!("this is about PostgreSQL") };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let ask = "SELECT (coalesce(sum(idx_tup_read), 0) + (
            SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname = 'deliveries'
        ))::bigint FROM pg_stat_user_indexes WHERE relname = 'deliveries'";
    // A session tells what it has counted when it ends, and it ends a little after its client has gone.
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while client.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let read: i64 = client.query_one(ask, &[]).await.unwrap().get(0);
    client.batch_execute("SELECT pg_stat_reset()").await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
    read
}

/// As it is after a long outage: many wait, and PostgreSQL knows by now.
async fn fill(stage: &Stage, more: u32) {
    let columns = "goal_event, conversion, destination, state, reason, detail, attempts, failures, due_at, available_at,
        deadline_at, created_at, finished_at, fence, lease_owner, lease_until, lane";
    stage
        .run(&format!(
            "INSERT INTO deliveries (workspace, id, {columns})
            SELECT d.workspace, gen_random_uuid(), {columns} FROM (SELECT * FROM deliveries LIMIT 1) AS d,
                generate_series(1, {more});
            ANALYZE deliveries"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_reads_no_more_rows_the_more_wait() {
    let stage = Stage::postgres().await;
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    store.close().await;
    let mut read = Vec::new();
    for more in [500, 20_000] {
        fill(&stage, more).await;
        rows_read(&stage).await;
        let store = stage.open().await;
        assert!(store.next_due(META.into()).await.unwrap().is_some());
        store.destination_states().await.unwrap();
        let leased =
            store.lease_deliveries(LeaseWanted { limit: 64, ..build::wanted(META, 1_000) }).await.unwrap();
        assert_eq!(leased.len(), 64);
        store.release_leases(build::held(&leased)).await.unwrap();
        store.count_deliveries().await.unwrap();
        store.close().await;
        read.push(rows_read(&stage).await);
    }
    // Where the random ids fall makes a few rows' difference; reading all would make 19,500.
    assert!(read[1] <= 2 * read[0], "{read:?} rows");
    stage.end().await;
}
