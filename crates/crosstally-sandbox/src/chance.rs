//! Repeatable chance: the draws of a fault's probability and the trace ids of answers. Knows no entropy of the system.

/// A seeded sequence of numbers; the same seed gives the same sequence on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number. The step and the mix are those of SplitMix64.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in `percent` of 100 draws.
    pub(crate) const fn falls_within(&mut self, percent: u8) -> bool {
        self.next() % 100 < percent as u64
    }
}

/// The trace id of the `call`-th answer, in the shape of Meta's: 23 characters that start with `A`.
pub(crate) fn trace_id(call: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut dice = Dice::new(call);
    let mut id = String::with_capacity(23);
    id.push('A');
    for _ in 0..22 {
        let index = usize::try_from(dice.next() % 64).expect("a number below 64 fits");
        id.push(char::from(LETTERS[index]));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_the_share_is_right() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (0..10_000).map(|_| dice.falls_within(25)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let hits = draw(7).into_iter().filter(|hit| *hit).count();
        assert!((2_300..2_700).contains(&hits), "{hits} of 10,000 at 25 %");
    }

    #[test]
    fn trace_ids_differ_and_have_the_shape() {
        assert_eq!(trace_id(1).len(), 23);
        assert!(trace_id(1).starts_with('A'));
        assert_ne!(trace_id(1), trace_id(2));
    }
}
