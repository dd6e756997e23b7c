#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn writable() -> (tempfile::TempDir, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let path = prepare(directory.path()).unwrap();
    let connection = connect(&path, Access::Write).unwrap();
    (directory, connection)
}

#[test]
fn a_commit_that_is_not_synced_is_refused() {
    let (_directory, connection) = writable();
    check_durable(&connection).unwrap();
    for (setting, value) in [("synchronous", "normal"), ("synchronous", "off")] {
        connection.pragma_update(None, setting, value).unwrap();
        let refusal = check_durable(&connection).unwrap_err();
        assert!(matches!(&refusal, OpenError::NotDurable(text) if text.contains(setting)), "{refusal}");
    }
    connection.pragma_update(None, "synchronous", "extra").unwrap();
    check_durable(&connection).unwrap();
}

#[test]
fn a_database_without_a_write_ahead_log_is_refused() {
    let connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    let refusal = check_durable(&connection).unwrap_err();
    assert!(matches!(&refusal, OpenError::NotDurable(text) if text.contains("journal_mode")), "{refusal}");
}

#[test]
fn a_reader_cannot_write() {
    let (directory, writer) = writable();
    writer.execute_batch("CREATE TABLE thing (id INTEGER)").unwrap();
    let reader = connect(&directory.path().join(FILE), Access::Read).unwrap();
    let refusal = reader.execute("INSERT INTO thing VALUES (1)", []).unwrap_err();
    assert_eq!(refusal.sqlite_error_code(), Some(ErrorCode::ReadOnly));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deep").join("data");
    let path = prepare(&directory).unwrap();
    let connection = connect(&path, Access::Write).unwrap();
    connection.execute_batch("CREATE TABLE thing (id INTEGER)").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in [FILE, "crosstally.db-wal", "crosstally.db-shm"] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_file_that_is_no_database_is_said_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), "x".repeat(8_192)).unwrap();
    let path = prepare(directory.path()).unwrap();
    assert!(matches!(connect(&path, Access::Write), Err(OpenError::Unavailable(_))));
}
