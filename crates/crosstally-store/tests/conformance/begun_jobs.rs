//! Jobs that are begun by a request which may come again.

use crosstally_core::delivery::job::{Job, Word};
use crosstally_core::time::Timestamp;
use crosstally_store::BegunUnder;

use crate::build;
use crate::jobs::{filter, job};
use crate::stage::Stage;

fn under(byte: u8, since: i64) -> Option<BegunUnder> {
    Some(BegunUnder { digest: [byte; 32], since: build::at(since) })
}

fn begun_at(created_at: Timestamp) -> Job {
    Job { created_at, updated_at: created_at, ..job(filter(&Word::FAILED), None) }
}

pub(crate) async fn a_request_begins_one_job(stage: &Stage) {
    let store = stage.open().await;
    let first = begun_at(build::at(10));
    assert_eq!(store.begin_job(first.clone(), under(1, 0)).await.unwrap(), first);
    let second = begun_at(build::at(20));
    assert_eq!(store.begin_job(second.clone(), under(1, 10)).await.unwrap(), first, "the same request again");
    assert_eq!(store.job(second.id).await.unwrap(), None);
    for (asked, found) in [(under(1, 10), Some(&first)), (under(1, 11), None), (under(2, 0), None)] {
        assert_eq!(store.job_begun(asked.unwrap()).await.unwrap().as_ref(), found, "{asked:?}");
    }
    for other in [begun_at(build::at(21)), begun_at(build::at(22))] {
        assert_eq!(
            store.begin_job(other.clone(), None).await.unwrap(),
            other,
            "without a key each is its own"
        );
    }
    let other = begun_at(build::at(23));
    assert_eq!(store.begin_job(other.clone(), under(2, 0)).await.unwrap(), other);
    // The key of the first has been forgotten meanwhile.
    let later = begun_at(build::at(30));
    assert_eq!(store.begin_job(later.clone(), under(1, 11)).await.unwrap(), later);
    assert_eq!(store.begin_job(begun_at(build::at(31)), under(1, 11)).await.unwrap(), later);
    assert_eq!(store.job(first.id).await.unwrap(), Some(first));
    assert_eq!(store.list_jobs(None, 100).await.unwrap().len(), 5);
}

pub(crate) async fn of_requests_at_once_one_begins(stage: &Stage) {
    let store = stage.open().await;
    let wanted: Vec<Job> = (0..8).map(|ms| begun_at(build::at(ms))).collect();
    let begun = wanted.into_iter().map(|job| store.begin_job(job, under(7, 0)));
    let begun = futures_util::future::join_all(begun).await;
    let ids: std::collections::BTreeSet<_> = begun.into_iter().map(|job| job.unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(store.list_jobs(None, 100).await.unwrap().len(), 1);
}
