//! Shares for people, without floating point between the counts and the page.

/// How many of a hundred a part is of a whole, with one decimal, rounded half up; nothing of nothing.
#[must_use]
pub fn percent(part: u64, whole: u64) -> Option<String> {
    let tenths = (u128::from(part) * 2_000 + u128::from(whole)).checked_div(2 * u128::from(whole))?;
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_one_decimal() {
        for (part, whole, said) in [
            (0, 0, None),
            (0, 3, Some("0.0")),
            (1, 3, Some("33.3")),
            (2, 3, Some("66.7")),
            (1, 2000, Some("0.1")),
            (1, 2001, Some("0.0")),
            (7, 7, Some("100.0")),
            (u64::MAX, u64::MAX, Some("100.0")),
        ] {
            assert_eq!(percent(part, whole).as_deref(), said, "{part} of {whole}");
        }
    }
}
