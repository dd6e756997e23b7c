//! Whose door a call arrives at, by its path and query alone: as the tracking listener routes it, for whoever must know it
//! before the call is made. Knows no socket.

use crosstally_core::config::Partner;
use crosstally_core::drop_in::{self, Dialect, DropIn, KEY_PARAM};
use crosstally_core::params::Params;

use super::Snapshot;

/// The path of the sheet receiver, and the parameter that names the partner there.
pub const SHEET_PATH: &str = "/meta/postback/conversion";
/// See [`SHEET_PATH`].
pub const SHEET_PARAM: &str = "sheet_id";

impl Snapshot {
    /// The partner whose call a path and query would be; `None` where no partner's call is taken. Whether somebody is called
    /// so is not asked.
    #[must_use]
    pub fn partner_called(&self, path: &str, query: &str) -> Option<String> {
        // Links go before all else, also one that looks like another tracker's endpoint.
        let mut links = ["/c/", "/o/"].iter().filter_map(|door| path.strip_prefix(door));
        if links.any(|rest| is_segment(rest.strip_suffix('/').unwrap_or(rest))) {
            return None;
        }
        if let Some(slug) = path.strip_prefix("/postback/").filter(|rest| is_segment(rest)) {
            return Some(slug.to_owned());
        }
        if path == SHEET_PATH {
            let params = Params::parse(query.as_bytes()).unwrap_or_default();
            return params.get(SHEET_PARAM).map(str::to_owned);
        }
        self.drop_in_called(path, query).map(|(_, partner)| partner.slug.clone())
    }

    /// The endpoint of another tracker that a path and query ask for, if a partner has it.
    #[must_use]
    pub fn drop_in_called(&self, path: &str, query: &str) -> Option<(Dialect, &Partner)> {
        let has = |name: &str| {
            query
                .split('&')
                .any(|pair| pair.split('=').next().is_some_and(|theirs| theirs.eq_ignore_ascii_case(name)))
        };
        let route = drop_in::route(path, has)?;
        let params = Params::parse(query.as_bytes()).unwrap_or_default();
        let key = route.key.or_else(|| params.get(KEY_PARAM));
        let (dialect, partner) = self.drop_in(route.dialects, key)?;
        let own_key = partner.drop_in.as_ref().map(|drop_in| drop_in.key.as_str());
        (!dialect.needs_key() || own_key == route.key).then_some((dialect, partner))
    }

    /// The partner behind another tracker's endpoint: the first of the dialects that has one under this key, then the one
    /// that has none.
    fn drop_in(&self, dialects: &[Dialect], key: Option<&str>) -> Option<(Dialect, &Partner)> {
        let find = |key: &str| {
            dialects.iter().find_map(|&dialect| {
                let at = self.drop_ins.get(&DropIn { dialect, key: key.to_owned() })?;
                Some((dialect, self.config.partners.get(*at)?))
            })
        };
        // A key that nobody has is a parameter like any other.
        key.and_then(find).or_else(|| find(""))
    }
}

fn is_segment(rest: &str) -> bool {
    !rest.is_empty() && !rest.contains('/')
}
