//! The fields of a postback: our names, the names they are accepted under, and how each is treated.

/// A field of a postback, and how it is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Our name.
    pub name: &'static str,
    /// The names it is accepted under without any map, in order of preference.
    pub accepted: &'static [&'static str],
    /// How it is treated.
    pub kind: FieldKind,
}

/// How a field is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Decides what is booked: it may come with one value only, as clean text.
    Key,
    /// An amount or its currency: as a key, and two accepted names may not disagree either.
    Money,
    /// A contact value: hashed at the door, masked in what is kept.
    Personal,
    /// Anything else.
    Plain,
}

const fn field(name: &'static str, accepted: &'static [&'static str], kind: FieldKind) -> Field {
    Field { name, accepted, kind }
}

/// Every field with its accepted names.
pub const FIELDS: &[Field] = &[
    field("click_id", &["click_id", "clickid", "cid", "subid", "sub_id"], FieldKind::Key),
    field("transaction_id", &["transaction_id", "txid", "tid", "order_id", "lead_id"], FieldKind::Key),
    field("status", &["status"], FieldKind::Key),
    field("payout", &["payout", "commission"], FieldKind::Money),
    field("revenue", &["revenue", "amount", "value", "sum"], FieldKind::Money),
    field("currency", &["currency"], FieldKind::Money),
    field("event", &["event"], FieldKind::Key),
    field("event_time", &["event_time"], FieldKind::Key),
    field("event_id", &["event_id"], FieldKind::Key),
    field("external_id", &["external_id"], FieldKind::Key),
    field("event_source_url", &["event_source_url"], FieldKind::Plain),
    field("email", &["email"], FieldKind::Personal),
    field("phone", &["phone"], FieldKind::Personal),
    field("first_name", &["first_name"], FieldKind::Personal),
    field("last_name", &["last_name"], FieldKind::Personal),
    field("gender", &["gender"], FieldKind::Personal),
    field("birthdate", &["birthdate"], FieldKind::Personal),
    field("city", &["city"], FieldKind::Personal),
    field("state", &["state"], FieldKind::Personal),
    field("zip", &["zip"], FieldKind::Personal),
    field("country", &["country"], FieldKind::Personal),
];

/// Parameters that carry a partner's token; their values never reach what is kept.
pub const TOKEN_PARAMS: &[&str] = &[
    "token",
    "security_token",
    "verification_token",
    "auth_token",
    "access_token",
    "api_key",
    "secret",
    "secure",
];

/// Other names that hold secrets in other people's calls.
pub const SECRET_NAMES: &[&str] =
    &["password", "passwd", "pass", "secret", "sig", "signature", "apikey", "auth"];

/// The field of this name.
#[must_use]
pub fn field_named(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}
