//! The lanes of one destination: what is new, what is tried again, and what is replayed by hand each have a share that
//! the others cannot take, so that neither an outage's backlog nor a replay of last month holds today's events up.

/// Which lane a delivery waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// It was never refused yet.
    Fresh,
    /// It failed before, or was made due by hand.
    Retry,
    /// A job sends it once more.
    Replay,
}

impl Lane {
    /// All lanes, the first served first.
    pub const ALL: [Self; 3] = [Self::Fresh, Self::Retry, Self::Replay];

    /// Its number as stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Fresh => 0,
            Self::Retry => 1,
            Self::Replay => 2,
        }
    }

    /// Of ten places, how many nobody else takes while something waits in this lane.
    const fn reserved_of_ten(self) -> usize {
        match self {
            Self::Fresh => 5,
            Self::Retry => 3,
            Self::Replay => 2,
        }
    }
}

/// How many of `places` are reserved for each lane: its share, rounded down so that no lane takes another's, but one at
/// least.
#[must_use]
pub fn reserved(places: usize) -> [usize; 3] {
    Lane::ALL.map(|lane| (places.saturating_mul(lane.reserved_of_ten()) / 10).max(1))
}

/// Which lane is served first at the lease with this number. Where there are fewer places than lanes, nobody else may be
/// served at all: of ten such leases each lane has its share.
#[must_use]
pub const fn first_at(lease: u32) -> Lane {
    match lease % 10 {
        1 | 5 | 9 => Lane::Retry,
        3 | 7 => Lane::Replay,
        _ => Lane::Fresh,
    }
}

/// How many to take from each lane, given how many wait there: first everybody's reserved places, then what is left over,
/// both in the order of the lanes, behind the one that is served first.
#[must_use]
pub fn shares(places: usize, waiting: [usize; 3], first: Lane) -> [usize; 3] {
    let mut left = places;
    let mut taken = [0; 3];
    let most = reserved(places);
    let first = usize::from(first.number());
    let others: Vec<usize> = (0..taken.len()).filter(|lane| *lane != first).collect();
    let order = [first, others[0], others[1]];
    for lane in order {
        taken[lane] = waiting[lane].min(most[lane]).min(left);
        left -= taken[lane];
    }
    for lane in order {
        let more = (waiting[lane] - taken[lane]).min(left);
        taken[lane] += more;
        left -= more;
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_lane_has_its_share_and_nothing_is_left_idle() {
        for (places, waiting, taken) in [
            (10, [100, 100, 100], [5, 3, 2]),
            (10, [2, 100, 100], [2, 6, 2]),
            (10, [0, 0, 100], [0, 0, 10]),
            (10, [100, 0, 1], [9, 0, 1]),
            (10, [1, 1, 1], [1, 1, 1]),
            (1, [5, 5, 5], [1, 0, 0]),
            (1, [0, 5, 5], [0, 1, 0]),
            (3, [9, 9, 9], [1, 1, 1]),
            (4, [9, 9, 9], [2, 1, 1]),
            (5, [3, 2, 1], [3, 1, 1]),
            (7, [9, 9, 9], [4, 2, 1]),
            (0, [9, 9, 9], [0, 0, 0]),
        ] {
            assert_eq!(shares(places, waiting, Lane::Fresh), taken, "{places} {waiting:?}");
        }
    }

    #[test]
    fn one_place_at_a_time_is_shared_as_well() {
        let mut taken = [0; 3];
        for lease in 0..10 {
            let shares = shares(1, [100, 100, 100], first_at(lease));
            taken = std::array::from_fn(|lane| taken[lane] + shares[lane]);
        }
        assert_eq!(taken, Lane::ALL.map(Lane::reserved_of_ten));
        assert_eq!(shares(1, [5, 0, 5], Lane::Retry), [1, 0, 0]);
        assert_eq!(shares(2, [5, 5, 5], Lane::Replay), [1, 0, 1]);
    }

    proptest! {
        #[test]
        fn as_many_as_there_are_places_for(
            places in prop_oneof![0_usize..30, 0_usize..5_000],
            waiting in any::<[u16; 3]>(),
            lease in 0_u32..10,
        ) {
            let waiting = waiting.map(usize::from);
            let taken = shares(places, waiting, first_at(lease));
            prop_assert_eq!(taken.iter().sum::<usize>(), places.min(waiting.iter().sum()));
            for lane in 0..3 {
                prop_assert!(taken[lane] <= waiting[lane]);
            }
            // From three places on, nobody who waits goes away with nothing.
            if places >= 3 {
                for lane in 0..3 {
                    prop_assert!(taken[lane] > 0 || waiting[lane] == 0);
                }
            }
        }
    }
}
