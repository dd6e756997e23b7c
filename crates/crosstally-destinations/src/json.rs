//! JSON written straight into bytes, in the order of the calls: a batch of a thousand events is never a tree.

use serde::Serialize;

/// An object that is being written. It must be closed.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    /// How many bytes have been written, those before the object included.
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    /// Writes a key and whatever serialises.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        self.key(key);
        write(self.out, value);
    }

    /// Writes a key and its value, if there is one.
    pub(crate) fn put_some<T: Serialize>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, &value);
        }
    }

    /// Writes a key and text that is JSON already.
    pub(crate) fn raw(&mut self, key: &str, json: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(json);
    }

    /// Writes a key and a number's own digits, if there are any: no number type stands between.
    pub(crate) fn digits(&mut self, key: &str, digits: Option<&str>) {
        if let Some(digits) = digits {
            self.raw(key, digits.as_bytes());
        }
    }

    /// Writes a key and a list of texts that are JSON already.
    pub(crate) fn raw_list(&mut self, key: &str, items: &[String]) {
        self.key(key);
        self.out.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(item.as_bytes());
        }
        self.out.push(b']');
    }

    /// Writes a key and a list of texts that need no escaping: hashes.
    pub(crate) fn plain_list(&mut self, key: &str, items: &[String]) {
        self.key(key);
        self.out.push(b'[');
        for (at, item) in items.iter().enumerate() {
            self.out.extend_from_slice(if at > 0 { b",\"" } else { b"\"" });
            self.out.extend_from_slice(item.as_bytes());
            self.out.push(b'"');
        }
        self.out.push(b']');
    }

    /// Writes a key and a list of objects, if there are any.
    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(T, &mut Object<'_>),
    ) {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return;
        }
        self.key(key);
        self.out.push(b'[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            let mut inside = Object::open(self.out);
            fill(item, &mut inside);
            inside.close();
        }
        self.out.push(b']');
    }

    /// Writes a key and an object.
    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        let mut inside = Object::open(self.out);
        fill(&mut inside);
        inside.close();
    }

    fn key(&mut self, key: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        write(self.out, key);
        self.out.push(b':');
    }
}

/// An object as bytes, of about the capacity.
pub(crate) fn object(capacity: usize, fill: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    let mut object = Object::open(&mut out);
    fill(&mut object);
    object.close();
    out
}

/// An object as text.
pub(crate) fn text(fill: impl FnOnce(&mut Object<'_>)) -> String {
    String::from_utf8(object(128, fill)).expect("JSON is written in UTF-8")
}

/// Writes a value.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("texts, numbers and maps with text keys are always valid JSON");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_escaped_and_numbers_keep_their_digits() {
        let out = object(64, |object| {
            object.put("a\"b", "c\n\u{2028}");
            object.put_some("nothing", None::<bool>);
            object.raw("n", b"10.00");
            object.raw_list("r", &["{}".to_owned(), "[1.0]".to_owned()]);
            object.object("o", |inside| inside.put("list", &["x", "y"]));
            object.plain_list("p", &["ab".to_owned(), "cd".to_owned()]);
            object.object("e", |_| {});
            object.objects("none", [0_u8; 0].into_iter(), |_, _| {});
            object.objects("some", [1, 2].into_iter(), |n, inside| inside.put("n", &n));
            object.digits("d", Some("0.10"));
            object.digits("nothing", None);
        });
        let text = String::from_utf8(out).expect("JSON is UTF-8");
        assert_eq!(
            text,
            "{\"a\\\"b\":\"c\\n\u{2028}\",\"n\":10.00,\"r\":[{},[1.0]],\"o\":{\"list\":[\"x\",\"y\"]},\"p\":[\"ab\",\"cd\"],\"e\":{},\"some\":[{\"n\":1},{\"n\":2}],\"d\":0.10}"
        );
    }
}
