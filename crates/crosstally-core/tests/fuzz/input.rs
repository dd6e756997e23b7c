//! Choices out of an input: its first bytes choose, the rest is the text.

/// An input that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    pub(crate) const fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    /// One byte; 0 where the input has ended.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One of so many. Letters and digits choose as readably as other bytes: `0` is the first, `1` the second.
    pub(crate) fn choice(&mut self, of: usize) -> usize {
        usize::from(self.byte().wrapping_sub(b'0')) % of.max(1)
    }

    /// One of these.
    pub(crate) fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        let at = self.choice(list.len());
        list.get(at).expect("a list to choose from has something in it")
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'d [u8] {
        self.0
    }

    /// What is left, up to the next NUL; the rest stays.
    pub(crate) fn part(&mut self) -> &'d [u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let (part, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\0").unwrap_or(rest);
        part
    }
}

/// Bytes as text, whatever they are.
pub(crate) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
