#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use tokio::sync::oneshot::Receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::connect::prepare;
use super::checkpoint::CHECKPOINT_FRAMES_MAX;
use super::*;

type Answer = Receiver<Result<i64, StoreError>>;

fn database() -> (tempfile::TempDir, PathBuf, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let path = prepare(directory.path()).unwrap();
    let connection = connect(&path, Access::Write).unwrap();
    connection.execute_batch("CREATE TABLE thing (id INTEGER PRIMARY KEY, body BLOB)").unwrap();
    (directory, path, connection)
}

fn request(
    work: impl FnMut(&Connection) -> Result<i64, StoreError> + Send + 'static,
) -> (Box<dyn Write>, Answer) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Request::new(1, work, |_, _| (), None, reply)), answer)
}

/// Two statements, so that there is something to roll back when the second one fails.
fn insert(id: i64, bytes: i64) -> (Box<dyn Write>, Answer) {
    request(move |connection| {
        connection.execute("INSERT INTO thing VALUES (?1, NULL)", [id + 1_000])?;
        connection.execute("INSERT INTO thing VALUES (?1, zeroblob(?2))", (id, bytes))?;
        Ok(id)
    })
}

fn ids(connection: &Connection) -> Vec<i64> {
    let mut ask = connection.prepare("SELECT id FROM thing WHERE id < 1000 ORDER BY id").unwrap();
    ask.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn orphans(connection: &Connection) -> i64 {
    let ask = "SELECT count(*) FROM thing WHERE id >= 1000 AND id - 1000 NOT IN (SELECT id FROM thing)";
    connection.query_row(ask, [], |row| row.get(0)).unwrap()
}

/// A clock that stands still, and one that says that everything takes a millisecond.
const STANDING: Watch = || std::time::Duration::ZERO;
const SLOW: Watch = || std::time::Duration::from_millis(u64::from(TICKS.fetch_add(1, Ordering::SeqCst)));
static TICKS: AtomicU32 = AtomicU32::new(0);

fn do_all(connection: &Connection, requests: Vec<(Box<dyn Write>, Answer)>) -> Vec<Result<i64, StoreError>> {
    let (mut batch, answers): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
    let mut warmer = Warmer::new(PathBuf::new(), STANDING, disk_reads());
    let transaction = transact(connection, &mut batch, &mut warmer);
    for request in batch {
        request.answer(transaction.clone());
    }
    answers.into_iter().map(|answer| answer.blocking_recv().unwrap()).collect()
}

#[test]
fn a_bad_piece_spoils_nothing_but_itself() {
    let (_directory, _path, connection) = database();
    connection.execute("INSERT INTO thing VALUES (2, NULL)", []).unwrap();
    let answers = do_all(&connection, vec![insert(1, 1), insert(2, 1), insert(3, 1)]);
    assert!(
        matches!(&answers[..], [Ok(1), Err(StoreError::Corrupt(text)), Ok(3)] if text.contains("thing.id")),
        "{answers:?}"
    );
    assert_eq!((ids(&connection), orphans(&connection)), (vec![1, 2, 3], 0));
}

#[test]
fn a_panic_is_an_answer() {
    let (_directory, _path, connection) = database();
    let broken = request(|connection| {
        connection.execute("INSERT INTO thing VALUES (2, NULL)", [])?;
        panic!("as a broken decision would");
    });
    let answers = do_all(&connection, vec![insert(1, 1), broken, insert(3, 1)]);
    assert!(matches!(&answers[..], [Ok(1), Err(StoreError::Unavailable(_)), Ok(3)]), "{answers:?}");
    assert_eq!(ids(&connection), [1, 3]);
}

#[test]
fn a_full_disk_is_everybodys_failure_until_there_is_room() {
    let (_directory, _path, connection) = database();
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 4).unwrap();
    let answers = do_all(&connection, vec![insert(1, 10), insert(2, 100_000), insert(3, 10)]);
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
    assert_eq!((ids(&connection), orphans(&connection)), (vec![], 0));
    connection.pragma_update(None, "max_page_count", pages + 400).unwrap();
    let answers = do_all(&connection, vec![insert(1, 10), insert(2, 100_000), insert(3, 10)]);
    assert!(matches!(&answers[..], [Ok(1), Ok(2), Ok(3)]), "{answers:?}");
}

