//! Macros that nobody filled in, in the styles of the field's trackers and networks. Knows how they look, not what they
//! stand for.

/// Whether a value is a macro's own name instead of what it stands for: `{{ad.id}}`, `{sub1}`, `__CID__`, `[x]`, `${x}`,
/// `%x%`, `%%x%%`, `##x##`, `[[x]]`, `[=x=]`, `!!!x!!!`, `${(a.b)!}`. Only whole values count: a name in the middle of a text is a text.
#[must_use]
pub fn looks_like_macro(value: &str) -> bool {
    const BRACKETS: &[(&str, &str)] = &[
        ("{{{", "}}}"),
        ("{{", "}}"),
        ("${(", ")!}"),
        ("${", "}"),
        ("#{", "}"),
        ("{%", "%}"),
        ("{", "}"),
        ("[[[", "]]]"),
        ("[[", "]]"),
        ("[+", "+]"),
        ("[=", "=]"),
        ("[", "]"),
        ("__", "__"),
        ("###", "###"),
        ("##", "##"),
        ("$", "$"),
        ("#", "#"),
        ("%%", "%%"),
        ("%", "%"),
        ("<", ">"),
        ("@@", "@@"),
        ("!!!", "!!!"),
        ("(S_", ")"),
    ];
    let value = value.trim();
    // Nearly all values are none, and their first sign says so.
    let opens = |byte| matches!(byte, b'{' | b'$' | b'#' | b'[' | b'_' | b'%' | b'<' | b'@' | b'!' | b'(');
    if !value.bytes().next().is_some_and(opens) {
        return false;
    }
    BRACKETS.iter().any(|(open, close)| {
        value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).is_some_and(|name| {
            let name = name.trim();
            // Amounts stand between such signs, too.
            if *open == "$" && name.starts_with(|c: char| c.is_ascii_digit()) {
                return false;
            }
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().any(|b| b.is_ascii_alphabetic())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b':' | b' '))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfilled_macros_of_every_bracket_style_are_recognised() {
        for text in [
            "{payout}",
            "${x}",
            "[x]",
            "##x##",
            "%x%",
            "%%GCLID%%",
            "$payout$",
            "$ payout $",
            "$click id$",
            "__CID__",
            "{{ad.id}}",
            "<x>",
            "[[[x]]]",
            "[+x+]",
            "(S_X)",
            "#x#",
            "@@CLICK-ID@@",
            "[[t202kw]]",
            "[=AffiliateReferenceID=]",
            "!!!clickref!!!",
            "${(order.total)!}",
            "{{{click.id}}}",
        ] {
            assert!(looks_like_macro(text), "{text}");
        }
        for text in [
            "", "12.34", "IwAR2F4", "a{b}c", "{}", "100%", "[]", "__", "#1", "%20%", "{12}", "[[]]",
            "[=12=]", "!!!", "!!!!!!", "wow!!!", "!!!42!!!", "${()!}", "(none)", "[a] [b]", "a=b", "$5 off$",
            "$5off$", "$ 5 USD$", "$5$",
        ] {
            assert!(!looks_like_macro(text), "{text}");
        }
    }
}
