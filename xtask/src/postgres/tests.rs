#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::os::unix::fs::MetadataExt as _;

use super::*;

/// One SQL question through psql, as the tests' own connection would ask it.
fn ask(server: &Postgres, question: &str) -> String {
    let psql = find_programs().unwrap().join("psql");
    steps::capture(Command::new(psql).args(["-X", "-A", "-t", "-c", question]).arg(server.url())).unwrap()
}

fn folder_of(server: &Postgres) -> PathBuf {
    let folder = ask(server, "show data_directory");
    Path::new(folder.trim()).parent().unwrap().to_path_buf()
}

#[test]
fn it_answers_with_its_settings_and_leaves_nothing_behind() {
    let server = Postgres::start(Durability::None).unwrap();
    assert_eq!(ask(&server, "show fsync").trim(), "off");
    assert_eq!(ask(&server, "show max_connections").trim(), "300");
    let folder = folder_of(&server);
    assert_ne!(fs::metadata(&folder).unwrap().uid(), 0, "PostgreSQL must not run as root");
    drop(server);
    assert!(!folder.is_dir(), "{} is still there", folder.display());
}

#[test]
fn it_wants_the_password() {
    let server = Postgres::start(Durability::Full).unwrap();
    assert_eq!(ask(&server, "show fsync").trim(), "on");
    let (before, after) = server.url().split_once('@').unwrap();
    let wrong = format!("{}x@{after}", before);
    let psql = find_programs().unwrap().join("psql");
    let answer =
        steps::capture(Command::new(psql).args(["-X", "-c", "select 1"]).arg(wrong).stdin(Stdio::null()));
    assert!(format!("{:#}", answer.unwrap_err()).contains("password authentication failed"));
}

#[test]
fn it_goes_away_when_its_starter_is_killed() {
    let server = Postgres::start(Durability::None).unwrap();
    let folder = folder_of(&server);
    // What the kernel does to the pipe of a process that is killed.
    let mut keeper = std::mem::ManuallyDrop::new(server);
    drop(keeper.keeper.stdin.take());
    assert!(keeper.keeper.wait().unwrap().success());
    assert!(!folder.is_dir(), "{} is still there", folder.display());
}

#[test]
fn a_server_that_cannot_start_says_why_and_leaves_nothing_behind() {
    let programs = tempfile::tempdir().unwrap();
    let initdb = programs.path().join("initdb");
    fs::write(&initdb, "#!/bin/sh\necho no room at all\nexit 1\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&initdb, executable).unwrap();
    let error = Postgres::try_start(programs.path(), &Owner::Us, Durability::None).err().unwrap();
    assert!(format!("{error:#}").contains("no room at all"), "{error:#}");
}
