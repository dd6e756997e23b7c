#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const FIRST: &str = "CREATE TABLE first (id INTEGER); INSERT INTO first VALUES (1);";
const SECOND: &str = "CREATE TABLE second (id INTEGER); UPDATE first SET id = 2;";
const BROKEN: &str = "UPDATE first SET id = 3; CREATE TABLE second (id INTEGER); SELECT nonsense;";

fn database() -> (tempfile::TempDir, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(directory.path().join("crosstally.db")).unwrap();
    (directory, connection)
}

fn first_id(connection: &Connection) -> i64 {
    connection.query_row("SELECT id FROM first", [], |row| row.get(0)).unwrap()
}

#[test]
fn each_step_is_taken_once() {
    let (directory, mut connection) = database();
    for _ in 0..2 {
        migrate_to(&mut connection, directory.path(), &[FIRST, SECOND]).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
    }
    assert_eq!(first_id(&connection), 2);
}

#[test]
fn a_later_step_leaves_a_copy_of_what_was_before() {
    let (directory, mut connection) = database();
    migrate_to(&mut connection, directory.path(), &[FIRST]).unwrap();
    let copy = directory.path().join("crosstally-schema-1.db");
    assert!(!std::fs::exists(&copy).unwrap());
    migrate_to(&mut connection, directory.path(), &[FIRST, SECOND]).unwrap();
    assert_eq!(first_id(&connection), 2);
    let before = Connection::open(copy).unwrap();
    assert_eq!((version(&before).unwrap(), first_id(&before)), (1, 1));
}

#[test]
fn a_copy_that_was_broken_off_is_not_taken_for_one() {
    let (directory, mut connection) = database();
    migrate_to(&mut connection, directory.path(), &[FIRST]).unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("crosstally-schema-1.partial"), b"half of a database").unwrap();
    std::fs::write(path("crosstally-schema-1.partial-journal"), b"what it was about to do").unwrap();
    migrate_to(&mut connection, directory.path(), &[FIRST, SECOND, "CREATE TABLE third (id INTEGER);"])
        .unwrap();
    let before = Connection::open(path("crosstally-schema-1.db")).unwrap();
    assert_eq!((version(&before).unwrap(), first_id(&before)), (1, 1));
    let mut names: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    // One copy, of what was before the first of the steps.
    assert_eq!(names, ["crosstally-schema-1.db", "crosstally.db"]);
    #[cfg(unix)]
    {
        let copy = std::fs::metadata(path("crosstally-schema-1.db")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&copy.permissions()) & 0o777, 0o600);
    }
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let (directory, mut connection) = database();
    migrate_to(&mut connection, directory.path(), &[FIRST]).unwrap();
    let failure = migrate_to(&mut connection, directory.path(), &[FIRST, BROKEN]).unwrap_err();
    assert!(matches!(failure, OpenError::Migration { version: 2, .. }), "{failure}");
    assert_eq!((version(&connection).unwrap(), first_id(&connection)), (1, 1));
    migrate_to(&mut connection, directory.path(), &[FIRST, SECOND]).unwrap();
    assert_eq!(first_id(&connection), 2);
}

#[test]
fn a_newer_database_is_left_alone() {
    let (directory, mut connection) = database();
    migrate_to(&mut connection, directory.path(), &[FIRST, SECOND]).unwrap();
    let refusal = migrate_to(&mut connection, directory.path(), &[FIRST]).unwrap_err();
    assert!(matches!(refusal, OpenError::TooNew { found: 2, known: 1 }), "{refusal}");
}

#[test]
fn a_step_that_another_process_took_is_not_taken_again() {
    let (directory, mut connection) = database();
    migrate_to(&mut connection, directory.path(), &[FIRST]).unwrap();
    let mut other = Connection::open(directory.path().join("crosstally.db")).unwrap();
    migrate_to(&mut other, directory.path(), &[FIRST, SECOND]).unwrap();
    // As if it had looked before the other came.
    apply(&mut connection, 1, SECOND).unwrap();
    assert_eq!(version(&connection).unwrap(), 2);
}

