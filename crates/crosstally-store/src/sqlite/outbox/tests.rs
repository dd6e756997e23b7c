#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crosstally_core::delivery::lane::Lane;
use crosstally_core::ids::{CallId, DeliveryId};

use super::super::migrate::migrate;
use super::close::CLOSE_CALL_OF_ONE;
use super::lease::{CLOSE_UNKNOWN, CLOSE_UNKNOWN_OF_ONE, FIND_DUE, FIND_EVENT, LEASE, STILL_OPEN};
use super::*;

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, std::path::Path::new("unused")).unwrap();
    connection
}

/// How the database means to answer.
fn plan(connection: &Connection, question: &str) -> String {
    let mut ask = connection.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
    let mut rows = ask.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get::<_, String>(3).unwrap());
    }
    plan.join("; ")
}

#[test]
fn what_is_asked_of_millions_is_answered_by_an_index() {
    let connection = database();
    for (question, expected) in [
        (
            FIND_DUE,
            "SEARCH deliveries USING INDEX deliveries_pending (workspace=? AND destination=? AND lane=? AND available_at<?)",
        ),
        // Not a single row is read: the index alone says who is overdue.
        (FIND_OVERDUE, "SEARCH deliveries USING COVERING INDEX deliveries_pending (workspace=?)"),
        (LEASE, "SEARCH deliveries USING PRIMARY KEY (id=?)"),
        (OPEN, "SEARCH deliveries USING PRIMARY KEY (id=?)"),
        (DELIVERED, "SEARCH deliveries USING PRIMARY KEY (id=?)"),
        (CLOSE_ATTEMPT, "SEARCH attempts USING INDEX sqlite_autoindex_attempts_1 (delivery=?)"),
        (CLOSE_UNKNOWN, "SEARCH attempts USING INDEX sqlite_autoindex_attempts_1 (delivery=?)"),
        (CLOSE_CALL, "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)"),
        (CLOSE_CALL_OF_ONE, "SEARCH calls USING INDEX sqlite_autoindex_calls_1 (id=?)"),
        (CLOSE_UNKNOWN_OF_ONE, "SEARCH calls USING INDEX calls_of_one (delivery=?)"),
        (FIND_EVENT, "SEARCH goal_events USING INDEX sqlite_autoindex_goal_events_1 (id=?)"),
    ] {
        assert_eq!(plan(&connection, question), expected, "{question}");
    }
}

