//! In which spellings a character may stand in a text that others wrote: percent-encoded, escaped for JSON, for a script and
//! for markup, each as its usual encoders do it, and several of them one over the other.
//!
//! Letters and digits of ASCII stand for themselves: none of those encoders touches them.

use std::cell::Cell;
use std::ops::Deref;

/// How many encodings may lie one over the other.
const LAYERS_MAX: u8 = 3;

/// How often a place of one text is looked at: honest ones take a fraction of that.
const LOOKS_MAX: u32 = 300_000;

/// Names of characters in markup, and what they stand for. Those of Latin-1 stand apart, in their order.
const NAMES: &[(&str, char)] = &[
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("euro", '\u{20ac}'),
];
/// The first of [`LATIN_1`].
const LATIN_1_FIRST: u32 = 0xa0;
const LATIN_1: &[&str] = &[
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo",
    "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot",
    "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc",
    "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute",
    "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash",
    "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde",
    "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc",
    "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave",
    "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];

/// A text that is searched.
pub(crate) struct Text<'t> {
    bytes: &'t [u8],
    /// How often it may still be looked at.
    looks: Cell<u32>,
}

impl<'t> Text<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), looks: Cell::new(LOOKS_MAX) }
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// Where these characters end if they begin here in some spelling: behind the longest one. In a text that is made to be
/// searched for ever they end with it.
pub(crate) fn end_of(text: &Text<'_>, start: usize, secret: &str) -> Option<usize> {
    let (mut here, mut next) = (vec![start], Vec::new());
    let mut rest = secret.chars();
    // Digits of an escape that is the secret's own: whoever reads and writes it may change their case.
    let mut digits = 0_u8;
    while let Some(c) = rest.next() {
        next.clear();
        for &at in &here {
            ends(text, at, c, LAYERS_MAX, &mut next);
            if digits > 0 && text.get(at).is_some_and(|byte| byte.eq_ignore_ascii_case(&ascii(c))) {
                add(&mut next, at + 1);
            }
        }
        if text.looks.get() == 0 {
            return Some(text.len());
        }
        if next.is_empty() {
            return None;
        }
        std::mem::swap(&mut here, &mut next);
        digits = match rest.as_str().as_bytes() {
            [a, b, ..] if c == '%' && a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => 2,
            _ => digits.saturating_sub(1),
        };
    }
    here.into_iter().max()
}

/// Whether a spelling of this character may begin with this byte.
pub(crate) fn may_begin(byte: u8, c: char) -> bool {
    matches!(byte, b'%' | b'\\' | b'&')
        || byte == first_byte(c)
        || (byte == b'+' && c == ' ')
        || (byte == b' ' && becomes_blank(c))
}

fn first_byte(c: char) -> u8 {
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer);
    buffer[0]
}

/// The character as a byte; nothing that stands in a text for one that is none of ASCII.
fn ascii(c: char) -> u8 {
    u8::try_from(c).unwrap_or(0xff)
}

