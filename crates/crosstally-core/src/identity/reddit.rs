//! The normal forms that Reddit hashes.

use super::email::plain;

/// A mail address in lower case whose local part keeps only letters and digits, and nothing from its first `+` on; with
/// every provider, not only where such addresses are one mailbox.
#[must_use]
pub fn email(input: &str) -> Option<String> {
    let address = plain(input)?;
    let (local, host) = address.split_once('@')?;
    let name: String = local.chars().take_while(|c| *c != '+').filter(char::is_ascii_alphanumeric).collect();
    (!name.is_empty()).then(|| format!("{name}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::super::sha256_hex;
    use super::*;

    #[test]
    fn the_documented_example_and_others() {
        for (given, wanted) in [
            ("Al.ice$+Apple@Example.Com", Some("alice@example.com")),
            (" alice@example.com ", Some("alice@example.com")),
            ("j_o-hn.d+a+b@x.example", Some("johnd@x.example")),
            ("+tag@x.example", None),
            ("nobody", None),
        ] {
            assert_eq!(email(given).as_deref(), wanted, "{given}");
        }
        assert_eq!(
            sha256_hex("alice@example.com"),
            "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976"
        );
    }
}