#[test]
fn a_commit_that_fails_is_everybodys_failure_and_the_writer_goes_on() {
    let (_directory, path, mut connection) = database();
    // The database ends the transaction instead of committing it, as it does on an I/O error.
    connection.commit_hook(Some(|| true)).unwrap();
    let (queue, waiting) = flume::bounded(16);
    let (requests, answers): (Vec<_>, Vec<_>) = [insert(1, 1), insert(2, 1)].into_iter().unzip();
    for request in requests {
        assert!(queue.send(Message::Write(request)).is_ok());
    }
    Writer::start(path.clone(), connection, waiting, STANDING).unwrap();
    for answer in answers {
        assert!(matches!(answer.blocking_recv().unwrap(), Err(StoreError::Unavailable(_))));
    }
    // The connection was opened anew, without the hook.
    let (request, answer) = insert(3, 1);
    assert!(queue.send(Message::Write(request)).is_ok());
    assert!(matches!(answer.blocking_recv().unwrap(), Ok(3)));
    let other = connect(&path, Access::Read).unwrap();
    assert_eq!((ids(&other), orphans(&other)), (vec![3], 0));
}

#[test]
fn the_log_does_not_grow_without_end() {
    let (directory, path, connection) = database();
    let (queue, waiting) = flume::bounded(16);
    Writer::start(path, connection, waiting, STANDING).unwrap();
    let pages = 2 * u64::from(CHECKPOINT_FRAMES_MAX);
    let size = 400_000;
    for id in 0..i64::try_from(pages * 4_096 / 400_000).unwrap() {
        let (request, answer) = insert(id, size);
        assert!(queue.send(Message::Write(request)).is_ok());
        assert!(answer.blocking_recv().unwrap().is_ok());
    }
    let log = std::fs::metadata(directory.path().join("crosstally.db-wal")).unwrap().len();
    // One transaction and the frames' own heads may come on top.
    assert!(log < u64::from(CHECKPOINT_FRAMES_MAX) * 4_300 + 1_000_000, "{log}");
}

/// Counts on which connections its look-ups were made: those that cannot write, and all.
fn foreseen(id: i64, counts: &Arc<[AtomicU32; 2]>) -> (Box<dyn Write>, Answer) {
    let (reply, answer) = oneshot::channel();
    let counts = Arc::clone(counts);
    let look_up = move |reader: &Connection| {
        let cannot_write = reader.execute("INSERT INTO thing VALUES (?1, NULL)", [id + 500]).is_err();
        counts[0].fetch_add(u32::from(cannot_write), Ordering::SeqCst);
        counts[1].fetch_add(1, Ordering::SeqCst);
        assert!(id % 2 == 0, "a look-up that breaks off harms nothing");
    };
    let work = move |connection: &Connection| {
        connection.execute("INSERT INTO thing VALUES (?1, NULL)", [id])?;
        Ok(id)
    };
    (Box::new(Request::new(1, work, |_, _| (), Some(Box::new(look_up)), reply)), answer)
}

#[test]
fn a_slow_disk_is_read_ahead_and_a_quick_one_or_a_busy_machine_is_not() {
    for (watch, page, ahead) in [(STANDING, 4_096, 0), (SLOW, 0, 0), (SLOW, 4_096, 30)] {
        let (_directory, path, connection) = database();
        let mut fetched = 0;
        let disk_reads = Box::new(move || {
            fetched += page;
            fetched
        });
        let mut warmer = Warmer::new(path, watch, disk_reads);
        let counts = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let mut done = Vec::new();
        for round in 0..5 {
            let pieces = (0..31).map(|piece| foreseen(round * 31 + piece, &counts));
            let (mut batch, answers): (Vec<_>, Vec<_>) = pieces.unzip();
            let before = counts[1].load(Ordering::SeqCst);
            let transaction = transact(&connection, &mut batch, &mut warmer);
            // One sample of a millisecond moves the mean by an eighth; the third makes it slow. The first piece of a
            // batch is never read ahead.
            let expected = if round < 3 { 0 } else { ahead };
            assert_eq!(counts[1].load(Ordering::SeqCst) - before, expected, "round {round}");
            batch.into_iter().for_each(|request| request.answer(transaction.clone()));
            done.extend(answers.into_iter().map(|answer| answer.blocking_recv().unwrap().unwrap()));
        }
        assert_eq!(counts[0].load(Ordering::SeqCst), counts[1].load(Ordering::SeqCst));
        assert_eq!((ids(&connection), done.len()), (done.clone(), 155));
    }
}

#[test]
fn syncing_ahead_drops_no_lock_and_opens_one_descriptor() {
    use std::os::unix::fs::MetadataExt as _;
    let (_directory, path, connection) = database();
    assert_eq!(ids(&connection), [0; 0]);
    let of_it = format!(":{} ", std::fs::metadata(&path).unwrap().ino());
    let locks = || std::fs::read_to_string("/proc/locks").unwrap().matches(&of_it).count();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let descriptors = || open().filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == path)).count();
    let before = (locks(), descriptors());
    assert!(before.0 > 0, "SQLite holds its lock on the file as long as it is open");
    synced::sync(&path);
    synced::sync(&path);
    assert_eq!((locks(), descriptors()), (before.0, before.1 + 1));
}
