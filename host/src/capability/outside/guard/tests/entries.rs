//! Entries of the settings: their one form, and the corrections of wrong ones.

use super::{Destination, DestinationProblem, Destinations};

/// An entry, and the same as it is written back.
const FORMS: &[(&str, &str)] = &[
    ("api.example.com", "api.example.com"),
    ("API.Example.com.", "api.example.com"),
    ("api.example.com:8443", "api.example.com:8443"),
    ("api.example.com:08443", "api.example.com:8443"),
    ("https://api.example.com", "https://api.example.com"),
    ("HTTP://api.example.com:8080", "http://api.example.com:8080"),
    ("*.example.com", "*.example.com"),
    ("https://*.EXAMPLE.com.:8443", "https://*.example.com:8443"),
    ("*.internal", "*.internal"),
    ("*.localhost", "*.localhost"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("*.bücher.example", "*.xn--bcher-kva.example"),
    ("localhost:3000", "localhost:3000"),
    ("redis", "redis"),
    ("a_b.example.com", "a_b.example.com"),
    ("10.0.0.1", "10.0.0.1"),
    ("10.0.0.1/32", "10.0.0.1"),
    ("https://10.0.0.1:8443", "https://10.0.0.1:8443"),
    ("10.0.0.0/8", "10.0.0.0/8"),
    ("10.0.0.0/8:8443", "10.0.0.0/8:8443"),
    ("[2001:DB8:0::1]:80", "[2001:db8::1]:80"),
    ("[::1]", "[::1]"),
    ("fd00::/8", "[fd00::/8]"),
    ("[fd00::/8]", "[fd00::/8]"),
    ("https://[fd00::/8]:8443", "https://[fd00::/8]:8443"),
    ("[::1/128]:80", "[::1]:80"),
];

/// A wrong entry, the entry as the error shows it, and a part of the rule or its correction.
const WRONG: &[(&str, &str, &str)] = &[
    ("", "", "names a host"),
    ("https://", "https://", "names a host"),
    (":443", ":443", "names a host"),
    ("*", "*", "grants no host by itself"),
    ("https://*:443", "https://*:443", "grants no host by itself"),
    ("*.com", "*.com", "\"*.example.com\""),
    ("*.рф", "*.рф", "\"*.example.xn--p1ai\""),
    ("*example.com", "*example.com", "with the dot"),
    ("api.*.com", "api.*.com", "with the dot"),
    ("*.*.example.com", "*.*.example.com", "with the dot"),
    ("**.example.com", "**.example.com", "with the dot"),
    ("*.10.0.0.1", "*.10.0.0.1", "with the dot"),
    ("*.", "*.", "with the dot"),
    ("ftp://api.example.com", "…://api.example.com", "https or http"),
    ("*://api.example.com", "…://api.example.com", "https or http"),
    ("https://api.example.com/", "https://api.example.com…", "write \"https://api.example.com\""),
    ("api.example.com/v1", "api.example.com…", "write \"api.example.com\""),
    ("api.example.com:8443/v1", "api.example.com:8443…", "write \"api.example.com:8443\""),
    ("https://hooks.test/T0/s3cret", "https://hooks.test…", "write \"https://hooks.test\""),
    ("https://hooks.test/123456", "https://hooks.test…", "write \"https://hooks.test\""),
    ("api.example.com?key=s3cret", "api.example.com…", "write \"api.example.com\""),
    ("api.example.com#s3cret", "api.example.com…", "write \"api.example.com\""),
    ("api.example.com\\s3cret", "api.example.com…", "write \"api.example.com\""),
    ("http://10.0.0.1/s3cret", "http://10.0.0.1…", "write \"http://10.0.0.1\""),
    ("http://[::1]:80/s3cret", "http://[::1]:80…", "write \"http://[::1]:80\""),
    ("https://user:s3cret@api.example.com", "https://…", "no user name"),
    ("user:s3cret@api.example.com", "…", "no user name"),
    ("redis://:s3cret@cache", "…://…", "no user name"),
    ("api.example.com:0", "api.example.com:0", "write one such as \"api.example.com:8443\""),
    ("api.example.com:65536", "api.example.com:65536", "from 1 to 65535"),
    ("api.example.com:", "api.example.com:", "from 1 to 65535"),
    ("api.example.com:+80", "api.example.com:+80", "from 1 to 65535"),
    ("api.example.com:80-90", "api.example.com:80-90", "from 1 to 65535"),
    ("api.example.com:*", "api.example.com:*", "from 1 to 65535"),
    ("[::1]:http", "[::1]:http", "write one such as \"[::1]:8443\""),
    ("10.0.0.0/8:0", "10.0.0.0/8:0", "write one such as \"10.0.0.0/8:8443\""),
    (" api.example.com", " api.example.com", "' ' cannot stand"),
    ("api.example.com\n", "api.example.com\n", "'\\n' cannot stand"),
    ("%61pi.example.com", "%61pi.example.com", "'%' cannot stand"),
    ("[fe80::1%eth0]", "[fe80::1%eth0]", "'%' cannot stand"),
    ("api..example.com", "api..example.com", "not a valid name"),
    (".example.com", ".example.com", "not a valid name"),
    ("{a,b}.example.com", "{a,b}.example.com", "not a valid name"),
    ("api.example.com..", "api.example.com..", "not a valid name"),
    ("1.2.3.4.5", "1.2.3.4.5", "not a valid name"),
    ("256.1.1.1", "256.1.1.1", "not a valid name"),
    ("[api.example.com]", "[api.example.com]", "not a valid name"),
    ("[::1", "[::1", "not a valid name"),
    ("127.1", "127.1", "write \"127.0.0.1\""),
    ("https://0x7f000001:8443", "https://0x7f000001:8443", "write \"https://127.0.0.1:8443\""),
    ("2130706433", "2130706433", "write \"127.0.0.1\""),
    ("010.0.0.1", "010.0.0.1", "write \"8.0.0.1\""),
    ("10.0.0.1.", "10.0.0.1.", "write \"10.0.0.1\""),
    ("[10.0.0.1]:80", "[10.0.0.1]:80", "write \"10.0.0.1:80\""),
    ("::1", "::1", "write \"[::1]\""),
    ("https://2001:db8::1", "https://2001:db8::1", "write \"https://[2001:db8::1]\""),
    ("fd00::/8:8443", "fd00::/8:8443", "write \"[fd00::/8]:8443\""),
    ("[fd00::]/8", "[fd00::]/8", "write \"[fd00::/8]\""),
    ("https://[fd00::]/8:8443", "https://[fd00::]/8:8443", "write \"https://[fd00::/8]:8443\""),
    ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", "write \"10.0.0.1:80\""),
    ("::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104", "write \"10.0.0.0/8\""),
    ("10.0.0.1/8", "10.0.0.1/8", "write \"10.0.0.0/8\""),
    ("https://10.0.0.1/8:8443", "https://10.0.0.1/8:8443", "write \"https://10.0.0.0/8:8443\""),
    ("[fd00::1/8]:80", "[fd00::1/8]:80", "write \"[fd00::/8]:80\""),
    ("10.0.0.0/33", "10.0.0.0/33", "write \"10.0.0.0\""),
    ("0.0.0.0/0", "0.0.0.0/0", "at least 8 bits"),
    ("128.0.0.0/1", "128.0.0.0/1", "at least 8 bits"),
    ("::/0", "::/0", "7 for IPv6"),
    ("::ffff:0:0/96", "::ffff:0:0/96", "at least 8 bits"),
    ("[2000::/3]", "[2000::/3]", "7 for IPv6"),
];

