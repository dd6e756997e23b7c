//! What was bought or asked for, as senders give it: `custom`, whose standard keys are named as Meta names them. Every
//! platform's own names are made from these.

use serde_json::{Map, Value};

use crate::field::{Kind, check_fields};
use crate::refused::Refused;

/// The shapes of standard keys. Keys of the sender's own are free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shapes {
    /// Beside one another.
    pub(crate) fields: &'static [(&'static str, Kind)],
    /// In each item of `contents`.
    pub(crate) item: &'static [(&'static str, Kind)],
    /// What each item must have.
    pub(crate) item_needs: &'static [&'static str],
}

/// What holds with every platform.
const COMMON: Shapes = Shapes {
    fields: &[
        ("content_ids", Kind::Texts),
        ("content_name", Kind::Text),
        ("content_category", Kind::Text),
        ("content_type", Kind::Word(&["product", "product_group"])),
        ("search_string", Kind::Text),
        ("status", Kind::Text),
        ("order_id", Kind::Text),
        ("num_items", Kind::Count),
        ("predicted_ltv", Kind::Number),
    ],
    item: &[
        ("id", Kind::Id),
        ("quantity", Kind::Quantity),
        ("item_price", Kind::Amount),
        ("title", Kind::Text),
        ("brand", Kind::Text),
        ("category", Kind::Text),
    ],
    item_needs: &["id"],
};

impl Shapes {
    /// Checks the keys that are known.
    pub(crate) fn check(&self, custom: &Map<String, Value>) -> Result<(), Refused> {
        check_fields(custom, self.fields).map_err(|wrong| Refused::incomplete(format!("custom.{wrong}")))?;
        match custom.get("contents") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Array(items)) => {
                items.iter().enumerate().try_for_each(|(index, item)| self.check_item(index, item))
            }
            Some(_) => Err(Refused::incomplete("custom.contents must be a list of objects")),
        }
    }

    fn check_item(&self, index: usize, item: &Value) -> Result<(), Refused> {
        let refuse = |wrong: &str| Refused::incomplete(format!("custom.contents[{index}]{wrong}"));
        let Value::Object(item) = item else { return Err(refuse(" must be an object")) };
        for key in self.item_needs {
            if item.get(*key).is_none_or(Value::is_null) {
                return Err(refuse(&format!(".{key} is required")));
            }
        }
        check_fields(item, self.item).map_err(|wrong| refuse(&format!(".{wrong}")))
    }
}

/// Checks what every platform's own is made from.
pub(crate) fn check(custom: &Map<String, Value>) -> Result<(), Refused> {
    no_second_money(custom)?;
    COMMON.check(custom)
}

/// A value that is not `null`, as it is.
pub(crate) fn any<'a>(custom: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    custom.get(key).filter(|value| !value.is_null())
}

/// Refuses money beside the event's own: nobody could say which counts.
fn no_second_money(custom: &Map<String, Value>) -> Result<(), Refused> {
    for key in ["value", "currency"] {
        if custom.contains_key(key) {
            return Err(Refused::incomplete(format!(
                "custom.{key} stands in the way of the event's own {key}; give it once, beside the event's name"
            )));
        }
    }
    Ok(())
}

/// One item of `contents` that was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a>(&'a Map<String, Value>);

impl<'a> Item<'a> {
    /// The product's id, as text.
    pub(crate) fn id(self) -> &'a str {
        self.digits("id").or_else(|| self.text("id")).unwrap_or_default()
    }

    /// A text.
    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        text(self.0, key)
    }

    /// A number's own digits.
    pub(crate) fn digits(self, key: &str) -> Option<&'a str> {
        digits(self.0, key)
    }
}

/// The items of `contents`, which must have been checked.
pub(crate) fn items(custom: &Map<String, Value>) -> impl Iterator<Item = Item<'_>> {
    let items = custom.get("contents").and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_object).map(Item)
}

/// A text that is not blank.
pub(crate) fn text<'a>(custom: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    crate::visitor::present(custom.get(key)?.as_str())
}

/// A number's own digits.
pub(crate) fn digits<'a>(custom: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    match custom.get(key)? {
        Value::Number(number) => Some(number.as_str()),
        _ => None,
    }
}
