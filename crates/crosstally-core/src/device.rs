//! What a browser says it runs on: the kind of device, its system, the browser's family. Told by the few words that every
//! browser's user agent is made of; versions and models, which browsers no longer tell, are none of its business.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// What is told of a user agent. `other` where it says nothing that is known, an empty text where it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Device {
    /// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `other`.
    pub kind: &'static str,
    /// See [`SYSTEMS`].
    pub os: &'static str,
    /// See [`BROWSERS`].
    pub browser: &'static str,
}

/// The kinds of devices.
pub const KINDS: &[&str] = &["desktop", "mobile", "tablet", "tv", "bot", "other"];
/// The systems.
pub const SYSTEMS: &[&str] =
    &["android", "ios", "windows", "macos", "linux", "chromeos", "tizen", "webos", "other"];
/// The families of browsers; those within apps by their app.
pub const BROWSERS: &[&str] = &[
    "chrome",
    "safari",
    "firefox",
    "edge",
    "opera",
    "samsung",
    "yandex",
    "uc",
    "facebook",
    "instagram",
    "tiktok",
    "snapchat",
    "pinterest",
    "linkedin",
    "webview",
    "ie",
    "other",
];

/// Words of programs that fetch pages by themselves, in lower case.
const FETCHERS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "facebookexternalhit",
    "meta-external",
    "mediapartners-google",
    "google-inspectiontool",
    "googleother",
    "feedfetcher",
    "bingpreview",
    "headlesschrome",
    "phantomjs",
    "lighthouse",
    "pagespeed",
    "pingdom",
    "uptime",
    "scrapy",
    "curl/",
    "wget/",
    "python-",
    "python/",
    "aiohttp",
    "httpx/",
    "go-http-client",
    "java/",
    "apache-httpclient",
    "libwww",
    "node-fetch",
    "axios/",
    "undici",
    "guzzle",
    "embedly",
    "ia_archiver",
    "whatsapp/",
    "vkshare",
    "preview",
    "validator",
    "monitor",
];

/// A maker of telephones whose name ends like a program's.
const NO_FETCHER: &str = "cubot";

/// Finds all those words in one pass: a click is asked for each of them.
static FIND_FETCHERS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(FETCHERS).ok());

/// Whether a user agent names a program that fetches pages by itself.
#[must_use]
pub fn is_crawler(user_agent: &str) -> bool {
    let Some(find) = FIND_FETCHERS.as_ref() else { return false };
    let is_no_fetcher = |end: usize| {
        let word = end.checked_sub(NO_FETCHER.len()).and_then(|start| user_agent.as_bytes().get(start..end));
        word.is_some_and(|word| word.eq_ignore_ascii_case(NO_FETCHER.as_bytes()))
    };
    find.find_overlapping_iter(user_agent).any(|found| !is_no_fetcher(found.end()))
}

impl Device {
    /// What a user agent says.
    #[must_use]
    pub fn of(user_agent: &str) -> Self {
        if user_agent.is_empty() {
            return Self::default();
        }
        let has = |word: &str| user_agent.contains(word);
        let os = system(&has);
        let browser = browser(&has, os);
        let kind = if is_crawler(user_agent) { "bot" } else { kind(&has, os) };
        Self { kind, os, browser }
    }
}

fn system(has: &impl Fn(&str) -> bool) -> &'static str {
    if has("Windows") {
        return "windows";
    }
    if has("Android") {
        return "android";
    }
    if has("iPhone") || has("iPad") || has("iPod") {
        return "ios";
    }
    if has("Macintosh") || has("Mac OS X") {
        return "macos";
    }
    if has("CrOS") {
        return "chromeos";
    }
    if has("Tizen") {
        return "tizen";
    }
    if has("Web0S") || has("webOS") {
        return "webos";
    }
    if has("Linux") || has("X11") { "linux" } else { "other" }
}

fn kind(has: &impl Fn(&str) -> bool, os: &str) -> &'static str {
    if has("SMART-TV") || has("SmartTV") || has("Smart TV") || has("AppleTV") || has("BRAVIA") || has("AFT") {
        return "tv";
    }
    match os {
        "webos" => "tv",
        "tizen" => {
            if has("Mobile") {
                "mobile"
            } else {
                "tv"
            }
        }
        // Telephones say `Mobile`, tablets do not.
        "android" => {
            if has("Mobile") && !has("Tablet") {
                "mobile"
            } else {
                "tablet"
            }
        }
        "ios" => {
            if has("iPad") {
                "tablet"
            } else {
                "mobile"
            }
        }
        "windows" => {
            if has("Windows Phone") {
                "mobile"
            } else {
                "desktop"
            }
        }
        "macos" | "linux" | "chromeos" => "desktop",
        _ => {
            if has("Mobile") {
                "mobile"
            } else {
                "other"
            }
        }
    }
}

