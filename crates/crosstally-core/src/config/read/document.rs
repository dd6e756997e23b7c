//! Sections, keys and values of a document, each with its place. A value of the wrong shape becomes a problem here,
//! so that the readers of the sections above speak of texts, words and amounts only.

use toml::de::{DeTable, DeValue};

use super::findings::{Findings, Spot};
use crate::config::Word;
use crate::config::print::{key_text, quoted};
use crate::limits;
use crate::money::{Currency, Money, MoneyError};

/// Bytes of one text.
const TEXT_BYTES_MAX: usize = limits::TARGET_BYTES_MAX;
/// Items of one list, keys of one map.
pub(super) const ITEMS_MAX: usize = limits::PARAMS_MAX;

/// A section, or a table within one.
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    /// Where it begins, and its path: `partner[acme].auth`.
    pub(super) spot: Spot,
    /// Its name without the entry: `partner.auth`.
    pub(super) name: String,
}

/// A key with its value.
pub(super) struct Item<'t> {
    /// The key; of an item in a list, the list's.
    pub(super) key: String,
    /// Which item of a list it is, from 1.
    pub(super) number: Option<usize>,
    /// The value.
    pub(super) value: &'t DeValue<'t>,
    /// The value's place.
    pub(super) spot: Spot,
}

/// A text with its place.
pub(super) struct Text<'t> {
    /// The text.
    pub(super) text: &'t str,
    /// Its place.
    pub(super) spot: Spot,
}

