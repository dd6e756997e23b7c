//! Hosts that no outbound call may reach, in every spelling that some parser somewhere understands.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// Addresses of this machine, of private networks and of clouds' own services.
const FORBIDDEN: [[u8; 4]; 16] = [
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [10, 255, 255, 255],
    [172, 16, 0, 1],
    [172, 31, 255, 255],
    [192, 168, 0, 1],
    [169, 254, 169, 254],
    [100, 64, 0, 1],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
    [198, 18, 0, 1],
    [203, 0, 113, 7],
    [224, 0, 0, 251],
    [255, 255, 255, 255],
];

/// At least 500 hosts, each as it would stand in a URL.
#[must_use]
pub fn forbidden_hosts() -> Vec<String> {
    let mut hosts: Vec<String> = FORBIDDEN.into_iter().flat_map(of_v4).collect();
    for host in [
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:0:127.0.0.1]",
        "[fe80::1]",
        "[febf::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        "[2001:0:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[3fff::1]",
        "[5f00::1]",
        "[64:ff9b:1::7f00:1]",
        "[4000::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "loc%61lhost",
        "\u{ff4c}ocalhost",
    ] {
        hosts.push(host.to_owned());
    }
    hosts
}

fn of_v4(bytes: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = bytes;
    let number = u32::from_be_bytes(bytes);
    let (low16, low24) = (number & 0xffff, number & 0xff_ffff);
    let dotted = Ipv4Addr::from(bytes).to_string();
    let (high, low) = (number >> 16, low16);
    let mut all = vec![
        dotted.clone(),
        format!("{dotted}."),
        number.to_string(),
        format!("{number:#x}"),
        format!("{number:#X}"),
        format!("0{number:o}"),
        format!("0x00000000{number:08x}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0x{a:02X}.0x{b:02X}.0x{c:02X}.0x{d:02X}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.000{b:o}.000{c:o}.000{d:o}"),
        format!("{a}.{low24}"),
        format!("{a}.{b}.{low16}"),
        format!("{a:#x}.{low24:#x}"),
        format!("0{a:o}.{b}.{c:#x}.{d}"),
        format!("{a:#x}.{b}.0{low16:o}"),
        percent(&dotted),
        wide(&dotted),
        circled_dots(&dotted),
        format!("[::ffff:{dotted}]"),
        format!("[::FFFF:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[::ffff:0:{high:x}:{low:x}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2606:4700::5efe:{high:x}:{low:x}]"),
        format!("[2606:4700::200:5efe:{high:x}:{low:x}]"),
        format!("[2001:0:{high:x}:{low:x}::]"),
    ];
    // The form that nobody uses any more, of which the first is the unspecified address.
    all.push(format!("[::{high:x}:{low:x}]"));
    all.push(format!("[::{dotted}]"));
    all
}

/// Every character as its percent code.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02x}").expect("writing to a String cannot fail");
        out
    })
}

/// Full-width digits, which a browser reads as digits.
fn wide(text: &str) -> String {
    text.chars()
        .map(|c| c.to_digit(10).and_then(|digit| char::from_u32(0xff10 + digit)).unwrap_or(c))
        .collect()
}

/// The ideographic full stop between the numbers.
fn circled_dots(text: &str) -> String {
    text.replace('.', "\u{3002}")
}
