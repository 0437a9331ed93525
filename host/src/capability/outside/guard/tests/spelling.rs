//! Random spellings of addresses and URLs, after the rules of the WHATWG standard.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Random bytes that decide the spelling. Zeros, and the end of the bytes, choose the plain one.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    bytes: Vec<u8>,
    at: usize,
}

impl Choices {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns a number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(byte) % limit
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// Returns each letter in any case.
    fn any_case(&mut self, text: &str) -> String {
        let one = |char: char| if self.below(2) == 1 { char.to_ascii_uppercase() } else { char };
        text.chars().map(one).collect()
    }
}

/// Spells a URL of `http` with port 80 for a host in its final spelling.
pub(super) fn url(host: &str, choices: &mut Choices) -> String {
    let scheme = choices.any_case("http");
    let slashes = choices.pick(&["//", "", "/", "///", "\\\\", "\\/", "//@", "//:@", "/\t/"]);
    let port = choices.pick(&["", ":80", ":", ":0080"]);
    let path = choices.pick(&["/", "", "/path", "?query", "#part", "\\a"]);
    with_breaks(&format!("{scheme}:{slashes}{host}{port}{path}"), choices)
}

/// Puts tabs and line ends into a URL, which a parser takes out.
fn with_breaks(url: &str, choices: &mut Choices) -> String {
    let mut spelled = String::new();
    for char in url.chars() {
        spelled.push(char);
        spelled.push_str(choices.pick(&["", "", "", "", "", "", "", "", "", "\t", "\n", "\r"]));
    }
    spelled
}

/// Spells an IPv4 address: one to four numbers, each in any base, of any characters that mean digits.
pub(super) fn ipv4(address: Ipv4Addr, choices: &mut Choices) -> String {
    let numbers = 4 - choices.below(4);
    let value = u32::from(address);
    let mut parts: Vec<u32> = address.octets().map(u32::from).to_vec();
    parts.truncate(numbers - 1);
    let rest_bits = 8 * (5 - numbers);
    parts.push(if rest_bits == 32 { value } else { value & ((1 << rest_bits) - 1) });
    let mut spelled = String::new();
    for (position, part) in parts.into_iter().enumerate() {
        if position > 0 {
            spelled.push_str(dot(choices));
        }
        spelled.push_str(&number(part, choices));
    }
    spelled + choices.pick(&["", "", ".", "。", "%2e"])
}

fn dot(choices: &mut Choices) -> &'static str {
    choices.pick(&[".", ".", ".", "。", "．", "｡", "%2e", "%2E", "%EF%BC%8E"])
}

fn number(value: u32, choices: &mut Choices) -> String {
    let zeros = "0".repeat(choices.below(4));
    let text = match choices.below(3) {
        0 => value.to_string(),
        1 => choices.any_case(&format!("0x{zeros}{value:x}")),
        _ => format!("0{zeros}{value:o}"),
    };
    text.chars().map(|char| digit(char, choices)).collect()
}

/// Spells a character of a number as itself, encoded, or in its full-width form.
fn digit(char: char, choices: &mut Choices) -> String {
    let full_width = char::from_u32(u32::from(char) + 0xfee0).unwrap();
    match choices.below(12) {
        9 => format!("%{:02x}", u32::from(char)),
        10 => full_width.to_string(),
        11 => full_width.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect(),
        _ => char.to_string(),
    }
}

/// Spells an IPv6 address in brackets: with leading zeros, in any case, compressed anywhere, with an end
/// in dots.
pub(super) fn ipv6(address: Ipv6Addr, choices: &mut Choices) -> String {
    let segments = address.segments();
    let dotted = choices.below(2) == 1;
    let hexadecimal = if dotted { &segments[..6] } else { &segments[..] };
    let mut parts: Vec<String> = hexadecimal
        .iter()
        .map(|segment| {
            let digits = format!("{segment:x}");
            let zeros = "0".repeat(choices.below(5 - digits.len()));
            choices.any_case(&format!("{zeros}{digits}"))
        })
        .collect();
    if dotted {
        let [.., a, b, c, d] = address.octets();
        parts.push(Ipv4Addr::new(a, b, c, d).to_string());
    }
    let zeros: Vec<usize> = (0..hexadecimal.len()).filter(|&at| hexadecimal[at] == 0).collect();
    if zeros.is_empty() || choices.below(4) == 3 {
        return format!("[{}]", parts.join(":"));
    }
    let start = zeros[choices.below(zeros.len())];
    let run = hexadecimal[start..].iter().take_while(|&&segment| segment == 0).count();
    let end = start + run - choices.below(run);
    format!("[{}::{}]", parts[..start].join(":"), parts[end..].join(":"))
}