#[test]
fn attempts_are_found_by_keys_wherever_they_are() {
    use super::super::{erasures, lookbacks, outbox_reads, purges};
    use crate::PurgePlace;
    let connection = database();
    let of_delivery = outbox_reads::attempts_of_delivery();
    for question in [
        STILL_OPEN,
        &of_delivery,
        erasures::deliveries::LEAVE_CALLS_OF_ONE,
        lookbacks::SENT,
        lookbacks::FOUND,
        lookbacks::AGAIN,
    ] {
        let plan = plan(&connection, question);
        let steps = plan.split("; ").filter(|step| step.starts_with("SCAN"));
        // The rows that were found, once more.
        let scans: Vec<&str> = steps.filter(|step| !step.contains("subquery")).collect();
        assert!(scans.is_empty() && plan.contains("SEARCH"), "{question}: {plan}");
    }
    for question in [purges::last_id(PurgePlace::Attempts), purges::EMPTY_CALLS_OF_ONE] {
        let plan = plan(&connection, question);
        assert!(plan.contains("INDEX calls_with_payload (id>? AND id<?)"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{plan}");
    }
}

#[test]
fn a_call_of_one_event_is_one_row() {
    let connection = database();
    let lease =
        "INSERT INTO deliveries (id, workspace, goal_event, conversion, destination, state, detail, attempts,
            failures, due_at, available_at, deadline_at, created_at, fence, lease_owner, lease_until)
        VALUES (?1, 1, x'01', x'02', 'meta', 'pending', '', 0, 0, 0, 1000, 2000, 0, 1, 'node', 1000)";
    let held = [7, 8].map(|byte| Held { id: DeliveryId::from_bytes([byte; 16]), fence: 1 });
    for one in held {
        connection.execute(lease, [one.id.as_bytes()]).unwrap();
    }
    let rows = |table: &str| -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let open = |byte: u8, wanted: &[Held]| {
        let call = NewCall {
            id: CallId::from_bytes([byte; 16]),
            destination: "meta".into(),
            started_at: Timestamp::from_millis(10),
            method: "POST".into(),
            url: "https://x.example/".into(),
            deliveries: wanted.iter().map(|one| (*one, "payload".into())).collect(),
        };
        Intents::to(&connection).unwrap().write(&call).unwrap()
    };
    assert_eq!(open(1, &held), held);
    assert_eq!((rows("calls"), rows("attempts")), (1, 2));
    // The second of two that were wanted is not held any more.
    assert_eq!(open(2, &[held[0], Held { fence: 2, ..held[1] }]), held[..1]);
    assert_eq!((rows("calls"), rows("attempts")), (2, 2));
    let alone = "SELECT number FROM calls WHERE delivery = ?1 AND payload = 'payload' AND outcome IS NULL";
    let number = connection.query_row(alone, [held[0].id.as_bytes()], |row| row.get(0));
    assert_eq!(number, Ok(2));
    assert_eq!(open(3, &[Held { fence: 2, ..held[1] }]), []);
    assert_eq!((rows("calls"), rows("attempts")), (2, 2));
}

#[test]
fn what_browsers_told_and_the_server_sent_is_found_by_keys() {
    use super::super::{hybrid, journeys, losses};
    let connection = database();
    for question in [
        hybrid::SENT,
        hybrid::EVENT,
        hybrid::TOLD,
        hybrid::CLICKS,
        hybrid::CONVERSIONS,
        losses::END,
        losses::COUNT,
        journeys::LOOK,
        journeys::COUNT,
    ] {
        let plan = plan(&connection, question);
        let steps = plan.split("; ").filter(|step| step.starts_with("SCAN"));
        // The rows that were found, once more.
        let scans: Vec<&str> = steps.filter(|step| !step.contains("subquery")).collect();
        assert!(scans.is_empty() && plan.contains("SEARCH"), "{question}: {plan}");
    }
    for in_order in [hybrid::CLICKS, journeys::LOOK] {
        let plan = plan(&connection, in_order);
        assert!(!plan.contains("B-TREE"), "{plan}");
    }
}

#[test]
fn a_job_finds_its_deliveries_in_the_order_of_an_index() {
    use crosstally_core::delivery::job::{JobFilter, Word};
    let connection = database();
    let filter = JobFilter {
        destination: "meta".into(),
        states: Word::ENDED.to_vec(),
        code: None,
        goal: Some("purchase".into()),
        event_name: None,
        from: Some(Timestamp::default()),
        to: Timestamp::from_millis(1),
        ids: Vec::new(),
        taken_back: true,
    };
    for (word, index) in [
        (Word::Dead, "deliveries_unsent"),
        (Word::Delivered, "deliveries_by_destination"),
        (Word::Pending, "deliveries_by_destination"),
    ] {
        let question = super::super::jobs::next_of(&filter, word.state());
        let plan = plan(&connection, &question);
        assert!(plan.starts_with("SEARCH d USING INDEX ") && plan.contains(index), "{plan}");
        assert!(!plan.contains("B-TREE") && !plan.contains("SCAN"), "{plan}");
    }
}

#[test]
fn the_receipts_of_a_conversion_are_found_without_looking_at_all_others() {
    let connection = database();
    for only in ["", " AND verdict IN ('recorded', 'updated')"] {
        let question =
            format!("SELECT id FROM receipts WHERE {}", super::super::receipts::of_conversion(only));
        let plan = plan(&connection, &question);
        assert!(plan.contains("SEARCH receipts USING INDEX receipts_by_conversion (conversion=?)"), "{plan}");
        assert!(!plan.contains("SCAN receipts"), "{plan}");
    }
}

/// A lane that starts asks when something is due, and leases. What that costs is counted in the steps of SQLite's machine.
#[test]
fn a_start_works_no_more_the_more_waits() {
    let cost = |waiting: u32| {
        let connection = database();
        let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
            INSERT INTO deliveries (id, workspace, goal_event, conversion, destination, state, detail, attempts, failures,
                due_at, available_at, deadline_at, created_at, fence, lane)
            SELECT randomblob(16), 1, randomblob(12), randomblob(16), 'meta', 'pending', '', 0, 0,
                n, n, 1000000000, n, 0, n % 3 FROM n";
        connection.execute(fill, [waiting]).unwrap();
        let steps = |question: &str, values: &[&dyn ToSql]| {
            let mut ask = connection.prepare(question).unwrap();
            let found = ask.query_map(values, |_| Ok(())).unwrap().count();
            (found, ask.get_status(rusqlite::StatementStatus::VmStep))
        };
        let next = steps(super::super::outbox_reads::NEXT_DUE, params![WORKSPACE, "meta"]);
        let due = Lane::ALL
            .map(|lane| steps(FIND_DUE, params![WORKSPACE, "meta", 2_000_000_i64, 64, lane.number()]));
        (next, due)
    };
    let (few, many) = (cost(300), cost(30_000));
    assert_eq!(few.1.map(|(found, _)| found), [64; 3]);
    assert_eq!(few, many);
}