/// What cannot stand on a line or in markup is written there as a blank.
fn becomes_blank(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn add(ends: &mut Vec<usize>, end: usize) {
    if !ends.contains(&end) {
        ends.push(end);
    }
}

/// Where a character that begins here may end.
fn ends(text: &Text<'_>, at: usize, c: char, layers: u8, out: &mut Vec<usize>) {
    let Some((rest, &first)) = text.get(at..).and_then(|rest| Some((rest, rest.first()?))) else { return };
    let Some(looks) = text.looks.get().checked_sub(1) else { return };
    text.looks.set(looks);
    let mut buffer = [0; 4];
    let literal = c.encode_utf8(&mut buffer).as_bytes();
    if rest.starts_with(literal) {
        add(out, at + literal.len());
    }
    if c.is_ascii_alphanumeric() {
        return;
    }
    if (first == b'+' && c == ' ') || (first == b' ' && becomes_blank(c)) {
        add(out, at + 1);
    }
    // What stands for a blank may be escaped in its turn.
    if c == ' ' && layers > 0 {
        ends(text, at, '+', layers - 1, out);
    } else if becomes_blank(c) && layers > 0 {
        ends(text, at, ' ', layers - 1, out);
    }
    match first {
        b'%' | b'\\' | b'&' if layers == 0 => {}
        // Also what an escape begins with can only be escaped by what begins so.
        b'%' | b'\\' | b'&' if is_layered(text, at) => {
            percent(text, at, literal, layers - 1, out);
            backslash(text, at, c, layers - 1, out);
            reference(text, at, c, layers - 1, out);
        }
        b'%' => percent(text, at, literal, 0, out),
        b'\\' => backslash(text, at, c, 0, out),
        b'&' => reference(text, at, c, 0, out),
        _ => {}
    }
}

/// Whether what is escaped here may begin an escape itself.
fn is_layered(text: &Text<'_>, at: usize) -> bool {
    const LEADS: [char; 3] = ['%', '\\', '&'];
    let is_lead = |value: Option<u32>| LEADS.iter().any(|lead| value == Some(u32::from(*lead)));
    match text.get(at..).unwrap_or_default() {
        [b'%', ..] => is_lead(number(text, at + 1, 2)),
        [b'\\', b'u', ..] => is_lead(number(text, at + 2, 4)),
        [b'\\', b'x', ..] => is_lead(number(text, at + 2, 2)),
        [b'\\', next, ..] => matches!(next, b'%' | b'\\' | b'&'),
        [b'&', b'#', ..] => LEADS.iter().any(|lead| end_of_number(text, at + 2, *lead).is_some()),
        [b'&', rest @ ..] => {
            LEADS.iter().any(|lead| names(*lead).any(|name| rest.starts_with(name.as_bytes())))
        }
        _ => false,
    }
}

fn all_ends(text: &Text<'_>, at: usize, c: char, layers: u8) -> Vec<usize> {
    let mut out = Vec::new();
    ends(text, at, c, layers, &mut out);
    out
}

/// `%2B`, for each byte.
fn percent(text: &Text<'_>, at: usize, literal: &[u8], layers: u8, out: &mut Vec<usize>) {
    let mut here = vec![at];
    for &byte in literal {
        let mut next = Vec::new();
        for at in here {
            for digits in all_ends(text, at, '%', layers) {
                if number(text, digits, 2) == Some(u32::from(byte)) {
                    add(&mut next, digits + 2);
                }
            }
        }
        here = next;
    }
    here.into_iter().for_each(|end| add(out, end));
}

/// `\u002b`, `\x2b`, `\n`, `\/`.
fn backslash(text: &Text<'_>, at: usize, c: char, layers: u8, out: &mut Vec<usize>) {
    let mut units = [0; 2];
    let units: &[u16] = c.encode_utf16(&mut units);
    let letter = match c {
        '\n' => Some(b'n'),
        '\r' => Some(b'r'),
        '\t' => Some(b't'),
        '\u{8}' => Some(b'b'),
        '\u{c}' => Some(b'f'),
        _ => None,
    };
    for behind in all_ends(text, at, '\\', layers) {
        match text.get(behind) {
            Some(b'x') if number(text, behind + 1, 2) == Some(u32::from(c)) => add(out, behind + 3),
            Some(&found) if letter == Some(found) => add(out, behind + 1),
            _ => {}
        }
        if c.is_ascii_punctuation() {
            ends(text, behind, c, layers, out);
        }
    }
    let mut here = vec![at];
    for &unit in units {
        let mut next = Vec::new();
        for at in here {
            for behind in all_ends(text, at, '\\', layers) {
                let is_unit = text.get(behind) == Some(&b'u');
                if is_unit && number(text, behind + 1, 4) == Some(u32::from(unit)) {
                    add(&mut next, behind + 5);
                }
            }
        }
        here = next;
    }
    here.into_iter().for_each(|end| add(out, end));
}

/// `&#43;`, `&#x2b;`, `&plus;`.
fn reference(text: &Text<'_>, at: usize, c: char, layers: u8, out: &mut Vec<usize>) {
    let mut behind = Vec::new();
    for name in all_ends(text, at, '&', layers) {
        let rest = text.get(name..).unwrap_or_default();
        let named = names(c).filter(|known| rest.starts_with(known.as_bytes()));
        behind.extend(named.map(|known| name + known.len()));
        for digits in all_ends(text, name, '#', layers) {
            behind.extend(end_of_number(text, digits, c));
        }
    }
    behind.into_iter().for_each(|end| ends(text, end, ';', layers, out));
}

fn names(c: char) -> impl Iterator<Item = &'static str> {
    let latin = u32::from(c).checked_sub(LATIN_1_FIRST).and_then(|index| usize::try_from(index).ok());
    let latin = latin.and_then(|index| LATIN_1.get(index).copied());
    NAMES.iter().filter(move |(_, known)| *known == c).map(|(name, _)| *name).chain(latin)
}

/// The end of a reference's number, decimal or hexadecimal, if it is this character's.
fn end_of_number(text: &Text<'_>, at: usize, c: char) -> Option<usize> {
    let (radix, at) = match text.get(at)? {
        b'x' | b'X' => (16, at + 1),
        _ => (10, at),
    };
    let digits = text.get(at..)?.iter().take_while(|byte| char::from(**byte).is_digit(radix));
    let (mut value, mut end) = (0_u32, at);
    for digit in digits {
        value = value.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)?;
        end += 1;
    }
    (value == u32::from(c) && end > at).then_some(end)
}

/// The number that this many hexadecimal digits make.
fn number(text: &Text<'_>, at: usize, digits: usize) -> Option<u32> {
    let digits = text.get(at..at + digits)?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}
