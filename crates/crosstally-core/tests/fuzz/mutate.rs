//! Inputs made from others: cut, repeated, spliced, and sown with the words of a target's grammar.

/// Bytes of the longest input that is made.
const BYTES_MAX: usize = 4_096;
/// Bytes that mean something to one reader or another.
const TELLING: &[u8] = b"%&=;+,.'\"{}[]()<>:-_#@!$/\\ \n\r\t\0\x7f\x80\xc3\xe2\xff0159azAZ";

/// Makes inputs, the same ones every time.
pub(crate) struct Mutations<'c> {
    state: u64,
    words: &'static [&'static str],
    corpus: &'c [Vec<u8>],
}

impl<'c> Mutations<'c> {
    pub(crate) const fn new(words: &'static [&'static str], corpus: &'c [Vec<u8>]) -> Self {
        Self { state: 0x0c70_55a1_1fee_d5ed, words, corpus }
    }

    /// The next input.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.known();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn known(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        self.corpus.get(at).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.range(input.len());
        match self.below(8) {
            0 => drop(input.drain(from..to)),
            1 => {
                let piece: Vec<u8> = input.iter().copied().skip(from).take(to - from).collect();
                insert(input, from, &piece);
            }
            2 => {
                let other = self.known();
                let (start, end) = self.range(other.len());
                let piece: Vec<u8> = other.into_iter().skip(start).take(end - start).collect();
                insert(input, from, &piece);
            }
            3 | 4 => {
                let at = self.below(self.words.len());
                let word = self.words.get(at).copied().unwrap_or_default();
                if self.below(2) == 0 {
                    drop(input.drain(from..to));
                }
                insert(input, from, word.as_bytes());
            }
            5 => {
                let byte = self.telling();
                insert(input, from, &[byte]);
            }
            6 => {
                let byte = self.telling();
                if let Some(place) = input.get_mut(from) {
                    *place = byte;
                }
            }
            _ => {
                let bit = self.below(8);
                if let Some(place) = input.get_mut(from) {
                    *place ^= 1 << bit;
                }
            }
        }
    }

    fn telling(&mut self) -> u8 {
        let at = self.below(TELLING.len());
        TELLING.get(at).copied().unwrap_or(b'x')
    }

    /// A short range of so many places.
    fn range(&mut self, of: usize) -> (usize, usize) {
        let from = self.below(of + 1);
        let length = 1 + self.below(24);
        (from, (from + length).min(of))
    }

    /// A number below this one, by splitmix64.
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) >> 33).expect("31 bits") % end.max(1)
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    drop(input.splice(at..at, piece.iter().copied()));
}
