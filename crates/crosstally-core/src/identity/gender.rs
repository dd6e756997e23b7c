//! Words that tell a gender: everyday words, forms of address, relatives, titles and pronouns.

const MALE: &[&str] = &[
    "m",
    "male",
    "man",
    "boy",
    "guy",
    "lad",
    "chap",
    "bloke",
    "dude",
    "fellow",
    "gentleman",
    "mr",
    "mister",
    "sir",
    "lord",
    "he",
    "him",
    "his",
    "himself",
    "father",
    "dad",
    "daddy",
    "papa",
    "son",
    "brother",
    "uncle",
    "nephew",
    "husband",
    "groom",
    "boyfriend",
    "widower",
    "king",
    "prince",
    "duke",
    "count",
    "emperor",
    "god",
];

const FEMALE: &[&str] = &[
    "f",
    "female",
    "woman",
    "girl",
    "gal",
    "lass",
    "chick",
    "maiden",
    "lady",
    "mrs",
    "ms",
    "miss",
    "madam",
    "ma'am",
    "dame",
    "she",
    "her",
    "hers",
    "herself",
    "mother",
    "mom",
    "mommy",
    "mama",
    "daughter",
    "sister",
    "aunt",
    "niece",
    "wife",
    "bride",
    "girlfriend",
    "widow",
    "queen",
    "princess",
    "duchess",
    "countess",
    "empress",
    "goddess",
    "belle",
];

/// `m` or `f` for a word in lower case, also one that was shortened with a dot (`mr.`); nothing for any other word.
pub(super) fn letter(word: &str) -> Option<&'static str> {
    let word = &word.strip_suffix('.').unwrap_or(word);
    if MALE.contains(word) {
        Some("m")
    } else if FEMALE.contains(word) {
        Some("f")
    } else {
        None
    }
}
