//! Where a campaign sends its visitors: a URL with macros, and the page it stands for.

use std::borrow::Cow;

use url::Url;

use crate::click::{AD_CLICK_PARAMS, looks_like_macro};
use crate::consent;
use crate::limits;
use crate::params::Params;
use crate::template::{Piece, Template};
use crate::visit::Needs;

/// Why a text cannot be a redirect target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an absolute http or https URL.
    #[error("is not an absolute http:// or https:// URL")]
    NotAbsolute,
    /// A macro where the host or port is: whoever writes the click link could send visitors anywhere.
    #[error("has a macro in its host; macros may stand in the path and the query only")]
    MacroInHost,
    /// Longer than the limit.
    #[error("is too long")]
    TooLong,
}

/// A checked redirect target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    template: Template,
    page: String,
}

/// What the macros of a target can stand for.
#[derive(Debug, Clone, Copy)]
pub struct TargetValues<'a> {
    /// The click's id in text form.
    pub click_id: &'a str,
    /// The campaign's slug.
    pub campaign: &'a str,
    /// The source's slug.
    pub source: &'a str,
    /// The click's own parameters: `{sub1}` is the value of `sub1`.
    pub params: &'a Params,
}

impl Target {
    /// Checks a target.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > limits::TARGET_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        let template = Template::parse(text);
        let Some(Piece::Text(head)) = template.pieces().first() else { return Err(TargetError::NotAbsolute) };
        let after_scheme = head
            .strip_prefix("https://")
            .or_else(|| head.strip_prefix("http://"))
            .ok_or(TargetError::NotAbsolute)?;
        let authority_ends = after_scheme.contains(['/', '?', '#']);
        if !authority_ends && template.pieces().len() > 1 {
            return Err(TargetError::MacroInHost);
        }
        let url = Url::parse(&template.fill_encoded(|_| None)).map_err(|_| TargetError::NotAbsolute)?;
        if url.host_str().is_none_or(str::is_empty) || has_blanks(&template) {
            return Err(TargetError::NotAbsolute);
        }
        let page = page_of(&template, url);
        Ok(Self { template, page })
    }

    /// The target with its macros filled in.
    #[must_use]
    pub fn fill(&self, values: TargetValues<'_>) -> String {
        self.fill_along(values, &[])
    }

    /// The target of a visitor who came by a path, with what is known of the way: it goes before parameters of the same
    /// names.
    #[must_use]
    pub fn fill_along(&self, values: TargetValues<'_>, way: &[(&str, &str)]) -> String {
        self.template.fill_encoded(|name| match name {
            "click_id" => Some(Cow::Borrowed(values.click_id)),
            "campaign" => Some(Cow::Borrowed(values.campaign)),
            "source" => Some(Cow::Borrowed(values.source)),
            name => {
                if let Some((_, value)) = way.iter().find(|(known, _)| *known == name) {
                    return Some(Cow::Borrowed(value));
                }
                let value = values.params.get(name).or_else(|| values.params.get_ignoring_case(name))?;
                // A source's macro that was never filled in is not a value; passing it on would spread the mistake.
                (!looks_like_macro(value) && consent::is_sound(name, value)).then_some(Cow::Borrowed(value))
            }
        })
    }

    /// The page behind the target: without parameters that are filled in, noise parameters and fragment.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The parameters of a click that it passes on.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        let own = |name: &&str| !matches!(*name, "click_id" | "campaign" | "source");
        self.template.macros().map(|found| found.name.as_str()).filter(own)
    }

    /// What has to be looked up to fill it for a visitor who comes by a path.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.params().fold(Needs::default(), |needs, name| needs.and(Needs::of(name)))
    }

    /// Whether it asks for more than the click's id and the offer's name.
    #[must_use]
    pub fn asks_for_click(&self) -> bool {
        self.template.macros().any(|found| !matches!(found.name.as_str(), "click_id" | "offer"))
    }

    /// Whether the visitor's click id reaches the target.
    #[must_use]
    pub fn passes_click_id(&self) -> bool {
        self.template.macros().any(|found| found.name == "click_id")
    }
}

/// Spaces and control characters belong into no URL; within a macro they are its own affair.
fn has_blanks(template: &Template) -> bool {
    let blank = |text: &String| text.chars().any(|c| c.is_control() || c == ' ');
    template.pieces().iter().any(|piece| matches!(piece, Piece::Text(text) if blank(text)))
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.template.fmt(out)
    }
}

fn page_of(template: &Template, mut url: Url) -> String {
    // A marker that survives encoding shows which parameters were filled in by macros.
    const MARK: &str = "xmacrox";
    let marked = template.fill_encoded(|_| Some(Cow::Borrowed(MARK)));
    let kept: Vec<(String, String)> = Url::parse(&marked).map_or_else(
        |_| Vec::new(),
        |marked| {
            marked
                .query_pairs()
                .filter(|(name, value)| !name.contains(MARK) && !value.contains(MARK) && !is_noise(name))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect()
        },
    );
    url.set_fragment(None);
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url.into()
}

