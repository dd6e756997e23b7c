//! The normal forms that TikTok hashes, where they are its own.

/// A number of China without its country code: the one country whose code TikTok wants to be left out. `None` for all
/// others, which go in E.164.
#[must_use]
pub fn phone(e164: &str) -> Option<&str> {
    e164.strip_prefix("+86")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_of_china_lose_their_code() {
        assert_eq!(phone("+8613812345678"), Some("13812345678"));
        // +852 is Hong Kong, +880 Bangladesh: no code begins with 86 but China's.
        for other in ["+85251234567", "+8801712345678", "+16505551212"] {
            assert_eq!(phone(other), None, "{other}");
        }
    }
}
