//! Who it was: contact values, which are hashed at once, and identifiers, which are kept as they are.

use std::net::IpAddr;

use serde_json::Value;

use super::fields::Fields;
use super::{Invalid, ServerDefaults};
use crate::click::AD_CLICK_PARAMS;
use crate::event::Visitor;
use crate::identity::click_cookies::ClickCookie;
use crate::identity::{Contact, ContactIn, hash_contact};
use crate::limits;
use crate::macros::looks_like_macro;

const PERSON: &[&str] = &[
    "email",
    "phone",
    "first_name",
    "last_name",
    "gender",
    "birthdate",
    "city",
    "state",
    "zip",
    "country",
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
];

/// Ids that a platform or a device handed out.
const PLAIN_IDS: &[&str] = &[
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
    // TikTok's browser cookie.
    "ttp",
    // Snapchat's browser cookie, and a device of Apple's by its vendor.
    "sc_cookie1",
    "idfv",
    // Reddit's browser cookie.
    "rdt_uuid",
    // Google Analytics' browser cookie, the visit, and the site's own id of the person.
    "ga_client_id",
    "ga_session_id",
    "ga_user_id",
];

const OTHER_NAMES: &[(&str, &str)] = &[
    ("em", "email"),
    ("emails", "email"),
    ("mail", "email"),
    ("ph", "phone"),
    ("phones", "phone"),
    ("tel", "phone"),
    ("fn", "first_name"),
    ("first_names", "first_name"),
    ("firstname", "first_name"),
    ("ln", "last_name"),
    ("last_names", "last_name"),
    ("surname", "last_name"),
    ("ge", "gender"),
    ("genders", "gender"),
    ("sex", "gender"),
    ("db", "birthdate"),
    ("dob", "birthdate"),
    ("birthday", "birthdate"),
    ("date_of_birth", "birthdate"),
    ("dates_of_birth", "birthdate"),
    ("ct", "city"),
    ("cities", "city"),
    ("st", "state"),
    ("zp", "zip"),
    ("zip_codes", "zip"),
    ("zip_code", "zip"),
    ("postal_code", "zip"),
    ("country_code", "country"),
    ("country_codes", "country"),
    ("external_ids", "external_id"),
    ("user_id", "external_id"),
    ("ip", "client_ip_address"),
    ("ip_address", "client_ip_address"),
    ("ua", "client_user_agent"),
    ("user_agent", "client_user_agent"),
    ("_fbc", "fbc"),
    ("_fbp", "fbp"),
    ("_ttp", "ttp"),
    ("_scid", "sc_cookie1"),
    ("_rdt_uuid", "rdt_uuid"),
    ("_ga", "ga_client_id"),
    ("sc_click_id", "ScCid"),
    ("_epik", "epik"),
    ("_rdt_cid", "rdt_cid"),
    ("__oppref", "oppref"),
];

pub(super) fn read(
    fields: &mut Fields<'_, '_>,
    external_ids: Vec<String>,
    defaults: ServerDefaults<'_>,
    notes: &mut Vec<Invalid>,
) -> (Contact, Visitor) {
    let click_ids: Vec<&str> = AD_CLICK_PARAMS.iter().map(|param| param.name).collect();
    fields.only(&[PERSON, PLAIN_IDS, &click_ids], OTHER_NAMES);
    let mut external_id = external_ids;
    external_id.extend(fields.ids("external_id"));
    let given = ContactIn {
        email: fields.texts("email"),
        phone: fields.texts("phone"),
        first_name: fields.texts("first_name"),
        last_name: fields.texts("last_name"),
        gender: fields.texts("gender"),
        birthdate: fields.texts("birthdate"),
        city: fields.texts("city"),
        state: fields.texts("state"),
        zip: fields.texts("zip"),
        country: fields.texts("country"),
        external_id,
    };
    let (contact, dropped) = hash_contact(&given, defaults.default_region, defaults.now.year());
    notes.extend(dropped.iter().map(|dropped| Invalid {
        pointer: format!("/user/{}", dropped.field),
        problem: format!("a value was left out: {}", dropped.reason.code()),
    }));
    let visitor = Visitor {
        client_ip_address: address(fields),
        client_user_agent: fields.text("client_user_agent", limits::HEADER_BYTES_MAX),
        fbc: cookie(fields, "fbc", notes),
        fbp: cookie(fields, "fbp", notes),
        ad_click_ids: AD_CLICK_PARAMS.iter().filter_map(|param| click_id(fields, param.name)).collect(),
        other: PLAIN_IDS.iter().filter_map(|key| plain_id(fields, key)).collect(),
    };
    (contact, visitor)
}

fn address(fields: &mut Fields<'_, '_>) -> Option<String> {
    let text = fields.short_text("client_ip_address")?;
    if text.parse::<IpAddr>().is_err() {
        fields.problem(
            "client_ip_address",
            "is not one IPv4 or IPv6 address; send the visitor's own, without port and brackets",
        );
        return None;
    }
    Some(text)
}

/// A cookie is the browser's word. A mangled one is of no use to anybody, but not the sender's mistake.
fn cookie(fields: &mut Fields<'_, '_>, key: &'static str, notes: &mut Vec<Invalid>) -> Option<String> {
    let text = fields.text(key, limits::PARAM_VALUE_BYTES_MAX)?;
    if ClickCookie::parse(&text).is_some() {
        return Some(text);
    }
    let problem = "the cookie was left out: it must read fb.{index}.{milliseconds}.{value}".to_owned();
    notes.push(Invalid { pointer: format!("/user/{key}"), problem });
    None
}

/// An ad click id, byte for byte. A macro that was not filled in is none.
fn click_id(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<(String, Value)> {
    let text = fields.text(key, limits::PARAM_VALUE_BYTES_MAX)?;
    (!looks_like_macro(&text)).then(|| (key.to_owned(), Value::String(text)))
}

/// An id as given: a number stays a number. A macro that was not filled in is none.
fn plain_id(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<(String, Value)> {
    let text = fields.short_text(key).filter(|text| !looks_like_macro(text))?;
    let value = fields.get(key).filter(|value| value.is_number()).cloned();
    Some((key.to_owned(), value.unwrap_or(Value::String(text))))
}
