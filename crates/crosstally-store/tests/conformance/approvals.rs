//! How many conversions come to be approved, as far as they are decided.

use crosstally_core::ledger::Status;
use crosstally_core::postback::ConversionChange;
use crosstally_core::value::Decided;

use crate::build::{self, ACME, at};
use crate::stage::Stage;

pub(crate) async fn the_share_of_approvals_is_of_what_was_decided(stage: &Stage) {
    let store = stage.open().await;
    let words = [Status::Approved, Status::Rejected, Status::Reversed, Status::Lead, Status::Hold];
    for number in 0..40_usize {
        let mut booking =
            build::sale(i64::try_from(number).unwrap(), build::key(ACME, &build::unique_name()), &[]);
        if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
            conversion.status = words[number % 5];
            conversion.created_at = at(i64::try_from(number).unwrap());
            conversion.campaign = if number % 2 == 0 { "even".into() } else { "odd".into() };
        }
        booking.goal_events.clear();
        booking.deliveries.clear();
        build::book(&store, &booking).await;
    }
    let of = async |since: i64, limit| {
        let found = store.decided(ACME.into(), at(since), limit).await.unwrap();
        (found.of_campaign("even"), found.of_campaign("odd"), found.of_all())
    };
    let decided = |approved, decided| Decided { approved, decided };
    assert_eq!(of(0, 100).await, (decided(4, 12), decided(4, 12), decided(8, 24)));
    assert_eq!(of(20, 100).await.2, decided(4, 12), "from that time on");
    // 35 is approved, 36 rejected, 37 reversed: the newest.
    assert_eq!(of(0, 3).await.2, decided(1, 3), "the newest of them");
    assert_eq!(of(1_000, 100).await.2, decided(0, 0));
    let others = store.decided("nobody".into(), at(0), 100).await.unwrap();
    assert_eq!(others.of_all(), decided(0, 0));
}
