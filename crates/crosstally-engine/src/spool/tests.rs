//! No file takes another's place, and none is forgotten.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::record::tests::click;
use super::*;

fn step_of(click: &Click, at: i64) -> Step {
    let at = click.at.plus_millis(at);
    Step { click: click.id, at, offer: "shop".into(), instead_of: String::new() }
}

/// Everything that is in closed files.
fn all(spool: &Spool) -> (Vec<Click>, Vec<Step>) {
    let read = spool.files().unwrap().into_iter().map(|path| Spool::read(&path).unwrap());
    read.fold(Default::default(), |(mut clicks, mut steps), spooled| {
        clicks.extend(spooled.clicks);
        steps.extend(spooled.steps);
        (clicks, steps)
    })
}

#[tokio::test]
async fn a_click_and_its_later_steps_keep_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let click = click(1_764_201_600_000);
    let steps = [step_of(&click, 1), step_of(&click, 2)];
    assert!(spool.append(&click).await);
    spool.rotate().await;
    for step in &steps {
        assert!(spool.append_step(step).await);
        spool.rotate().await;
    }
    assert_eq!(all(&spool), (vec![click.clone()], steps.to_vec()), "in their order");
    // A process that comes later goes on behind them, also behind one that was set aside.
    let files = spool.files().unwrap();
    std::fs::rename(&files[2], files[2].with_extension("damaged")).unwrap();
    drop(spool);
    let spool = Spool::open(directory.path()).unwrap();
    assert!(spool.append_step(&steps[0]).await);
    spool.rotate().await;
    let later = spool.files().unwrap().pop().unwrap();
    assert!(!files.contains(&later), "{later:?}");
    assert_eq!(all(&spool), (vec![click], vec![steps[0].clone(), steps[0].clone()]));
}

#[tokio::test]
async fn what_a_killed_process_left_open_replaces_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let click = click(1_764_201_600_000);
    let step = step_of(&click, 1);
    // As they were named once: by the click of the first record.
    let named = |ending: &str| directory.path().join(format!("{}.{ending}", click.id));
    std::fs::write(named("clicks"), record::encode(&click)).unwrap();
    std::fs::write(named("open"), record::encode_step(&step)).unwrap();
    spool.recover().unwrap();
    assert_eq!(all(&spool), (vec![click], vec![step]));
}

#[tokio::test]
async fn what_is_written_while_the_last_file_goes_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let (first, second) = (click(1_764_201_600_000), click(1_764_201_600_001));
    assert!(spool.is_empty());
    assert!(spool.append(&first).await);
    spool.rotate().await;
    assert!(spool.append(&second).await);
    spool.remove(&spool.files().unwrap()[0]).unwrap();
    assert!(!spool.is_empty(), "the second is in a file that is open");
    spool.rotate().await;
    spool.remove(&spool.files().unwrap()[0]).unwrap();
    assert!(spool.is_empty());
}
