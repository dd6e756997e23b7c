//! Paths and what is drawn from them: the first path whose rule a visit meets, then one of its landers and offers by their
//! weights. The number that decides is handed in: a random one, or one that is always the same for a visitor.

use sha2::{Digest, Sha256};

use crate::redirect::Redirect;
use crate::rule::Rule;
use crate::visit::Visit;

/// A path: for which visits it is, and where it leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Its name in the configuration.
    pub slug: String,
    /// For which visits it is.
    pub rule: Rule,
    /// Where it leads, in the order of landers and offers by name.
    pub members: Vec<Member>,
    /// How visitors are sent, if another way than the campaign says.
    pub redirect: Option<Redirect>,
}

/// What a member of a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page before the offer.
    Lander,
    /// The offer.
    Offer,
}

/// A lander or an offer of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: Kind,
    /// Its slug.
    pub slug: String,
    /// Its share: as many visitors as it has of the sum of all weights.
    pub weight: u32,
}

/// What a visitor's next visit is sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sticky {
    /// Every visit is drawn anew.
    #[default]
    None,
    /// The same address and browser get the same draw.
    Visitor,
    /// A cookie of the click host brings the same draw.
    Cookie,
}

/// The first path that a visit meets.
pub fn first<'p>(paths: impl IntoIterator<Item = &'p Path>, visit: &Visit<'_>) -> Option<&'p Path> {
    paths.into_iter().find(|path| path.rule.holds(visit))
}

impl Path {
    /// The member that a number from the whole range of 64 bits falls on.
    #[must_use]
    pub fn draw(&self, number: u64) -> Option<&Member> {
        let total: u64 = self.members.iter().map(|member| u64::from(member.weight)).sum();
        // The number's share of its range, as a place within the sum: no weight gets more than its due.
        let place = u64::try_from((u128::from(number) * u128::from(total)) >> 64).unwrap_or(0);
        let mut until = 0;
        self.members.iter().find(|member| {
            until += u64::from(member.weight);
            place < until
        })
    }
}

/// A number that is always the same for a visitor on a path of a campaign, and says nothing about any other path.
#[must_use]
pub fn number_of(visitor: &[u8], campaign: &str, path: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(campaign);
    hash.update([0]);
    hash.update(path);
    hash.update([0]);
    hash.update(visitor);
    let digest: [u8; 32] = hash.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(weights: &[u32]) -> Path {
        let member = |(at, weight): (usize, &u32)| Member {
            kind: if at % 2 == 0 { Kind::Lander } else { Kind::Offer },
            slug: format!("m{at}"),
            weight: *weight,
        };
        Path {
            slug: "p".into(),
            rule: Rule::default(),
            members: weights.iter().enumerate().map(member).collect(),
            redirect: None,
        }
    }

    #[test]
    fn a_weight_of_zero_is_never_drawn_and_the_ends_are() {
        let path = path(&[0, 1, 0, 3, 0]);
        let slug = |number| path.draw(number).map(|member| member.slug.as_str());
        assert_eq!(slug(0), Some("m1"));
        assert_eq!(slug(u64::MAX), Some("m3"));
        assert_eq!(slug(u64::MAX / 4), Some("m1"));
        assert_eq!(slug(u64::MAX / 4 + 2), Some("m3"));
    }

    #[test]
    fn a_visitor_is_always_drawn_the_same_and_visitors_spread() {
        let path = path(&[1, 1, 2]);
        let mut counts = [0_u32; 3];
        for visitor in 0..40_000_u32 {
            let number = number_of(&visitor.to_be_bytes(), "summer", "rest");
            assert_eq!(number, number_of(&visitor.to_be_bytes(), "summer", "rest"));
            let at = path.members.iter().position(|member| Some(member) == path.draw(number));
            counts[at.unwrap_or(9)] += 1;
        }
        assert!(
            counts.iter().zip([10_000, 10_000, 20_000]).all(|(n, want)| n.abs_diff(want) < 600),
            "{counts:?}"
        );
        assert_ne!(number_of(b"v", "summer", "rest"), number_of(b"v", "winter", "rest"));
        assert_ne!(number_of(b"v", "ab", "c"), number_of(b"v", "a", "bc"));
    }

    proptest! {
        /// Numbers spread evenly over their range hit each member as often as its weight says, to within one each.
        #[test]
        fn weights_converge(weights in prop::collection::vec(0_u32..=1_000, 1..8), steps in 1_u64..5_000) {
            let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            prop_assume!(total > 0);
            let path = path(&weights);
            let mut counts = vec![0_u64; weights.len()];
            for step in 0..steps {
                let drawn = path.draw(u64::MAX / steps * step).map(|member| member.slug.clone());
                let at = path.members.iter().position(|member| Some(&member.slug) == drawn.as_ref());
                counts[at.expect("a member")] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let due = steps * u64::from(*weight) / total;
                prop_assert!(count.abs_diff(due) <= 2, "{counts:?} of {weights:?}");
            }
        }

        /// Whatever the number, what is drawn has a weight.
        #[test]
        fn every_number_draws(weights in prop::collection::vec(0_u32..=1_000_000, 1..8), number: u64) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            prop_assert!(path(&weights).draw(number).is_some_and(|member| member.weight > 0));
        }
    }
}
