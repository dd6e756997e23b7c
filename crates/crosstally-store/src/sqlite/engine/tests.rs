#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test waits for every task that it spawns")]

use super::*;

fn open(queue_max: usize) -> (tempfile::TempDir, Engine) {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), queue_max, 2, || std::time::Duration::ZERO).unwrap();
    (directory, engine)
}

async fn mark(engine: &Engine, number: i64) -> Result<(), StoreError> {
    let mark = "INSERT INTO write_checks (workspace, number) VALUES (?1, 1)";
    engine.write(1, move |connection| Ok(connection.execute(mark, [number]).map(drop)?)).await
}

async fn marks(engine: &Engine) -> Result<i64, StoreError> {
    let ask = "SELECT count(*) FROM write_checks";
    engine.read(move |connection| Ok(connection.query_row(ask, [], |row| row.get(0))?)).await
}

#[tokio::test]
async fn a_full_queue_turns_writes_away_and_close_waits_for_the_rest() {
    let (directory, engine) = open(2);
    let engine = Arc::new(engine);
    let (begun, beginning) = flume::bounded(1);
    let (go_on, going_on) = flume::bounded::<()>(1);
    let slow = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            let work = move |_: &Connection| {
                begun.send(()).unwrap();
                going_on.recv().unwrap();
                Ok(())
            };
            engine.write(1, work).await
        })
    };
    beginning.recv_async().await.unwrap();
    // The writer is at work: two may wait, the third may not.
    let (first, second) = (mark(&engine, 1), mark(&engine, 2));
    let mut waiting = Box::pin(async { tokio::join!(first, second) });
    let third = tokio::select! {
        biased;
        _ = &mut waiting => panic!("nothing can be done before the writer goes on"),
        third = mark(&engine, 3) => third,
    };
    assert!(matches!(third, Err(StoreError::Busy)), "{third:?}");
    let closing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.close().await })
    };
    go_on.send(()).unwrap();
    slow.await.unwrap().unwrap();
    assert!(matches!(waiting.await, (Ok(()), Ok(()))));
    closing.await.unwrap();
    assert!(matches!(mark(&engine, 4).await, Err(StoreError::Closed)));
    assert!(matches!(marks(&engine).await, Err(StoreError::Closed)));
    engine.close().await;
    let again = Engine::open(directory.path(), 2, 2, || std::time::Duration::ZERO).unwrap();
    assert_eq!(marks(&again).await.unwrap(), 2);
}

#[tokio::test]
async fn a_closed_database_leaves_one_file() {
    let (directory, engine) = open(16);
    mark(&engine, 1).await.unwrap();
    assert_eq!(marks(&engine).await.unwrap(), 1);
    engine.close().await;
    let left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["crosstally.db"]);
}

#[tokio::test]
async fn a_failed_question_does_not_cost_a_connection() {
    let (_directory, engine) = open(16);
    for _ in 0..5 {
        let answer: Result<(), _> =
            engine.read(|connection| Ok(connection.execute_batch("SELECT nonsense")?)).await;
        assert!(answer.is_err());
    }
    assert_eq!(marks(&engine).await.unwrap(), 0);
}

#[test]
fn two_processes_may_open_a_fresh_directory_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Engine::open(directory.path(), 2, 2, || std::time::Duration::ZERO)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for engine in opened {
        assert!(engine.is_ok(), "{:?}", engine.err());
    }
}

/// How the connection that writes syncs, asked in a write of either kind.
async fn synced(engine: &Engine, lasting: bool) -> i64 {
    let ask = |connection: &Connection| {
        Ok(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
    };
    let asked = if lasting { engine.write(1, ask).await } else { engine.write_fleeting(1, ask).await };
    asked.unwrap()
}

#[tokio::test]
async fn only_what_nobody_misses_does_without_the_disk() {
    const FULL: i64 = 2;
    const NORMAL: i64 = 1;
    let (_directory, engine) = open(8);
    assert_eq!(synced(&engine, true).await, FULL);
    assert_eq!(synced(&engine, false).await, NORMAL);
    assert_eq!(synced(&engine, true).await, FULL);
    // In one transaction with something that lasts, all of it does.
    let (begun, beginning) = flume::bounded(1);
    let (go_on, going_on) = flume::bounded::<()>(1);
    let slow = engine.write(1, move |_| {
        begun.send(()).unwrap();
        going_on.recv().unwrap();
        Ok(())
    });
    let together = async {
        beginning.recv_async().await.unwrap();
        let both = async { tokio::join!(synced(&engine, false), synced(&engine, true)) };
        let (both, ()) = tokio::join!(both, async { go_on.send(()).unwrap() });
        both
    };
    let (slow, both) = tokio::join!(slow, together);
    slow.unwrap();
    assert_eq!(both, (FULL, FULL));
    // After a failure too: the transaction of a piece that fails is done anew.
    let fails: Result<(), StoreError> =
        engine.write_fleeting(1, |_| Err(StoreError::Corrupt("as asked".into()))).await;
    assert!(fails.is_err());
    assert_eq!(synced(&engine, true).await, FULL);
}