fn browser(has: &impl Fn(&str) -> bool, os: &str) -> &'static str {
    // Everybody claims to be Safari, and most to be Chrome: whoever says more is asked first.
    const FAMILIES: &[(&str, &str)] = &[
        ("Instagram", "instagram"),
        ("FBAN", "facebook"),
        ("FBAV", "facebook"),
        ("FB_IAB", "facebook"),
        ("musical_ly", "tiktok"),
        ("BytedanceWebview", "tiktok"),
        ("trill_", "tiktok"),
        ("Snapchat", "snapchat"),
        ("Pinterest", "pinterest"),
        ("LinkedInApp", "linkedin"),
        ("Edg", "edge"),
        ("OPR/", "opera"),
        ("OPT/", "opera"),
        ("Opera", "opera"),
        ("SamsungBrowser", "samsung"),
        ("YaBrowser", "yandex"),
        ("UCBrowser", "uc"),
        ("Firefox/", "firefox"),
        ("FxiOS", "firefox"),
        ("CriOS", "chrome"),
        ("; wv)", "webview"),
        ("Chrome/", "chrome"),
        ("Chromium", "chrome"),
        ("MSIE", "ie"),
        ("Trident/", "ie"),
    ];
    if let Some((_, family)) = FAMILIES.iter().find(|(word, _)| has(word)) {
        return family;
    }
    if has("Safari/") {
        return "safari";
    }
    // An app of this system that shows a page and names no browser.
    if os == "ios" && has("AppleWebKit") { "webview" } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENTS: &[(&str, [&str; 3])] = &[
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            ["desktop", "windows", "chrome"],
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
            ["desktop", "windows", "edge"],
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
            ["desktop", "macos", "safari"],
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
            ["mobile", "ios", "safari"],
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1",
            ["tablet", "ios", "chrome"],
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 [FBAN/FBIOS;FBAV/489.0]",
            ["mobile", "ios", "facebook"],
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
            ["mobile", "android", "chrome"],
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            ["tablet", "android", "chrome"],
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36",
            ["mobile", "android", "samsung"],
        ),
        (
            "Mozilla/5.0 (Linux; Android 12; CUBOT NOTE 30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile Safari/537.36",
            ["mobile", "android", "chrome"],
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            ["desktop", "linux", "firefox"],
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            ["desktop", "chromeos", "chrome"],
        ),
        (
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/4.0 Chrome/94.0 TV Safari/537.36",
            ["tv", "tizen", "samsung"],
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AD1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0 Mobile Safari/537.36 musical_ly_2023",
            ["mobile", "android", "tiktok"],
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            ["bot", "other", "other"],
        ),
        (
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            ["bot", "other", "other"],
        ),
        ("curl/8.9.1", ["bot", "other", "other"]),
        ("", ["", "", ""]),
        ("something else", ["other", "other", "other"]),
    ];

    #[test]
    fn devices_are_told_by_their_user_agents() {
        for (agent, [kind, os, browser]) in AGENTS {
            assert_eq!(Device::of(agent), Device { kind, os, browser }, "{agent}");
        }
    }

    #[test]
    fn every_word_that_is_said_is_a_known_one() {
        for (agent, _) in AGENTS.iter().filter(|(agent, _)| !agent.is_empty()) {
            let device = Device::of(agent);
            assert!(KINDS.contains(&device.kind) && SYSTEMS.contains(&device.os), "{agent}");
            assert!(BROWSERS.contains(&device.browser), "{agent}");
        }
    }

    #[test]
    fn programs_are_told_from_people() {
        for (agent, [kind, ..]) in AGENTS {
            assert_eq!(is_crawler(agent), *kind == "bot", "{agent}");
        }
        for agent in
            ["AdsBot-Google (+http://www.google.com/adsbot.html)", "python-requests/2.32", "Slackbot 1.0"]
        {
            assert!(is_crawler(agent), "{agent}");
        }
    }
}
