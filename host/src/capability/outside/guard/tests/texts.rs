//! Texts of refusals: the line of the settings, and no secrets.

use super::{Refusal, address, granted};

/// A URL and grants that refuse it, with the whole text.
const TEXTS: &[(&str, &[&str], &str)] = &[
    (
        "https://api.example.com/a?b",
        &[],
        "no entry of the grants names the host of \"https://api.example.com\"; add \
         \"https://api.example.com\" to [modules.NAME.grants] http",
    ),
    (
        "http://api.example.com/",
        &["https://api.example.com"],
        "the grants name the host of \"http://api.example.com\" with the other scheme only; add \
         \"http://api.example.com\" to [modules.NAME.grants] http",
    ),
    (
        "https://api.example.com:8443/",
        &["api.example.com"],
        "the grants name the host of \"https://api.example.com:8443\" without port 8443: an entry \
         without a port has 443 for https and 80 for http; add \"https://api.example.com:8443\" to \
         [modules.NAME.grants] http",
    ),
    (
        "http://[64:ff9b::a00:1]/",
        &[],
        "64:ff9b::a00:1 is refused for \"http://[64:ff9b::a00:1]\": 10.0.0.1 is private (RFC 1918), and \
         no entry of the grants names it; add \"http://[64:ff9b::a00:1]\" and \"http://10.0.0.1\" to \
         [modules.NAME.grants] http",
    ),
    (
        "https://u:p@api.example.com/",
        &[],
        "the URL for \"https://api.example.com\" has a user name or a password; take them out, and send \
         them in the header field `authorization`",
    ),
    (
        "ftp://api.example.com/",
        &[],
        "the scheme of the URL is neither https nor http; write \"https://\" before the host",
    ),
    (
        "api.example.com",
        &[],
        "the URL is not valid: relative URL without a base; write it as \"https://api.example.com/path\"",
    ),
];

#[test]
fn a_refusal_says_the_line_of_the_settings() {
    for &(url, entries, text) in TEXTS {
        assert_eq!(granted(entries).check(url).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_refused_address_of_a_name_is_told_with_its_range() {
    let destinations = granted(&["app.example.com:8443"]);
    let target = destinations.check("https://app.example.com:8443/s3cret").unwrap();
    let addresses = ["10.0.0.5", "127.0.0.1"].map(address);
    let refusal = destinations.check_addresses(&target, addresses.into_iter()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "10.0.0.5 is refused for \"https://app.example.com:8443\": 10.0.0.5 is private (RFC 1918), and no \
         entry of the grants names it; add \"https://10.0.0.5:8443\" to [modules.NAME.grants] http"
    );
    assert_eq!(refusal.missing_entries(), ["https://10.0.0.5:8443"]);
}

#[test]
fn no_text_shows_path_query_or_credentials() {
    let destinations = granted(&["api.example.com", "10.0.0.1"]);
    let starts = [
        "https://s3cret:s3cret@api.example.com",
        "https://s3cret@evil.test",
        "https://evil.test",
        "https://api.example.com:8443",
        "https://api.example.com:0",
        "https://127.0.0.1",
        "https://[::1]",
        "ftp://s3cret@api.example.com",
        "s3cret:s3cret@api.example.com",
        "s3cret:",
        "s3cret://s3cret",
        "https://a..b",
        "https://s3cret:s3cret@",
        "https://s3cret@[::1",
        "https://s3cret@api.example.com:99999",
        "https://api.exam ple.com",
        "",
    ];
    let ends = ["/s3cret", "?s3cret", "#s3cret", "/a?s3cret=s3cret#s3cret", "\\s3cret"];
    for url in starts.iter().flat_map(|start| ends.map(|end| format!("{start}{end}"))) {
        let refusal = destinations.check(&url).unwrap_err();
        let shown = format!("{refusal} {refusal:?} {:?}", refusal.missing_entries());
        assert!(!shown.contains("s3cret"), "{url}: {shown}");
    }
    let target = destinations.check("https://api.example.com/s3cret?s3cret").unwrap();
    assert!(!format!("{target:?}").contains("s3cret"));
    let addresses = [address("10.0.0.2")];
    let refusal = destinations.check_addresses(&target, addresses.into_iter()).unwrap_err();
    assert!(!format!("{refusal} {refusal:?}").contains("s3cret"));
}

#[test]
fn a_refusal_without_a_remedy_names_no_entry() {
    let destinations = granted(&["api.example.com"]);
    for url in ["", "ftp://a.test", "https://u@api.example.com", "https://api.example.com:0"] {
        let refusal = destinations.check(url).unwrap_err();
        assert!(refusal.missing_entries().is_empty(), "{url}");
        assert!(!refusal.to_string().contains("[modules.NAME.grants]"), "{url}: {refusal}");
    }
    let target = destinations.check("https://api.example.com").unwrap();
    let refusal = destinations.check_addresses(&target, std::iter::empty()).unwrap_err();
    assert_eq!(refusal, Refusal::NoAddress { origin: target.origin().clone() });
}
