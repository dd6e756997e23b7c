//! `user_data`: whether there is enough of it to recognise somebody, and whether what must be plain or hashed is.

use crosstally_core::event::{OutboundEvent, Visitor};
use crosstally_core::identity::Contact;
use crosstally_core::identity::click_cookies::ClickCookie;
use crosstally_core::identity::meta::Field;
use serde_json::Value;

use crate::refused::Refused;
use crate::visitor::{ip_address, is_lower_hex, is_sha256, user_agent};

/// Ids that Meta or a device handed out: plain, or they are useless.
const PLAIN_IDS: [&str; 11] = [
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
];

const COOKIE_INDEX_DIGITS: usize = 1;
/// Milliseconds of 13 digits last until the year 2286.
const COOKIE_MS_DIGITS: usize = 13;

/// What identifies the visitor, as far as Meta takes it.
pub(in crate::meta) struct User<'a> {
    pub(in crate::meta) contact: &'a Contact,
    pub(in crate::meta) client_ip_address: Option<&'a str>,
    pub(in crate::meta) client_user_agent: Option<&'a str>,
    pub(in crate::meta) fbc: Option<&'a str>,
    pub(in crate::meta) fbp: Option<&'a str>,
    visitor: &'a Visitor,
}

impl<'a> User<'a> {
    /// Takes what is usable, and refuses what Meta would refuse.
    pub(super) fn of(event: &'a OutboundEvent) -> Result<Self, Refused> {
        let visitor = &event.visitor;
        for (field, hashes) in event.contact.meta() {
            if !hashes.iter().all(|hash| is_hash(hash)) {
                return Err(Refused::incomplete(format!("{} must be hashed", field.key())));
            }
        }
        let client_ip_address = ip_address(visitor)?;
        let client_user_agent = user_agent(visitor)?;
        let user = Self {
            contact: &event.contact,
            client_ip_address,
            client_user_agent,
            // Cookies are the browser's word: one that somebody mangled is of no use, and no reason to lose the event.
            fbc: visitor.fbc.as_deref().filter(|text| is_cookie(text, |b| b.is_ascii_graphic())),
            fbp: visitor.fbp.as_deref().filter(|text| is_cookie(text, |b| b.is_ascii_digit())),
            visitor,
        };
        for (key, value) in user.plain() {
            plain_id(key, value)?;
        }
        if user.is_too_broad() {
            return Err(Refused::incomplete(
                "user data is not enough to recognise anybody; add an e-mail address, a phone number, fbc, fbp, external_id or client_ip_address",
            ));
        }
        Ok(user)
    }

    /// Plain ids that are given. Ids that only other platforms know are none of Meta's business.
    pub(in crate::meta) fn plain(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let given = self.visitor.other.iter().map(|(key, value)| (key.as_str(), value));
        given.filter(|(key, _)| PLAIN_IDS.contains(key)).filter(|(_, value)| {
            !(value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()))
        })
    }

    /// Whether a plain id is given.
    pub(super) fn has_plain(&self, key: &str) -> bool {
        self.plain().any(|(known, _)| known == key)
    }

    /// Meta refuses an event whose user data fits too many people: nothing beyond one of these combinations.
    fn is_too_broad(&self) -> bool {
        if [self.client_ip_address, self.fbc, self.fbp].iter().any(Option::is_some)
            || self.plain().next().is_some()
        {
            return false;
        }
        let agent = self.client_user_agent.is_some();
        let within = |fields: &[Field], may_have_agent: bool| {
            (may_have_agent || !agent) && self.contact.meta().all(|(field, _)| fields.contains(&field))
        };
        within(&[Field::Ct, Field::Country, Field::St, Field::Zp, Field::Ge], true)
            || within(&[Field::Db], true)
            || within(&[Field::Fn, Field::Ge], false)
            || within(&[Field::Ln, Field::Ge], false)
    }
}

fn plain_id(key: &str, value: &Value) -> Result<(), Refused> {
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Number(number) if number.as_str().bytes().all(|b| b.is_ascii_digit()) => number.as_str(),
        _ => return Err(Refused::incomplete(format!("{key} must be a text or a whole number"))),
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match key {
        "lead_id" if !digits || !(15..=17).contains(&text.len()) => {
            Err(Refused::incomplete("lead_id must be 15 to 17 digits"))
        }
        "fb_login_id" if !digits || text.len() > 20 => {
            Err(Refused::incomplete("fb_login_id must be at most 20 digits"))
        }
        _ if is_sha256(text) => Err(Refused::incomplete(format!("{key} must be plain, not hashed"))),
        _ => Ok(()),
    }
}

/// SHA-256, or MD5 from a sender who hashed the value; behind a SHA-256 Meta's own libraries may have put a mark of
/// eight characters. None of these needs escaping in JSON.
fn is_hash(text: &str) -> bool {
    match text.as_bytes() {
        hash if matches!(hash.len(), 32 | 64) => is_lower_hex(hash),
        [hash @ .., b'.', m1, m2, m3, m4, m5, m6, m7, m8] if hash.len() == 64 => {
            let mark = [m1, m2, m3, m4, m5, m6, m7, m8];
            is_lower_hex(hash) && mark.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        }
        _ => false,
    }
}

/// `fb.{one digit}.{13 digits}.{payload}`: a cookie may be well formed and still not what Meta's own pages set.
fn is_cookie(text: &str, payload: impl Fn(&u8) -> bool) -> bool {
    let mut parts = text.splitn(4, '.').skip(1).map(str::len);
    let lengths = (parts.next(), parts.next());
    lengths == (Some(COOKIE_INDEX_DIGITS), Some(COOKIE_MS_DIGITS))
        && ClickCookie::parse(text).is_some_and(|cookie| cookie.payload.as_bytes().iter().all(payload))
}