/// A page's URL without what says nothing about the page: ad click ids, campaign parameters, user info and fragment.
/// A URL without any of these comes back as it was, byte for byte.
#[must_use]
pub fn canonical_page(text: &str) -> Option<String> {
    let text = text.trim();
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    let noisy = url.query_pairs().any(|(name, _)| is_noise(&name));
    if !noisy && url.fragment().is_none() && url.username().is_empty() && url.password().is_none() {
        return Some(text.to_owned());
    }
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    if noisy {
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| !is_noise(name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    Some(url.into())
}

/// Whether a parameter says how the visitor came and nothing about the page.
#[must_use]
pub fn is_noise(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "click_id",
        "clickid",
        "cid",
        "subid",
        "sub_id",
        "gad_source",
        "gad_campaignid",
        "srsltid",
        "_kx",
        "mc_eid",
        "mc_cid",
        "igshid",
        "_ga",
        "_gl",
        "ref_src",
        "campaign_id",
        "adset_id",
        "ad_id",
    ];
    let lower = name.to_ascii_lowercase();
    lower.starts_with("utm_")
        || NAMES.contains(&lower.as_str())
        || AD_CLICK_PARAMS.iter().any(|known| known.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn macros_are_filled_from_the_click_and_encoded() {
        let target =
            Target::parse("https://lander.example/p?cid={click_id}&s={sub1}&x={nothing}&m={ad}").unwrap();
        let params = Params::parse(b"sub1=a%26b%20c&ad={{ad.id}}").unwrap();
        let filled = target.fill(TargetValues {
            click_id: "0abc",
            campaign: "summer",
            source: "facebook",
            params: &params,
        });
        assert_eq!(filled, "https://lander.example/p?cid=0abc&s=a%26b%20c&x=&m=");
        assert_eq!(target.page(), "https://lander.example/p");
        assert!(target.passes_click_id());
    }

    #[test]
    fn strings_of_consent_are_passed_byte_for_byte_or_not_at_all() {
        let target = Target::parse(
            "https://lander.example/p?cid={click_id}&gdpr={gdpr}&gdpr_consent={gdpr_consent}&gpp={gpp}&gpp_sid={gpp_sid}",
        )
        .unwrap();
        let fill = |query: &[u8]| {
            let params = Params::parse(query).unwrap();
            target.fill(TargetValues { click_id: "0abc", campaign: "c", source: "s", params: &params })
        };
        assert_eq!(
            fill(b"gdpr=1&gdpr_consent=CPx-_.YAAA&gpp=DBAB~CPXx.QA&gpp_sid=2_6"),
            "https://lander.example/p?cid=0abc&gdpr=1&gdpr_consent=CPx-_.YAAA&gpp=DBAB~CPXx.QA&gpp_sid=2_6"
        );
        assert_eq!(
            fill(b"gdpr=maybe&gdpr_consent=a%20b&gpp=%3Cx%3E"),
            "https://lander.example/p?cid=0abc&gdpr=&gdpr_consent=&gpp=&gpp_sid="
        );
    }

    #[test]
    fn the_page_keeps_what_names_it() {
        let target =
            Target::parse("https://Shop.example:443/p?id=7&utm_source=fb&cid={click_id}#top").unwrap();
        assert_eq!(target.page(), "https://shop.example/p?id=7");
    }

    #[test]
    fn no_click_link_can_choose_the_host() {
        for text in [
            "https://{sub1}.example/",
            "https://{sub1}",
            "{sub1}",
            "//evil.example",
            "javascript:alert(1)",
            "ftp://a.example/",
            "https://a.example{x}/",
            "/p",
            "https://a b/",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        assert!(Target::parse("https://a.example/{x}?y={z}").is_ok());
    }

    proptest! {
        /// Whatever comes with a click, its visitor goes to the host that the configuration names, by the scheme that it
        /// names: line E1 of the security checklist.
        #[test]
        fn no_parameter_leads_elsewhere(
            values in prop::collection::vec(
                prop_oneof![
                    "\\PC{0,30}",
                    prop::sample::select(vec![
                        "https://evil.example/".to_owned(),
                        "//evil.example".into(),
                        "\\\\evil.example".into(),
                        "javascript:alert(1)".into(),
                        "@evil.example".into(),
                        "\r\nLocation: https://evil.example".into(),
                        "/../..//evil.example".into(),
                        ".evil.example".into(),
                        ":80@evil.example".into(),
                        "%2F%2Fevil.example".into(),
                        "#@evil.example/".into(),
                        "\u{0000}".into(),
                    ]),
                ],
                4,
            ),
            at in 0..6_usize,
        ) {
            let target = [
                "https://shop.example/{sub1}",
                "https://shop.example/{sub1|raw}/{sub2|raw}",
                "https://shop.example?x={sub1}&y={sub2|raw}",
                "https://shop.example/a?u={sub1}#{sub2}",
                "https://user@shop.example:8443/{sub1}{sub2}{sub3}{sub4}",
                "http://shop.example/?{sub1}={sub2}&{country}",
            ][at];
            let parsed = Target::parse(target).unwrap();
            let mut params = Params::default();
            for (n, value) in values.iter().enumerate() {
                params.push(format!("sub{}", n + 1), value);
            }
            let filled = parsed.fill_along(
                TargetValues { click_id: "0abc", campaign: "c", source: "s", params: &params },
                &[("country", &values[0])],
            );
            prop_assert!(!filled.bytes().any(|b| b.is_ascii_control() || b == b' ' || b == b'\\'), "{filled}");
            let (is, meant) = (Url::parse(&filled).unwrap(), Url::parse(parsed.page()).unwrap());
            prop_assert_eq!(is.scheme(), meant.scheme());
            prop_assert_eq!(is.host_str(), Some("shop.example"));
            prop_assert_eq!(is.port(), meant.port());
        }
    }

    #[test]
    fn canonical_pages() {
        for (from, to) in [
            (
                "https://shop.example.com/checkout/thanks?order=10001",
                Some("https://shop.example.com/checkout/thanks?order=10001"),
            ),
            ("https://shop.example?fbclid=abc&utm_source=x", Some("https://shop.example/")),
            ("https://u:p@shop.example/a?x=1&gclid=2#f", Some("https://shop.example/a?x=1")),
            ("ftp://shop.example/", None),
            ("not a url", None),
        ] {
            assert_eq!(canonical_page(from).as_deref(), to, "{from}");
        }
    }
}
