//! An event's value and currency, as every platform wants them: exact digits and a known code.

use crosstally_core::event::OutboundEvent;
use crosstally_core::money::Currency;

use crate::refused::Refused;

/// An event's money. The digits go out as they are: no number type stands between the ledger and the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount<'a> {
    /// A decimal that JSON takes as a number.
    pub(crate) value: Option<&'a str>,
    /// The ISO 4217 code.
    pub(crate) currency: Option<&'static str>,
}

impl<'a> Amount<'a> {
    /// Reads an event's money. With `required`, what it is for, both must be there.
    pub(crate) fn of(
        event: &'a OutboundEvent,
        platform: &str,
        required: Option<&str>,
    ) -> Result<Self, Refused> {
        let value = event.value.as_deref();
        if value.is_some_and(|text| text.starts_with('-')) {
            let detail = format!("value must be 0 or more; {platform} has no refunds");
            return Err(Refused::incomplete(detail));
        }
        if value.is_some_and(|text| !is_json_decimal(text)) {
            return Err(Refused::incomplete("value must be a plain decimal such as 12.34"));
        }
        let currency = match event.currency.as_deref().map(str::parse::<Currency>) {
            None => None,
            Some(Ok(currency)) => Some(currency.code()),
            Some(Err(_)) => return Err(Refused::incomplete("currency must be an ISO 4217 code")),
        };
        for (missing, name) in [(value.is_none(), "value"), (currency.is_none(), "currency")] {
            if let Some(what) = required.filter(|_| missing) {
                return Err(Refused::incomplete(format!("{name} is required for {what}")));
            }
        }
        Ok(Self { value, currency })
    }
}

/// Whether a text is a decimal that JSON takes as a number: `0.50`, not `.5`, `00.5` or `5.`.
fn is_json_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}
