//! Contact values as people and forms give them, good and bad, the same ones in every run.

use crosstally_core::identity::meta::Field;

/// How many values of each field.
pub(super) const FIELDS: [(Field, usize); 11] = [
    (Field::Em, 240),
    (Field::Ph, 240),
    (Field::Fn, 60),
    (Field::Ln, 60),
    (Field::Ge, 50),
    (Field::Db, 60),
    (Field::Ct, 60),
    (Field::St, 80),
    (Field::Zp, 60),
    (Field::Country, 80),
    (Field::ExternalId, 50),
];

/// Numbers that only look like chance (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(count).unwrap()).unwrap()
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of the list.
    pub(super) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from_digit(u32::try_from(self.below(10)).unwrap(), 10).unwrap()).collect()
    }
}

/// All values.
pub(super) fn values() -> Vec<(Field, String)> {
    let mut dice = Dice(20_261_121);
    let mut values = Vec::new();
    for (field, count) in FIELDS {
        values.extend((0..count).map(|_| (field, value(field, &mut dice))));
    }
    values
}

fn value(field: Field, dice: &mut Dice) -> String {
    if dice.once_in(25) {
        return dice.pick(&["", " ", "\t\n", "-", "...", "12", "null", "\u{a0}"]).to_owned();
    }
    let plain = match field {
        Field::Em => email(dice),
        Field::Ph => return phone(dice),
        Field::Fn => dice.pick(FIRST_NAMES).to_owned(),
        Field::Ln => dice.pick(LAST_NAMES).to_owned(),
        Field::Ge => dice.pick(GENDERS).to_owned(),
        Field::Db => birthdate(dice),
        Field::Ct => dice.pick(CITIES).to_owned(),
        Field::St => dice.pick(STATES).to_owned(),
        Field::Zp => postal_code(dice),
        Field::Country => dice.pick(COUNTRIES).to_owned(),
        _ => format!("{}{}", dice.pick(&["User-", "c_", "ÜSER ", "a b ", "1"]), dice.below(9_999)),
    };
    let cased = match dice.below(4) {
        0 => plain.to_uppercase(),
        1 => plain.to_lowercase(),
        _ => plain,
    };
    let blanks = ["", "", "", " ", "  ", "\t", "\n", "\u{a0}", "\u{3000}"];
    format!("{}{cased}{}", dice.pick(&blanks), dice.pick(&blanks))
}

const LOCALS: &[&str] = &[
    "John_Smith",
    "a.b.c",
    "mary.ann",
    "o'neil",
    "x",
    "info",
    "first.last+news",
    "u+tag",
    "+tag",
    "a+b+c",
    "müller",
    "ユーザー",
    "1234",
    "a..b",
    ".dot",
    "dot.",
    "a b",
    "\"quoted\"",
    "a&b",
    "a\u{200b}b",
    "user%host",
    "a,b",
];
const HOSTS: &[&str] = &[
    "gmail.com",
    "googlemail.com",
    "GMail.com",
    "example.com",
    "example.com",
    "mail.example.co.uk",
    "xn--mnchen-3ya.de",
    "example.museum",
    "gmail.com.example",
    "exämple.de",
    "localhost",
    "192.168.0.1",
    "[192.168.0.1]",
    "-x.com",
    "a_b.com",
    "x..com",
    "example.com.",
    "例え.jp",
];

fn email(dice: &mut Dice) -> String {
    let (local, host) = match dice.below(3) {
        0 => (dice.pick(LOCALS), dice.pick(HOSTS)),
        1 => (dice.pick(&LOCALS[..10]), dice.pick(&HOSTS[..9])),
        _ => (dice.pick(&LOCALS[..10]), dice.pick(&HOSTS[..2])),
    };
    match dice.below(24) {
        0 => format!("{local}{host}"),
        1 => format!("{local}@@{host}"),
        2 => format!("{local} <{local}@{host}>"),
        3 => format!("mailto:{local}@{host}"),
        4 => format!("{local}@{host},{local}@{host}"),
        5 => format!("{local}@ {host}"),
        _ => format!("{local}{}@{host}", dice.below(100)),
    }
}

// Country code, then the national number without its trunk zero.
const NUMBERS: &[(&str, &str)] = &[
    ("1", "6505551212"),
    ("1", "4155550123"),
    ("44", "2079460958"),
    ("44", "7911123456"),
    ("49", "30901820"),
    ("33", "142685300"),
    ("39", "0669812345"),
    ("7", "4951234567"),
    ("86", "13800138000"),
    ("81", "312345678"),
    ("91", "9876543210"),
    ("55", "11912345678"),
    ("351", "912345678"),
    ("971", "501234567"),
];
const ODD_NUMBERS: &[&str] = &[
    "1-800-FLOWERS",
    "١٢٣٤٥٦٧٨٩",
    "１６５０５５５１２１２",
    "12345",
    "123456",
    "0000000000",
    "+",
    "abc",
    "tel:+16505551212",
    "+1 650 555 1212 ext. 89",
    "+1 (650) 555-1212 x89",
    "++16505551212",
    "12345678901234567",
    "+44 (0)20 7946 0958",
    "555-1212",
    "+1 650 555 1212 (mobile)",
    "1\u{200b}6505551212",
    "+1;650;555;1212",
    "+1/650/555/1212",
];

