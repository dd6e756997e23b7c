//! The secrets of a configuration, each with the record it belongs to. A sealed secret is bound to its record, so that
//! it cannot be moved to another one.

use super::{Config, SecretRef, Setting};
use crate::fields::{SECRET_NAMES, TOKEN_PARAMS};
use crate::secret::Secret;

impl Config {
    /// Replaces every secret that stands in the configuration itself by its sealed form.
    pub fn seal(&mut self, seal: &mut dyn FnMut(&str, &Secret) -> String) {
        let mut seal_one = |record: &str, reference: &mut SecretRef| {
            if let SecretRef::Literal(secret) = reference {
                *reference = SecretRef::Sealed(seal(record, secret));
            }
        };
        for partner in &mut self.partners {
            let auth = &mut partner.auth;
            let of_auth = [
                ("token", &mut auth.token),
                ("hmac", &mut auth.hmac),
                ("secret", &mut auth.secret),
                ("old_secret", &mut auth.old_secret),
            ];
            for (name, reference) in of_auth {
                if let Some(reference) = reference {
                    seal_one(&partner_record(&partner.slug, name), reference);
                }
            }
        }
        for destination in &mut self.destinations {
            for (name, setting) in &mut destination.settings {
                if let Setting::Secret(reference) = setting {
                    seal_one(&destination_record(&destination.slug, name), reference);
                }
            }
        }
    }
}

/// Every secret with its record: `partner/acme/auth.token`, `destination/meta-main/access_token`.
#[must_use]
pub fn secrets(config: &Config) -> Vec<(String, &SecretRef)> {
    let of_partners = config.partners.iter().flat_map(|partner| {
        let auth = &partner.auth;
        let of_auth = [
            ("token", &auth.token),
            ("hmac", &auth.hmac),
            ("secret", &auth.secret),
            ("old_secret", &auth.old_secret),
        ];
        of_auth.into_iter().filter_map(|(name, reference)| {
            reference.as_ref().map(|reference| (partner_record(&partner.slug, name), reference))
        })
    });
    let of_destinations = config.destinations.iter().flat_map(|destination| {
        destination.settings.iter().filter_map(|(name, setting)| match setting {
            Setting::Secret(reference) => Some((destination_record(&destination.slug, name), reference)),
            _ => None,
        })
    });
    of_partners.chain(of_destinations).collect()
}

fn partner_record(slug: &str, name: &str) -> String {
    format!("partner/{slug}/auth.{name}")
}

fn destination_record(slug: &str, setting: &str) -> String {
    format!("destination/{slug}/{setting}")
}

/// Whether a parameter of this name carries a secret by custom.
pub(super) fn names_a_token(name: &str) -> bool {
    TOKEN_PARAMS.iter().any(|token| token.eq_ignore_ascii_case(name))
}

/// Whether a parameter, a path or a header (`header:x-api-key`) is where callers put a secret; its value is never kept.
pub(super) fn is_secret_place(place: &str) -> bool {
    let place = place.to_ascii_lowercase();
    let is_secret = |name: &str| names_a_token(name) || SECRET_NAMES.contains(&name);
    match place.strip_prefix("header:") {
        Some(header) => {
            let name = header.trim().replace('-', "_");
            let plain = name.trim_start_matches("x_").trim_start_matches("crosstally_");
            matches!(plain, "authorization" | "proxy_authorization" | "cookie") || is_secret(plain)
        }
        None => place.split(['[', ']', '.']).any(|part| is_secret(part.trim())),
    }
}
