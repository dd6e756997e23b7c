//! From a call to its rows, and from a row to a postback. Touches no store: a live call and one that is read again go
//! the same way.

use bytes::Bytes;
use crosstally_core::config::Partner;
use crosstally_core::hops;
use crosstally_core::ids::ClickIdKey;
use crosstally_core::limits;
use crosstally_core::params::Params;
use crosstally_core::postback::authenticate::{self, Shown};
use crosstally_core::postback::body::{self, Media, Row};
use crosstally_core::postback::normalise::{self, Setting};
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Inbound, Postback, parse};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Stop;
use futures_util::FutureExt as _;

use crate::snapshot::Snapshot;

/// A call that is the partner's own.
pub(super) struct Call {
    /// What it has shown.
    pub(super) shown: Shown,
    /// Its rows, or why they cannot be read.
    pub(super) rows: Result<Vec<Row>, Stop>,
}

/// Finds the partner, makes sure that the call is the partner's own, and reads its rows.
pub(super) fn call(inbound: &mut Inbound, snapshot: &Snapshot, now: Timestamp) -> Result<Call, Stop> {
    let (partner, guards) = find_partner(inbound, snapshot)?;
    parts(inbound)?;
    let rows = body::rows(inbound, partner.contract.encoding());
    // A token may stand among the parameters; a body that cannot be read has none.
    let none = Params::default();
    let params = rows.as_ref().ok().and_then(|rows| rows.first()?.params.as_ref().ok()).unwrap_or(&none);
    let shown = authenticate::check(inbound, params, guards, now)?;
    authenticate::check_unsigned(inbound, guards, &partner.contract)?;
    if partner.reads_query() || inbound.query.is_empty() {
        return Ok(Call { shown, rows });
    }
    let signed = Inbound { query: Vec::new(), ..inbound.clone() };
    Ok(Call { shown, rows: body::rows(&signed, partner.contract.encoding()) })
}

/// Reads one row by the partner's contract.
pub(crate) fn postback(
    params: Params,
    inbound: &Inbound,
    snapshot: &Snapshot,
    click_id_key: &ClickIdKey,
    received_at: Timestamp,
    repair: Option<&Repair>,
) -> Result<Postback, Stop> {
    let (partner, _) = snapshot
        .partner(&inbound.partner)
        .ok_or_else(|| Stop::refused(Reason::UnknownPartner, "the partner is not configured any more"))?;
    hops::check(inbound.headers.hops())?;
    let mut fields = parse::fields(params, &inbound.headers, &partner.contract);
    if let Some(repair) = repair.filter(|repair| !repair.set.is_empty()) {
        // What is repaired may be what could not be read.
        fields = Ok(parse::repaired(fields.unwrap_or_default(), repair));
    }
    let fields = fields?;
    let setting = Setting { partner, workspace: &snapshot.config.workspace, click_id_key, received_at };
    normalise::postback(&fields, setting)
}

fn find_partner<'a>(
    inbound: &Inbound,
    snapshot: &'a Snapshot,
) -> Result<(&'a Partner, &'a authenticate::Guards), Stop> {
    let known = snapshot.partner(&inbound.partner).filter(|_| !snapshot.is_for_events_only(&inbound.partner));
    let Some((partner, guards)) = known else {
        return Err(Stop::refused(
            Reason::UnknownPartner,
            format!("no partner is called {}", parse::printable(&inbound.partner)),
        ));
    };
    if !matches!(inbound.method.as_str(), "GET" | "POST") {
        return Err(Stop::refused(Reason::MethodNotAllowed, "send postbacks by GET or POST"));
    }
    // Without its secret the server cannot tell the partner from a stranger: it lets nobody in and says so.
    let guards = guards.ok_or_else(|| {
        Stop::refused(
            Reason::StoreUnavailable,
            "the partner's secret is not set on this server; try again later",
        )
    })?;
    Ok((partner, guards))
}

/// Takes a multipart body apart. It is all here already, so nothing is waited for.
pub(crate) fn parts(inbound: &mut Inbound) -> Result<(), Stop> {
    if body::media(&inbound.content_type, &inbound.body) != Ok(Media::Multipart) {
        return Ok(());
    }
    let broken = || Stop::refused(Reason::BodyUnreadable, "the multipart form could not be read");
    let boundary = multer::parse_boundary(&inbound.content_type).map_err(|_| broken())?;
    let whole = Bytes::copy_from_slice(&inbound.body);
    let stream = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(whole) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut parts = Vec::new();
    let all = async {
        while let Some(field) = form.next_field().await.map_err(|_| broken())? {
            let name = field.name().unwrap_or_default().to_owned();
            let is_file = field.file_name().is_some();
            let value = field.bytes().await.map_err(|_| broken())?;
            if parts.len() == limits::PARAMS_MAX {
                return Err(Stop::refused(
                    Reason::TooManyParams,
                    format!("the limit is {} parts", limits::PARAMS_MAX),
                ));
            }
            if !is_file {
                parts.push((name, value.to_vec()));
            }
        }
        Ok(())
    };
    all.now_or_never().unwrap_or_else(|| Err(broken()))?;
    inbound.parts = parts;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    type Part = (String, Vec<u8>, bool);

    fn part() -> impl Strategy<Value = Part> {
        ("[a-zA-Z0-9_.\\[\\]é-]{1,24}", prop::collection::vec(any::<u8>(), 0..80), any::<bool>())
    }

    fn written(parts: &[Part]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value, is_file) in parts {
            let file = if *is_file { "; filename=\"f.bin\"" } else { "" };
            let head = format!("--xYz7\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend([head.as_bytes(), value, b"\r\n"].concat());
        }
        body.extend(b"--xYz7--\r\n");
        body
    }

    fn call(content_type: &str, body: Vec<u8>) -> Inbound {
        Inbound { content_type: content_type.into(), body, ..Inbound::default() }
    }

    proptest! {
        #[test]
        fn a_multipart_form_reads_as_it_was_written(parts in prop::collection::vec(part(), 1..8)) {
            let mut inbound = call("multipart/form-data; boundary=xYz7", written(&parts));
            super::parts(&mut inbound).unwrap();
            let fields = parts.into_iter().filter(|(_, _, is_file)| !is_file);
            let fields: Vec<_> = fields.map(|(name, value, _)| (name, value)).collect();
            prop_assert_eq!(inbound.parts, fields);
        }

        #[test]
        fn a_damaged_multipart_form_is_read_or_refused(
            parts in prop::collection::vec(part(), 0..6),
            boundary in "(xYz7|\"xYz7\"|xYz|[ -~]{0,80})",
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..12),
        ) {
            let mut body = written(&parts);
            for (at, byte, kind) in damage {
                let at = at.index(body.len());
                match kind {
                    0 => body[at] = byte,
                    1 => body.insert(at, byte),
                    _ => body.truncate(at.max(1)),
                }
            }
            let length = body.len();
            let mut inbound = call(&format!("multipart/form-data; boundary={boundary}"), body);
            match super::parts(&mut inbound) {
                Ok(()) => {
                    let read: usize = inbound.parts.iter().map(|(_, value)| value.len()).sum();
                    prop_assert!(read <= length && inbound.parts.len() <= limits::PARAMS_MAX);
                }
                Err(stop) => {
                    prop_assert!(inbound.parts.is_empty());
                    prop_assert!(matches!(stop.reason, Reason::BodyUnreadable | Reason::TooManyParams), "{stop:?}");
                }
            }
        }
    }
}