fn phone(dice: &mut Dice) -> String {
    if dice.once_in(4) {
        return dice.pick(ODD_NUMBERS).to_owned();
    }
    let (code, national) = NUMBERS[dice.below(NUMBERS.len())];
    let mark = dice.pick(&[" ", "-", ".", "", "/", "\u{a0}", "\u{2011}", " - ", ") "]);
    let open = if mark == ") " { "(" } else { "" };
    let (area, rest) = national.split_at(3);
    let (first, second) = rest.split_at(3);
    let body = format!("{open}{area}{mark}{first}{}{second}", mark.trim_start_matches(')'));
    match dice.below(6) {
        0 => format!("00{code} {body}"),
        1 => format!("0{body}"),
        2 => format!("{code}{mark}{body}").replace(") (", " ("),
        3 => format!(" +{code} {body} "),
        _ => format!("+{code}{}{body}", mark.trim_start_matches(')')),
    }
}

const FIRST_NAMES: &[&str] = &[
    "Mary",
    "Valéry",
    "Jean-Luc",
    "Mary Ann",
    "Dr. John",
    "Zoë",
    "Łukasz",
    "Иван",
    "정",
    "José María",
    "Anne–Marie",
    "张伟",
    "ΣΊΣΥΦΟΣ",
    "İnan",
    "दीपक",
    "محمد",
    "J\u{301}ose",
    "Bob!",
    "@bob",
    "A_B",
    "St. John",
    "ﬁona",
];
const LAST_NAMES: &[&str] = &[
    "Smith",
    "O'Neil",
    "O’Neil",
    "de la Cruz",
    "Nguyễn",
    "Müller-Lüdenscheidt",
    "Smith, Jr.",
    "(Jones)",
    "Straße",
    "Иванов",
    "van der Berg",
    "Mc'Donald",
    "Smith/Jones",
    "\u{200b}Ray",
    "山田",
    "D’Arcy",
    "3rd",
];
const GENDERS: &[&str] = &[
    "m", "f", "male", "female", "Mr", "mrs", "Ms.", "woman", "boy", "x", "other", "unknown", "m.",
    "weiblich", "homme", "she", "ma'am", "fem", "0", "mf",
];
const CITIES: &[&str] = &[
    "San Francisco",
    "Winston-Salem",
    "Washington D.C.",
    "St. Louis",
    "L'Aquila",
    "L’Aquila",
    "São Paulo",
    "Köln",
    "東京",
    "Москва",
    "Paris 16",
    "75018",
    "Menlo Park (CA)",
    "Provo, UT",
    "Aix–en–Provence",
    "Coeur d'Alene",
    "Foo_Bar",
    "Hamburg/Altona",
];
const STATES: &[&str] = &[
    "CA",
    "ny",
    "California",
    "New York",
    "N.Y.",
    "Washington D.C.",
    "DC",
    "District of Columbia",
    "Ontario",
    "ON",
    "Québec",
    "Quebec",
    "British Columbia",
    "Bayern",
    "NSW",
    "New South Wales",
    "Île-de-France",
    "東京都",
    "CA 94035",
    "West Virginia",
    "Washington State",
    "Baden-Württemberg",
    "São Paulo",
    "Puerto Rico",
    "California, USA",
    "A",
];
const COUNTRIES: &[&str] = &[
    "US",
    "us",
    "USA",
    "United States",
    "UK",
    "GB",
    "United Kingdom",
    "Deutschland",
    "DE",
    "Germany",
    "FR",
    "France",
    "XX",
    "EU",
    "Brasil",
    "Brazil",
    "Österreich",
    "Austria",
    "Côte d’Ivoire",
    "South Korea",
    "Korea",
    "The Netherlands",
    "U.S.",
    "840",
    "1",
    "日本",
    "Japan",
    "in",
    "India",
    "F R",
    "en-US",
    "XK",
    "Russia",
    "Vietnam",
    "Türkiye",
];

fn birthdate(dice: &mut Dice) -> String {
    let (year, month, day) = (1890 + dice.below(150), 1 + dice.below(13), 1 + dice.below(31));
    match dice.below(9) {
        0 => format!("{month}/{day}/{year}"),
        1 => format!("{day:02}.{month:02}.{year}"),
        2 => format!("{year}-{month:02}-{day:02}T00:00:00Z"),
        3 => format!("{year}/{month}/{day}"),
        4 => format!("{month:02}{day:02}{year}"),
        5 => format!("{month:02}/{day:02}/{:02}", year % 100),
        6 => format!("{year}-{month:02}-{day:02}"),
        7 => dice
            .pick(&["1990", "Feb 16 1997", "1990-1", "31/12/1999", "1990-02-30", "2/29/2000", "2/29/1900"])
            .to_owned(),
        _ => format!("{year}{month:02}{day:02}"),
    }
}

fn postal_code(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => format!("{}-{}", dice.digits(5), dice.digits(4)),
        1 => format!("{} {}", dice.digits(5), dice.digits(4)),
        2 => format!("M{} {}AE", dice.below(99), dice.below(9)),
        3 => format!("K{}A {}B{}", dice.below(9), dice.below(9), dice.below(9)),
        4 => format!("{}-{}", dice.digits(3), dice.digits(4)),
        5 => dice
            .pick(&[
                "9",
                "A",
                "-1234",
                "D-10115",
                "94035–1234",
                "94035 - 1234",
                "EC1A-1BB",
                "１００",
                "B-1000",
            ])
            .to_owned(),
        6 => dice.digits(9),
        _ => dice.digits(5),
    }
}