/// Calls and attempts as they were kept before a call of one event was one row: one that was answered, one under way.
const BEFORE_CALLS_OF_ONE: &str = "
    INSERT INTO deliveries (id, workspace, goal_event, conversion, destination, state, detail, attempts, failures, due_at,
        available_at, deadline_at, created_at, fence, lease_owner, lease_until)
    VALUES (x'000000000000000000000000000000d1', 1, x'e1', x'c1', 'meta', 'pending', '', 2, 1, 5, 1000, 2000, 0, 2, 'a', 1000);
    INSERT INTO calls (id, workspace, destination, started_at, finished_at, method, url, batch, status, response, detail)
    VALUES (x'00000000000000000000000000000001', 1, 'meta', 10, 20, 'GET', 'https://x.example/?a', 1, 500, 'no', 'later'),
        (x'00000000000000000000000000000002', 1, 'meta', 30, NULL, 'POST', 'https://x.example/', 1, NULL, '', '');
    INSERT INTO attempts (delivery, number, workspace, call, outcome, reason, payload)
    VALUES (x'000000000000000000000000000000d1', 1, 1, x'00000000000000000000000000000001', 'retry', 'dest_unreachable', ''),
        (x'000000000000000000000000000000d1', 2, 1, x'00000000000000000000000000000002', NULL, NULL, '{}')";

#[tokio::test]
async fn attempts_of_before_are_read_and_settled_where_they_are() {
    use crosstally_core::delivery::Outcome;
    use crosstally_core::ids::{CallId, DeliveryId};
    use crosstally_core::reason::Reason;
    use crosstally_core::retention::{Class, without};
    use crosstally_core::time::Timestamp;

    use crate::{After, CallResult, Held, NewCall, PurgePlace, PurgeStep, Settled, Settlement, Store};

    let (directory, mut connection) = database();
    migrate_to(&mut connection, directory.path(), &STEPS[..15]).unwrap();
    connection.execute_batch(BEFORE_CALLS_OF_ONE).unwrap();
    connection.close().unwrap();
    let place = crate::Location::Directory(directory.path().to_owned());
    let store = Store::open(crate::OpenOptions::at(place)).await.unwrap();
    let held = Held { id: DeliveryId::from_bytes(0xd1_u128.to_be_bytes()), fence: 2 };
    let call = |number: u128| CallId::from_bytes(number.to_be_bytes());
    let tries = async || {
        let tries = store.attempts(held.id).await.unwrap();
        let tries = tries.into_iter().map(|one| (one.number, one.call, one.payload, one.status, one.outcome));
        tries.collect::<Vec<_>>()
    };
    let first = (1, call(1), "https://x.example/?a".to_owned(), Some(500), Some("retry".to_owned()));
    assert_eq!(tries().await, [first.clone(), (2, call(2), "{}".into(), None, None)]);

    let split = Outcome::Split { reason: Reason::DestRejected };
    let settlement =
        Settlement { held, reason: split.reason(), outcome: split, after: After::KeepLease, last_at: None };
    let result = CallResult {
        id: call(2),
        destination: "meta".into(),
        finished_at: Timestamp::from_millis(40),
        status: Some(400),
        response: "no".into(),
        detail: String::new(),
        probe: false,
    };
    let settled = store.settle_call(result, vec![settlement], None).await.unwrap();
    assert_eq!(settled, Settled { applied: 1, stale: 0 });
    let again = NewCall {
        id: call(3),
        destination: "meta".into(),
        started_at: Timestamp::from_millis(50),
        method: "POST".into(),
        url: "https://x.example/".into(),
        deliveries: vec![(held, "[]".into())],
    };
    assert_eq!(store.open_call(again).await.unwrap(), [held]);
    let second = (2, call(2), "{}".to_owned(), Some(400), Some("split".to_owned()));
    assert_eq!(tries().await, [first.clone(), second, (3, call(3), "[]".into(), None, None)]);

    let step = PurgeStep {
        class: Class::Raw,
        place: PurgePlace::Attempts,
        from: [0; 16],
        before: Timestamp::from_millis(60),
        limit: 10,
        without,
        now: Timestamp::from_millis(60),
    };
    assert_eq!(store.purge(step).await.unwrap().rows, 2);
    let left: Vec<_> = tries().await.into_iter().map(|(.., payload, _, _)| payload).collect();
    assert_eq!(left, [first.2.as_str(), "", ""]);
    store.close().await;
}