#[test]
fn an_entry_has_one_form() {
    for &(entry, form) in FORMS {
        let destination: Destination = entry.parse().unwrap();
        assert_eq!(destination.to_string(), form, "{entry}");
        assert_eq!(form.parse(), Ok(destination), "{form}");
    }
}

#[test]
fn a_wrong_entry_is_named_with_the_rule_and_a_correction_and_without_secrets() {
    for &(entry, shown, rule) in WRONG {
        let error = entry.parse::<Destination>().unwrap_err();
        let text = error.to_string();
        assert_eq!(error.entry, shown, "{entry}");
        assert!(text.contains(rule), "{entry}: {text}");
        assert!(text.starts_with(&format!("{shown:?}: ")), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_correction_is_a_valid_entry() {
    for &(entry, _, _) in WRONG {
        let error = entry.parse::<Destination>().unwrap_err();
        let correction = match error.problem {
            DestinationProblem::Path(text)
            | DestinationProblem::Spelling(text)
            | DestinationProblem::HostBits(text) => text,
            DestinationProblem::Port(host) => format!("{host}:8443"),
            DestinationProblem::TopLevel(suffix) => format!("*.example{suffix}"),
            _ => continue,
        };
        assert!(correction.parse::<Destination>().is_ok(), "{entry}: {correction}");
    }
}

#[test]
fn a_long_entry_is_cut_in_its_error() {
    let error = format!("{}..", "a".repeat(500)).parse::<Destination>().unwrap_err();
    assert_eq!(error.entry.chars().count(), 101);
}

#[test]
fn a_list_of_settings_is_read_and_written_back() {
    let read = |text: &str| serde_json::from_str::<Destinations>(text);
    let destinations = read(r#"["API.example.com", "fd00::/8", "api.example.com."]"#).unwrap();
    assert_eq!(destinations.iter().count(), 2);
    let written = serde_json::to_string(&destinations).unwrap();
    assert_eq!(written, r#"["api.example.com","[fd00::/8]"]"#);
    assert!(read("[]").unwrap().is_empty());
    let error = read(r#"["api.example.com", "*"]"#).unwrap_err().to_string();
    assert!(error.contains("\"*\": `*` grants no host by itself"), "{error}");
}
