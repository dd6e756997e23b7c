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