impl<'t> Section<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, spot: Spot, name: impl Into<String>) -> Self {
        Self { table, spot, name: name.into() }
    }

    /// The value of a key.
    pub(super) fn item(&self, key: &str) -> Option<Item<'t>> {
        let value = self.table.get(key)?;
        let spot = Spot { at: value.span().start, path: self.path_of(key) };
        Some(Item { key: key.to_owned(), number: None, value: value.get_ref(), spot })
    }

    /// The place of a key's value, or of the section if it has no such key.
    pub(super) fn spot_of(&self, key: &str) -> Spot {
        let at = self.table.get(key).map_or(self.spot.at, |value| value.span().start);
        Spot { at, path: self.path_of(key) }
    }

    /// All keys with their own places and their values, in the order of the document.
    pub(super) fn items(&self) -> Vec<(Spot, Item<'t>)> {
        let mut items: Vec<(Spot, Item<'t>)> = self
            .table
            .iter()
            .map(|(key, value)| {
                let path = self.path_of(key.get_ref());
                let item = Item {
                    key: key.get_ref().to_string(),
                    number: None,
                    value: value.get_ref(),
                    spot: Spot { at: value.span().start, path: path.clone() },
                };
                (Spot { at: key.span().start, path }, item)
            })
            .collect();
        items.sort_by_key(|(spot, _)| spot.at);
        items
    }

    fn path_of(&self, key: &str) -> String {
        let dot = if self.spot.path.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.spot.path, key_text(key))
    }

    /// Notes every key that is not known here.
    pub(super) fn refuse_unknown<'k>(
        &self,
        known: impl IntoIterator<Item = &'k str>,
        found: &mut Findings<'_>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        for (spot, item) in self.items() {
            if !known.contains(&item.key.as_str()) {
                let fix = found.meant(&item.key, known.iter().copied());
                found.problem(&spot, format!("{} is not a key of {}", shown(&item.key), self.name), fix);
            }
        }
    }

    /// Notes that a key is missing.
    pub(super) fn missing(&self, key: &str, example: &str, found: &mut Findings<'_>) {
        let spot = Spot { at: self.spot.at, path: self.path_of(key) };
        found.problem(
            &spot,
            format!("`{key}` is missing in {}", self.name),
            format!("add {key} = {example}"),
        );
    }

    /// A text, if the key is there and has one.
    pub(super) fn text(&self, key: &str, found: &mut Findings<'_>) -> Option<Text<'t>> {
        self.item(key)?.into_text(found)
    }

    /// A text that must be there.
    pub(super) fn required(&self, key: &str, example: &str, found: &mut Findings<'_>) -> Option<Text<'t>> {
        if !self.table.contains_key(key) {
            self.missing(key, example, found);
        }
        self.text(key, found)
    }

    /// Yes or no; no if the key is not there.
    pub(super) fn flag(&self, key: &str, found: &mut Findings<'_>) -> bool {
        self.item(key).and_then(|item| item.flag(found)).unwrap_or(false)
    }

    /// One of a few words.
    pub(super) fn word<W: Word>(&self, key: &str, found: &mut Findings<'_>) -> Option<W> {
        self.text(key, found)?.word(key, found)
    }

    /// A currency.
    pub(super) fn currency(&self, key: &str, found: &mut Findings<'_>) -> Option<Currency> {
        let text = self.text(key, found)?;
        if let Ok(currency) = text.text.parse() {
            return Some(currency);
        }
        let problem = format!("{} is not a currency", shown(text.text));
        found.problem(&text.spot, problem, "use a code of ISO 4217 such as `USD` or `EUR`");
        None
    }

    /// An amount of zero or more.
    pub(super) fn amount(&self, key: &str, currency: Currency, found: &mut Findings<'_>) -> Option<Money> {
        let item = self.item(key)?;
        if let Some(digits) = item.digits() {
            let problem = format!("`{key}` is a number; an amount is a text, so that it stays exact");
            found.problem(&item.spot, problem, format!("write amount as a text: {key} = \"{digits}\""));
            return None;
        }
        let text = item.into_text(found)?;
        let fix = match currency.parse_minor(text.text) {
            Ok(minor @ 0..) => return Some(Money { minor, currency }),
            Ok(_) => "write zero or more".to_owned(),
            Err(MoneyError::TooPrecise) => {
                format!("write at most {} decimals for {currency}", currency.exponent())
            }
            Err(_) => format!("write a plain decimal: {key} = \"0.25\""),
        };
        found.problem(&text.spot, format!("{} is not an amount in {currency}", shown(text.text)), fix);
        None
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &str, example: &str, found: &mut Findings<'_>) -> Option<Section<'t>> {
        let table = self.item(key)?.into_table(example, found)?;
        Some(Section { name: format!("{}.{key}", self.name), ..table })
    }

    /// A list of texts; empty if the key is not there.
    pub(super) fn list(&self, key: &str, found: &mut Findings<'_>) -> Vec<Text<'t>> {
        self.item(key).map(|item| item.list(found)).unwrap_or_default()
    }
}

impl<'t> Item<'t> {
    /// The digits of a number, as written.
    pub(super) fn digits(&self) -> Option<String> {
        match self.value {
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A text without control characters, of a sane length, that is not empty.
    pub(super) fn into_text(self, found: &mut Findings<'_>) -> Option<Text<'t>> {
        let DeValue::String(text) = self.value else {
            let fix = match self.plain_text() {
                Some(text) => format!("put it in quotes: {}", self.written(&quoted(&text))),
                None => format!("write {}", self.written("\"..\"")),
            };
            self.wrong_shape("a text", &fix, found);
            return None;
        };
        let text: &'t str = text.as_ref();
        let key = self.name();
        if text.trim().is_empty() {
            found.problem(&self.spot, format!("{key} is empty"), "write something, or remove the key");
        } else if text.len() > TEXT_BYTES_MAX {
            let problem = format!("{key} is longer than {TEXT_BYTES_MAX} bytes");
            found.problem(&self.spot, problem, "shorten it");
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            let problem = format!("{key} contains a control character");
            found.problem(&self.spot, problem, "remove the character");
        } else {
            return Some(Text { text, spot: self.spot });
        }
        None
    }

    /// Whether a text stands here.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// Whether a list stands here.
    pub(super) const fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// Yes or no.
    pub(super) fn flag(&self, found: &mut Findings<'_>) -> Option<bool> {
        if let DeValue::Boolean(flag) = self.value {
            return Some(*flag);
        }
        self.wrong_shape("true or false", &format!("write {}", self.written("true or false")), found);
        None
    }

    /// A whole number.
    pub(super) fn integer(&self, found: &mut Findings<'_>) -> Option<i64> {
        if let DeValue::Integer(number) = self.value
            && let Ok(number) = i64::from_str_radix(number.as_str(), number.radix())
        {
            return Some(number);
        }
        self.wrong_shape("a whole number", &format!("write {}", self.written("10")), found);
        None
    }

    /// A table.
    pub(super) fn into_table(self, example: &str, found: &mut Findings<'_>) -> Option<Section<'t>> {
        let DeValue::Table(table) = self.value else {
            self.wrong_shape("a table", &format!("write {}", self.written(example)), found);
            return None;
        };
        if table.len() > ITEMS_MAX {
            let problem = format!("{} has more than {ITEMS_MAX} keys", self.name());
            found.problem(&self.spot, problem, format!("keep to {ITEMS_MAX}"));
            return None;
        }
        Some(Section { table, spot: self.spot, name: self.key })
    }

    /// A list of texts.
    pub(super) fn list(self, found: &mut Findings<'_>) -> Vec<Text<'t>> {
        self.list_of_at_most(ITEMS_MAX, found)
    }

    /// A list of texts that may be longer than others.
    pub(super) fn list_of_at_most(self, most: usize, found: &mut Findings<'_>) -> Vec<Text<'t>> {
        let DeValue::Array(array) = self.value else {
            let fix = match (self.value, self.plain_text()) {
                (DeValue::String(_), Some(text)) => {
                    format!("write {}", self.written(&format!("[{}]", quoted(&text))))
                }
                _ => format!("write {}", self.written("[\"..\"]")),
            };
            self.wrong_shape("a list of texts", &fix, found);
            return Vec::new();
        };
        if array.len() > most {
            let problem = format!("{} has more than {most} items", self.name());
            found.problem(&self.spot, problem, format!("keep to {most}"));
            return Vec::new();
        }
        array
            .iter()
            .enumerate()
            .filter_map(|(at, value)| {
                let path = format!("{}[{}]", self.spot.path, at + 1);
                let spot = Spot { at: value.span().start, path };
                let item = Item { key: self.key.clone(), number: Some(at + 1), value: value.get_ref(), spot };
                item.into_text(found)
            })
            .collect()
    }

    /// Its name in a message.
    fn name(&self) -> String {
        let key = shown(&self.key);
        self.number.map_or_else(|| key.clone(), |number| format!("item {number} of {key}"))
    }

    /// How it is written with another value.
    fn written(&self, value: &str) -> String {
        match self.number {
            None => format!("{} = {value}", key_text(&self.key)),
            Some(_) => value.to_owned(),
        }
    }

    /// What stands here as a text, if it is short and stands on one line.
    fn plain_text(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => (text.len() <= 64).then(|| text.to_string()),
            DeValue::Integer(_) | DeValue::Float(_) => self.digits().filter(|digits| digits.len() <= 64),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Datetime(at) => Some(at.to_string()),
            DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    /// Notes that the value has the wrong shape.
    pub(super) fn wrong_shape(&self, wanted: &str, fix: &str, found: &mut Findings<'_>) {
        let is = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with decimals",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        found.problem(&self.spot, format!("{} must be {wanted}, not {is}", self.name()), fix);
    }
}

impl<'t> Text<'t> {
    /// One of a few words.
    pub(super) fn word<W: Word>(&self, key: &str, found: &mut Findings<'_>) -> Option<W> {
        let word = W::ALL.iter().copied().find(|word| word.word() == self.text);
        if word.is_none() {
            let fix = found.meant(self.text, W::ALL.iter().map(|word| word.word()));
            found.problem(&self.spot, format!("{} is not a value of `{key}`", shown(self.text)), fix);
        }
        word
    }

    /// A name: one line without spaces at its ends, of a length that a key may have.
    pub(super) fn name(&self, key: &str, bytes_max: usize, found: &mut Findings<'_>) -> Option<String> {
        let (problem, fix) = if self.text.len() > bytes_max {
            (format!("`{key}` is longer than {bytes_max} bytes"), "shorten it".to_owned())
        } else if self.text.trim() != self.text {
            (format!("`{key}` begins or ends with a space"), format!("write {}", quoted(self.text.trim())))
        } else if self.text.chars().any(char::is_control) {
            (format!("`{key}` contains a line break or a tab"), "write it on one line".to_owned())
        } else {
            return Some(self.text.to_owned());
        };
        found.problem(&self.spot, problem, fix);
        None
    }
}

/// A text from the document for a message: short, in backticks, with nothing that a terminal would act on.
pub(super) fn shown(text: &str) -> String {
    let mut quoted = quoted(text);
    quoted.pop();
    quoted.remove(0);
    match quoted.char_indices().nth(64) {
        Some((end, _)) => format!("`{}…`", quoted.split_at(end).0),
        None => format!("`{quoted}`"),
    }
}
