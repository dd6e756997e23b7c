//! A click and the ad click ids that come with it.

use std::net::IpAddr;

use serde::Serializer as _;

use crate::ids::ClickId;
pub use crate::macros::looks_like_macro;
use crate::money::Money;
use crate::params::Params;
use crate::time::Timestamp;
use crate::visit::Way;

/// One ad click, as captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// Its id, which went into the redirect.
    pub id: ClickId,
    /// When it was captured.
    pub at: Timestamp,
    /// The campaign's slug.
    pub campaign: String,
    /// The slug of the campaign's source.
    pub source: String,
    /// The query string as it came, with every campaign and source parameter.
    pub query: String,
    /// Where the visitor was sent.
    pub target: String,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// Whether that is in Europe, if it could be asked: it stays known when the address goes.
    pub in_europe: Option<bool>,
    /// The visitor's user agent, as sent.
    pub user_agent: String,
    /// The page the visitor came from.
    pub referrer: String,
    /// The visitor's language header.
    pub language: String,
    /// The `_fbc` cookie, if the click host shares the site's cookies.
    pub fbc_cookie: String,
    /// The `_fbp` cookie.
    pub fbp_cookie: String,
    /// Ad click ids found in the query.
    pub ad_click_ids: AdClickIds,
    /// The click's cost by the campaign's cost model.
    pub cost: Option<Money>,
    /// Whether the browser sent `Sec-GPC: 1`.
    pub gpc: bool,
    /// Whether the campaign is a test.
    pub test: bool,
    /// What is noteworthy about it, by code; the calls that name it have these labels too.
    pub labels: Vec<String>,
    /// The way it took, if its campaign has paths.
    pub way: Option<Box<Way>>,
}

/// An ad platform's click id parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdClickParam {
    /// The parameter's name as the platform writes it.
    pub name: &'static str,
    /// The platform.
    pub platform: &'static str,
}

/// Every click id parameter that is recognised. Names are compared in any case, values are kept byte for byte.
pub const AD_CLICK_PARAMS: &[AdClickParam] = &[
    AdClickParam { name: "fbclid", platform: "meta" },
    AdClickParam { name: "gclid", platform: "google" },
    AdClickParam { name: "gbraid", platform: "google" },
    AdClickParam { name: "wbraid", platform: "google" },
    AdClickParam { name: "dclid", platform: "google" },
    AdClickParam { name: "ttclid", platform: "tiktok" },
    AdClickParam { name: "ScCid", platform: "snapchat" },
    AdClickParam { name: "epik", platform: "pinterest" },
    AdClickParam { name: "rdt_cid", platform: "reddit" },
    AdClickParam { name: "li_fat_id", platform: "linkedin" },
    AdClickParam { name: "twclid", platform: "x" },
    AdClickParam { name: "msclkid", platform: "microsoft" },
    AdClickParam { name: "oppref", platform: "openai" },
    AdClickParam { name: "tblci", platform: "taboola" },
    AdClickParam { name: "tblclid", platform: "taboola" },
    AdClickParam { name: "dicbo", platform: "outbrain" },
    AdClickParam { name: "obclid", platform: "outbrain" },
    AdClickParam { name: "ob_click_id", platform: "outbrain" },
    AdClickParam { name: "OutbrainClickId", platform: "outbrain" },
    AdClickParam { name: "irclickid", platform: "impact" },
    AdClickParam { name: "yclid", platform: "yandex" },
    AdClickParam { name: "qclid", platform: "quora" },
    AdClickParam { name: "ndclid", platform: "nextdoor" },
    AdClickParam { name: "sacid", platform: "stackadapt" },
    AdClickParam { name: "viant_click_id", platform: "viant" },
    AdClickParam { name: "cjevent", platform: "cj" },
    AdClickParam { name: "awc", platform: "awin" },
];

/// The ad click ids of one click: parameter name as the platform writes it, value as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdClickIds(Vec<(&'static str, String)>);

impl AdClickIds {
    /// Picks the ad click ids out of a click's parameters. Of a repeated parameter the first value counts, and a macro
    /// that was not filled in is not an id.
    #[must_use]
    pub fn from_params(params: &Params) -> Self {
        let mut found = Vec::new();
        for param in params.iter() {
            // Most parameters are no click ids; the length test spares the table.
            let known = AD_CLICK_PARAMS.iter().find(|known| {
                known.name.len() == param.name.len() && known.name.eq_ignore_ascii_case(&param.name)
            });
            if let Some(known) = known
                && !param.value.is_empty()
                && !looks_like_macro(&param.value)
                && !found.iter().any(|(name, _)| *name == known.name)
            {
                found.push((known.name, param.value.clone()));
            }
        }
        Self(found)
    }

    /// The value of one parameter, by the name as the platform writes it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// All of them, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The stored form: a JSON object, or an empty text when there are none.
    #[must_use]
    pub fn to_stored(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut json = Vec::with_capacity(128);
        let pairs = self.0.iter().map(|(name, value)| (name, value));
        serde_json::Serializer::new(&mut json).collect_map(pairs).expect("names and texts are JSON");
        String::from_utf8(json).expect("JSON is UTF-8")
    }

    /// Reads the stored form back; names that are no longer known are left out.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) else {
            return Self::default();
        };
        let known =
            |name: &str| AD_CLICK_PARAMS.iter().find(|known| known.name == name).map(|known| known.name);
        Self(
            object
                .into_iter()
                .filter_map(|(name, value)| Some((known(&name)?, value.as_str()?.to_owned())))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn ad_click_ids_are_recognised_in_any_case_and_kept_byte_for_byte() {
        let params =
            Params::parse(b"SCCID=a-B_c&fbclid=IwAR2F4-dbP&fbclid=second&gclid={gclid}&x=1").unwrap();
        let ids = AdClickIds::from_params(&params);
        assert_eq!(ids.iter().collect::<Vec<_>>(), [("ScCid", "a-B_c"), ("fbclid", "IwAR2F4-dbP")]);
        assert_eq!(AdClickIds::from_stored(&ids.to_stored()), ids);
    }
}
