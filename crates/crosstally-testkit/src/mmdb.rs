//! Writes small files of MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>), so that tests and benches have one and
//! none is shipped.

use std::net::IpAddr;

/// A value of such a file.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number of two bytes.
    Short(u16),
    /// A number of four bytes.
    Number(u32),
    /// A number of eight bytes.
    Long(u64),
    /// Values by name.
    Map(Vec<(&'static str, Value)>),
    /// A list.
    List(Vec<Value>),
}

/// A record as the files of cities have it, with a provider.
#[must_use]
pub fn place(country: &str, city: &str, isp: &str, asn: u32) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    let region = Value::Map(vec![("iso_code", text("R1"))]);
    Value::Map(vec![
        ("country", Value::Map(vec![("iso_code", text(country))])),
        ("subdivisions", Value::List(vec![region])),
        ("city", Value::Map(vec![("names", Value::Map(vec![("en", text(city))]))])),
        ("isp", text(isp)),
        ("autonomous_system_number", Value::Number(asn)),
    ])
}

/// The file that knows these ranges, each an address and the length of its prefix.
#[must_use]
pub fn file(ranges: &[(IpAddr, usize, Value)]) -> Vec<u8> {
    let (mut tree, mut data) = (Tree(vec![[Record::Empty; 2]]), Vec::new());
    for (address, prefix, value) in ranges {
        let offset = data.len();
        write(value, &mut data);
        let (bits, prefix) = match address {
            IpAddr::V4(v4) => (u128::from(u32::from(*v4)), prefix + 96),
            IpAddr::V6(v6) => (u128::from(*v6), *prefix),
        };
        tree.insert(bits, prefix, offset);
    }
    let nodes = tree.0.len();
    let mut out = Vec::new();
    for record in tree.0.iter().flatten() {
        let value = match record {
            Record::Empty => nodes,
            Record::Node(at) => *at,
            Record::Data(offset) => nodes + 16 + offset,
        };
        out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()[1..]);
    }
    out.extend_from_slice(&[0; 16]);
    out.extend(data);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    write(
        &Value::Map(vec![
            ("node_count", Value::Number(u32::try_from(nodes).unwrap_or(u32::MAX))),
            ("record_size", Value::Short(24)),
            ("ip_version", Value::Short(6)),
            ("database_type", Value::Text("Test".into())),
            ("languages", Value::List(vec![Value::Text("en".into())])),
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(1_795_255_200)),
            ("description", Value::Map(vec![("en", Value::Text("made by a test".into()))])),
        ]),
        &mut out,
    );
    out
}

#[derive(Clone, Copy)]
enum Record {
    Empty,
    Node(usize),
    Data(usize),
}

struct Tree(Vec<[Record; 2]>);

impl Tree {
    fn insert(&mut self, bits: u128, prefix: usize, offset: usize) {
        let mut at = 0;
        for depth in 0..prefix {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == prefix {
                self.0[at][side] = Record::Data(offset);
                return;
            }
            at = match self.0[at][side] {
                Record::Node(next) => next,
                Record::Empty | Record::Data(_) => {
                    self.0.push([Record::Empty; 2]);
                    let next = self.0.len() - 1;
                    self.0[at][side] = Record::Node(next);
                    next
                }
            };
        }
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            head(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            head(6, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Short(number) => {
            head(5, 2, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Long(number) => {
            head(9, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(pairs) => {
            head(7, pairs.len(), out);
            for (name, value) in pairs {
                write(&Value::Text((*name).to_owned()), out);
                write(value, out);
            }
        }
        Value::List(values) => {
            head(11, values.len(), out);
            values.iter().for_each(|value| write(value, out));
        }
    }
}

/// A value's type and length; lengths here stay below 285.
fn head(kind: u8, length: usize, out: &mut Vec<u8>) {
    let short = u8::try_from(length.min(29)).unwrap_or(29);
    if kind > 7 {
        out.extend_from_slice(&[short, kind - 7]);
    } else {
        out.push(kind << 5 | short);
    }
    if length >= 29 {
        out.push(u8::try_from(length - 29).unwrap_or(u8::MAX));
    }
}
