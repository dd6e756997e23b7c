//! Limits of use that a platform is told, or that keep an event from it.

use crosstally_core::event::{DataProcessing, OutboundEvent};

use crate::json::Object;
use crate::refused::Refused;

/// Whether use is limited as laws of the United States ask for: the sender's `["LDU"]`, or its explicit `[]`.
pub(crate) fn is_limited(limits: &DataProcessing) -> Result<bool, Refused> {
    match limits.options.as_slice() {
        [] => Ok(false),
        [option] if option == "LDU" => Ok(true),
        _ => Err(Refused::incomplete("data_processing_options must be [] or [\"LDU\"]")),
    }
}

/// The same of an event; `None` if the sender said nothing.
pub(crate) fn limited(event: &OutboundEvent) -> Result<Option<bool>, Refused> {
    event.data_processing.as_ref().map(is_limited).transpose()
}

/// Writes both marks as the sender said them, under the names of a server event.
pub(crate) fn write_marks(event: &OutboundEvent, object: &mut Object<'_>) {
    object.put_some("opt_out", event.opt_out);
    if let Some(limits) = &event.data_processing {
        object.put("data_processing_options", &limits.options);
        object.put_some("data_processing_options_country", limits.country);
        object.put_some("data_processing_options_state", limits.state);
    }
}

/// Keeps an event back that may be used for attribution only, where the platform cannot be told so.
pub(crate) fn no_opt_out(event: &OutboundEvent, platform: &str) -> Result<(), Refused> {
    if event.opt_out == Some(true) {
        let detail = format!("opt_out is true, which {platform} cannot be told; the event is not sent");
        return Err(Refused::not_allowed(detail));
    }
    Ok(())
}

/// Keeps an event back whose use is limited, where the platform cannot be told so.
pub(crate) fn no_limits(event: &OutboundEvent, platform: &str) -> Result<(), Refused> {
    if limited(event)? == Some(true) {
        let detail =
            format!("data_processing_options is LDU, which {platform} cannot be told; the event is not sent");
        return Err(Refused::not_allowed(detail));
    }
    Ok(())
}
