//! The object `consent` of a server event. A choice that is no word is a mistake; a framework's string that cannot be one
//! is left out with a note, since the sender has it from a browser and the sale is real.

use serde_json::Map;

use super::fields::Fields;
use super::{Invalid, Value};
use crate::consent::{CHOICES, Choice, Consent, GPC, PASSED, STRING_BYTES_MAX, is_sound};

const UNSPECIFIED: &str = "unspecified";

pub(super) fn read(fields: &mut Fields<'_, '_>, notes: &mut Vec<Invalid>) -> Consent {
    let empty = Map::<String, Value>::new();
    let object = fields.object("consent").unwrap_or(&empty);
    let mut said = fields.inside("/consent", object);
    said.only(
        &[&[GPC], &CHOICES, &PASSED],
        &[("us_privacy", "gpp"), ("tcf", "gdpr_consent"), ("tcString", "gdpr_consent")],
    );
    let words = [Choice::Granted, Choice::Denied].map(crate::word::Word::word);
    let mut choice =
        |key: &str| said.word(key, &[words[0], words[1], UNSPECIFIED]).and_then(Choice::from_word);
    let [ad_user_data, ad_personalization] = CHOICES.map(&mut choice);
    let mut string = |key: &str| {
        let text = said.text(key, STRING_BYTES_MAX)?;
        if is_sound(key, &text) {
            return Some(text);
        }
        let problem = "cannot be what its name says; it counts as absent".to_owned();
        notes.push(Invalid { pointer: format!("/consent/{key}"), problem });
        None
    };
    let [gdpr, gdpr_consent, gpp, gpp_sid] = PASSED.map(&mut string);
    let gpc = said.flag(GPC).unwrap_or_default();
    Consent { gpc, ad_user_data, ad_personalization, gdpr, gdpr_consent, gpp, gpp_sid }
}
