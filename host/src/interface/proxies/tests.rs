//! Whom to believe, and what.

use super::*;

const PROXY: &str = "10.0.0.1:4711";
const STRANGER: &str = "192.0.2.66:4711";

fn peer(address: &str) -> Peer {
    let client = address.parse().unwrap();
    Peer::new(Some((client, "10.0.0.9:80".parse().unwrap())))
}

fn config(forwarding: Forwarding) -> ProxyConfig {
    let trusted = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    ProxyConfig { trusted, forwarding, ..ProxyConfig::default() }
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |&(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    fields.iter().map(field).collect()
}

#[test]
fn the_client_is_the_first_address_from_the_right_that_is_no_trusted_proxy() {
    for (value, client) in [
        ("192.0.2.1", "192.0.2.1:0"),
        ("192.0.2.1:99", "192.0.2.1:99"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1:0"),
        ("6.6.6.6, 192.0.2.1, 10.1.1.1,10.2.2.2", "192.0.2.1:0"),
        ("10.3.3.3, 10.1.1.1", "10.3.3.3:0"),
        ("2001:4860::1, 2001:db8::5", "[2001:4860::1]:0"),
        ("[2001:4860::1]:7", "[2001:4860::1]:7"),
        ("192.0.2.1, nonsense", PROXY),
        ("192.0.2.1, unknown, 10.1.1.1", PROXY),
        ("", PROXY),
    ] {
        let mut headers = headers(&[("x-forwarded-for", value)]);
        let (origin, _) = config(Forwarding::XForwarded).hear(&peer(PROXY), &mut headers);
        assert_eq!(origin.client, client.parse().unwrap(), "{value:?}");
    }
}

#[test]
fn what_a_stranger_says_is_taken_off_and_told() {
    let mut all = headers(&[
        ("x-forwarded-for", "10.0.0.5"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "bank.example"),
        ("x-forwarded-prefix", "/admin"),
        ("forwarded", "for=10.0.0.5"),
        ("x-request-id", "0123456789abcdef0123456789abcdef"),
        ("x-real-ip", "10.0.0.5"),
        ("host", "example.com"),
    ]);
    let (origin, ignored) = config(Forwarding::XForwarded).hear(&peer(STRANGER), &mut all);
    assert!(ignored);
    assert_eq!(origin.client, STRANGER.parse().unwrap());
    assert!(!origin.secure && origin.prefix.is_empty() && origin.request_id.is_none());
    let left: Vec<_> = all.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["host"]);
    assert!(!config(Forwarding::XForwarded).hear(&peer(STRANGER), &mut all).1);
}

#[test]
fn a_trusted_proxy_says_scheme_host_prefix_and_id() {
    let id = "0123456789abcdef0123456789abcdef";
    let mut said = headers(&[
        ("x-forwarded-for", "192.0.2.1, 10.1.1.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-prefix", "/shop/"),
        ("x-request-id", id),
        ("host", "10.0.0.9"),
        ("forwarded", "for=6.6.6.6"),
    ]);
    let (origin, _) = config(Forwarding::XForwarded).hear(&peer(PROXY), &mut said);
    assert!(origin.secure && origin.proxied);
    assert_eq!(origin.prefix, "/shop");
    assert_eq!(origin.request_id.unwrap().to_string(), id);
    assert_eq!(said.get("host").unwrap(), "shop.example");
    assert!(said.get("forwarded").is_none(), "the other kind is the client's");
}

#[test]
fn forwarded_of_rfc_7239_is_heard_where_it_is_chosen() {
    let value = "for=6.6.6.6, for=\"[2001:4860::1]:9\";proto=https;host=shop.example, for=10.1.1.1";
    let mut said = headers(&[("forwarded", value), ("x-forwarded-for", "6.6.6.6")]);
    let (origin, _) = config(Forwarding::Forwarded).hear(&peer(PROXY), &mut said);
    assert_eq!(origin.client, "[2001:4860::1]:9".parse().unwrap());
    assert!(origin.secure);
    assert_eq!(said.get("host").unwrap(), "shop.example");
    assert!(said.get("x-forwarded-for").is_none());
}

#[test]
fn a_mapped_address_is_the_address_that_it_maps() {
    let mapped = peer("[::ffff:10.0.0.1]:1");
    assert!(config(Forwarding::XForwarded).trusts(&mapped));
    assert!(!config(Forwarding::XForwarded).trusts(&Peer::new(None)), "unless local ones are");
}
