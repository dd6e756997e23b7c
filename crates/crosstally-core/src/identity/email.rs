//! Mail addresses: which texts are one. What a platform does to an address afterwards is the platform's module's.

use super::text::trim;

// RFC 5321 4.5.3.1 and RFC 1035 2.3.4.
const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// The address trimmed and in lower case, if it is a dot-atom and a host name of at least two labels, all ASCII.
///
/// Quoted local parts, address literals, display names and non-ASCII addresses are refused: of the platform's own
/// libraries most refuse them too, and none of them can be matched.
pub(super) fn plain(input: &str) -> Option<String> {
    let address = trim(input).to_lowercase();
    if address.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let (local, host) = address.split_once('@')?;
    (is_local_part(local) && is_host(host)).then_some(address)
}

fn is_local_part(local: &str) -> bool {
    local.len() <= LOCAL_BYTES_MAX
        && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte))
}

fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_host(host: &str) -> bool {
    host.contains('.') && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
