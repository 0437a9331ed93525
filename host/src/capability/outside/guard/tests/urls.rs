//! URLs in every spelling, and the grants that allow or refuse them.

use super::granted;

/// A URL, the entries of the grants, and the URL that is called or the reason of the refusal.
type Row = (&'static str, &'static [&'static str], Result<&'static str, &'static str>);

const API: &[&str] = &["api.example.com"];
const WILD: &[&str] = &["*.example.org"];
const NONE: &[&str] = &[];

const NAMES: &[Row] = &[
    ("https://api.example.com/a?b=c", API, Ok("https://api.example.com/a?b=c")),
    ("http://api.example.com/", API, Ok("http://api.example.com/")),
    ("https://api.example.com", API, Ok("https://api.example.com/")),
    ("https://api.example.com", NONE, Err("host")),
    ("https://api.example.com/#part", API, Ok("https://api.example.com/")),
    ("https://API.Example.COM/", API, Ok("https://api.example.com/")),
    ("HTTPS://api.example.com/", API, Ok("https://api.example.com/")),
    ("https://api.example.com./", API, Ok("https://api.example.com/")),
    ("https://api.example.com./", &["api.example.com."], Ok("https://api.example.com/")),
    ("https://api.example.com/", &["API.example.com."], Ok("https://api.example.com/")),
    ("https://api.example.com../", API, Err("url")),
    ("https://.api.example.com/", API, Err("url")),
    ("https://api..example.com/", API, Err("url")),
    ("https://./", API, Err("url")),
    ("https://../", API, Err("url")),
    ("https://example.com/", API, Err("host")),
    ("https://www.api.example.com/", API, Err("host")),
    ("https://evilapi.example.com/", API, Err("host")),
    ("https://api.example.com.evil.test/", API, Err("host")),
    ("https://api.example.co/", API, Err("host")),
    ("https://api_example.com/", API, Err("host")),
    ("https://a_b.example.org/", WILD, Ok("https://a_b.example.org/")),
    ("https://x.example.org/", WILD, Ok("https://x.example.org/")),
    ("https://x.y.example.org/", WILD, Ok("https://x.y.example.org/")),
    ("https://X.EXAMPLE.org./", WILD, Ok("https://x.example.org/")),
    ("https://example.org/", WILD, Err("host")),
    ("https://.example.org/", WILD, Err("url")),
    ("https://evilexample.org/", WILD, Err("host")),
    ("https://x.example.org.evil.test/", WILD, Err("host")),
    ("https://*.example.org/", WILD, Err("url")),
    ("https://%2A.example.org/", WILD, Err("url")),
    ("https://example.org/", &["example.org", "*.example.org"], Ok("https://example.org/")),
    ("https://db.internal/", &["*.internal"], Ok("https://db.internal/")),
    ("https://redis/", &["redis"], Ok("https://redis/")),
    ("https://bücher.example/", &["bücher.example"], Ok("https://xn--bcher-kva.example/")),
    ("https://xn--bcher-kva.example/", &["BÜCHER.example"], Ok("https://xn--bcher-kva.example/")),
    ("https://bu\u{308}cher.example/", &["bücher.example"], Ok("https://xn--bcher-kva.example/")),
    (
        "https://shop.bücher.example/",
        &["*.bücher.example"],
        Ok("https://shop.xn--bcher-kva.example/"),
    ),
    ("https://bucher.example/", &["bücher.example"], Err("host")),
    ("https://\u{430}pi.example.com/", API, Err("host")),
    ("https://xn--a/", API, Err("url")),
    ("https://xn--/", API, Err("url")),
    ("https://ａｐｉ.example.com/", API, Ok("https://api.example.com/")),
    ("https://api。example。com/", API, Ok("https://api.example.com/")),
    ("https://api．example｡com/", API, Ok("https://api.example.com/")),
    ("https://api\u{ad}.example.com/", API, Ok("https://api.example.com/")),
    ("https://api.e\u{200b}xample.com/", API, Ok("https://api.example.com/")),
    ("https://ⓐⓟⓘ.example.com/", API, Ok("https://api.example.com/")),
    ("https://api.example.com\u{2044}evil.test/", API, Err("host")),
    ("https://api.example.com\u{ff0f}evil.test/", API, Err("url")),
    ("https://api.example.com\u{ff03}.evil.test/", API, Err("url")),
    ("https://api.example.com\u{2100}.evil.test/", API, Err("url")),
    ("https://%61pi.example.com/", API, Ok("https://api.example.com/")),
    ("https://api%2eexample%2Ecom/", API, Ok("https://api.example.com/")),
    ("https://api.example.com%00.evil.test/", API, Err("url")),
    ("https://api.example.com%2f.evil.test/", API, Err("url")),
    ("https://api.example.com%23.evil.test/", API, Err("url")),
    ("https://api.example.com%40evil.test/", API, Err("url")),
    ("https://api.example.com%20/", API, Err("url")),
    ("https://api.example.com%5c.evil.test/", API, Err("url")),
    ("https://api.exa mple.com/", API, Err("url")),
    ("https://api.example.com!/", &["*.example.com"], Err("url")),
    ("https://a$b.example.org/", WILD, Err("url")),
];

const SYNTAX: &[Row] = &[
    ("", API, Err("url")),
    ("/path", API, Err("url")),
    ("//api.example.com/", API, Err("url")),
    ("api.example.com", API, Err("url")),
    ("api.example.com/path", API, Err("url")),
    ("api.example.com:443", API, Err("scheme")),
    ("https://", API, Err("url")),
    ("https:///", API, Err("url")),
    ("https://:443/", API, Err("url")),
    ("https://?query", API, Err("url")),
    ("https://@/", API, Err("url")),
    ("https:api.example.com", API, Ok("https://api.example.com/")),
    ("https:/api.example.com", API, Ok("https://api.example.com/")),
    ("https:////api.example.com", API, Ok("https://api.example.com/")),
    ("https:\\\\api.example.com\\a", API, Ok("https://api.example.com/a")),
    ("https://api.example.com\\.evil.test/", API, Ok("https://api.example.com/.evil.test/")),
    ("https://evil.test\\@api.example.com/", API, Err("host")),
    ("https://evil.test\\.api.example.com/", API, Err("host")),
    ("https://evil.test/@api.example.com/", API, Err("host")),
    ("https://evil.test?@api.example.com/", API, Err("host")),
    ("https://evil.test#@api.example.com/", API, Err("host")),
    ("https://api.example.com?@evil.test/", API, Ok("https://api.example.com/?@evil.test/")),
    ("https://api.example.com#@evil.test/", API, Ok("https://api.example.com/")),
    ("  https://api.example.com/\n", API, Ok("https://api.example.com/")),
    ("\u{0}https://api.example.com/", API, Ok("https://api.example.com/")),
    ("ht\ttps://api.example.com/", API, Ok("https://api.example.com/")),
    ("https://api.exa\tmple.com/", API, Ok("https://api.example.com/")),
    ("https://api.example.com\r\n/", API, Ok("https://api.example.com/")),
    ("https://api.example.com\n.evil.test/", API, Err("host")),
    ("https://evil\n.test/", API, Err("host")),
    ("https:/\n/evil.test/", API, Err("host")),
    ("\u{a0}https://api.example.com/", API, Err("url")),
    ("ftp://api.example.com/", API, Err("scheme")),
    ("file:///etc/passwd", API, Err("scheme")),
    ("file://api.example.com/etc/passwd", API, Err("scheme")),
    ("gopher://api.example.com:6379/_flushall", API, Err("scheme")),
    ("ws://api.example.com/", API, Err("scheme")),
    ("wss://api.example.com/", API, Err("scheme")),
    ("data:text/plain,hello", API, Err("scheme")),
    ("javascript:alert(1)", API, Err("scheme")),
    ("blob:https://api.example.com/1", API, Err("scheme")),
    ("view-source:https://api.example.com/", API, Err("scheme")),
    ("unix:///run/docker.sock", API, Err("scheme")),
    ("httpss://api.example.com/", API, Err("scheme")),
];

const CREDENTIALS: &[Row] = &[
    ("https://user@api.example.com/", API, Err("credentials")),
    ("https://user:word@api.example.com/", API, Err("credentials")),
    ("https://:word@api.example.com/", API, Err("credentials")),
    ("https://api.example.com@evil.test/", API, Err("credentials")),
    ("https://api.example.com:443@evil.test/", API, Err("credentials")),
    ("https://evil.test@api.example.com/", API, Err("credentials")),
    ("https://a@b@api.example.com/", API, Err("credentials")),
    ("https://api.example.com%2f@evil.test/", API, Err("credentials")),
    ("https://%00@api.example.com/", API, Err("credentials")),
    ("https:user@api.example.com/", API, Err("credentials")),
    // Nothing stands before the `@`: no credentials, and the host behind it counts.
    ("https://@api.example.com/", API, Ok("https://api.example.com/")),
    ("https://:@api.example.com/", API, Ok("https://api.example.com/")),
    ("https://@evil.test/", API, Err("host")),
];

const PORTS: &[Row] = &[
    ("https://api.example.com:443/", API, Ok("https://api.example.com/")),
    ("https://api.example.com:0443/", API, Ok("https://api.example.com/")),
    ("http://api.example.com:80/", API, Ok("http://api.example.com/")),
    ("https://api.example.com:/", API, Ok("https://api.example.com/")),
    ("https://api.example.com:80/", API, Err("port")),
    ("http://api.example.com:443/", API, Err("port")),
    ("https://api.example.com:8443/", API, Err("port")),
    ("https://api.example.com:0/", API, Err("port")),
    ("https://api.example.com:65535/", API, Err("port")),
    ("https://api.example.com:65536/", API, Err("url")),
    ("https://api.example.com:-1/", API, Err("url")),
    ("https://api.example.com:４４３/", API, Err("url")),
    ("https://api.example.com:443:443/", API, Err("url")),
    ("https://h.test:8443/", &["h.test:8443"], Ok("https://h.test:8443/")),
    ("http://h.test:8443/", &["h.test:8443"], Ok("http://h.test:8443/")),
    ("https://h.test/", &["h.test:8443"], Err("port")),
    ("https://h.test/", &["h.test:443"], Ok("https://h.test/")),
    ("http://h.test/", &["h.test:443"], Err("port")),
    ("https://h.test/", &["https://h.test"], Ok("https://h.test/")),
    ("http://h.test/", &["https://h.test"], Err("scheme")),
    ("http://h.test:443/", &["https://h.test"], Err("scheme")),
    ("https://h.test/", &["http://h.test"], Err("scheme")),
    ("https://h.test:8443/", &["https://h.test:8443"], Ok("https://h.test:8443/")),
    ("https://h.test:8080/", &["https://h.test", "http://h.test:8080"], Err("port")),
    ("http://h.test:8080/", &["https://h.test", "http://h.test:8080"], Ok("http://h.test:8080/")),
    (
        "https://x.example.org:8443/",
        &["https://*.example.org:8443"],
        Ok("https://x.example.org:8443/"),
    ),
    ("https://x.example.org/", &["https://*.example.org:8443"], Err("port")),
    ("https://h.test:8443/", &["h.test", "*.h.test:8443"], Err("port")),
    ("https://u@h.test:0/", &["h.test"], Err("credentials")),
];

const LOCAL: &[&str] = &["127.0.0.1"];
const TEN: &[&str] = &["10.0.0.0/8"];
const EIGHTS: &[&str] = &["8.8.8.8"];

const IPV4: &[Row] = &[
    ("http://127.0.0.1/", API, Err("address")),
    ("http://127.0.0.1/", NONE, Err("address")),
    ("http://127.0.0.1/", &["localhost"], Err("address")),
    ("http://127.0.0.1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://127.0.0.2/", LOCAL, Err("address")),
    ("http://127.1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://127.0.1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://2130706433/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://0x7f000001/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://0X7F.0x0.0X0.0x1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://017700000001/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://0177.0.0.01/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://0x7f.1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://127.0.0.1./", LOCAL, Ok("http://127.0.0.1/")),
    ("http://１２７.０.０.１/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://127。0．0｡1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://①②⑦.0.0.1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://%31%32%37.0.0.1/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://127.1/", API, Err("address")),
    ("http://2130706433/", API, Err("address")),
    ("http://0x7f000001/", API, Err("address")),
    ("http://017700000001/", API, Err("address")),
    ("http://0/", API, Err("address")),
    ("http://0x/", API, Err("address")),
    ("http://0.0.0.0/", LOCAL, Err("address")),
    ("http://１２７.１/", API, Err("address")),
    ("http://%31%32%37.1/", API, Err("address")),
    ("http://127.0.0.1../", API, Err("url")),
    ("http://127..0.1/", API, Err("url")),
    ("http://127.0.0.0.1/", API, Err("url")),
    ("http://256.0.0.1/", API, Err("url")),
    ("http://4294967296/", API, Err("url")),
    ("http://0x100000000/", API, Err("url")),
    ("http://08.0.0.1/", API, Err("url")),
    ("http://127.0.0.1.example.org/", WILD, Ok("http://127.0.0.1.example.org/")),
    ("http://example.org.127.0.0.1/", WILD, Err("url")),
    ("http://169.254.169.254/latest/meta-data/", API, Err("address")),
    ("http://0xa9fea9fe/", API, Err("address")),
    ("http://169.254.43518/", API, Err("address")),
    ("http://168.63.129.16/", API, Err("address")),
    ("http://10.1.2.3/", TEN, Ok("http://10.1.2.3/")),
    ("http://10.66051/", TEN, Ok("http://10.1.2.3/")),
    ("https://10.255.255.255/", TEN, Ok("https://10.255.255.255/")),
    ("http://11.0.0.1/", TEN, Err("host")),
    ("http://10.1.2.3:8080/", TEN, Err("port")),
    ("http://10.1.2.3:8080/", &["10.0.0.0/8:8080"], Ok("http://10.1.2.3:8080/")),
    ("http://10.1.2.3/", &["https://10.0.0.0/8"], Err("scheme")),
    ("http://8.8.8.8/", API, Err("host")),
    ("http://8.8.8.8/", EIGHTS, Ok("http://8.8.8.8/")),
    ("http://8.8.2056/", EIGHTS, Ok("http://8.8.8.8/")),
    ("http://user@127.0.0.1/", LOCAL, Err("credentials")),
    ("http://localhost/", LOCAL, Err("host")),
    ("http://localhost:3000/", &["localhost:3000"], Ok("http://localhost:3000/")),
    ("http://LOCALHOST.:3000/", &["localhost:3000"], Ok("http://localhost:3000/")),
    ("http://localhost/", &["localhost:3000"], Err("port")),
    ("http://app.localhost/", &["localhost"], Err("host")),
    ("http://app.localhost/", &["*.localhost"], Ok("http://app.localhost/")),
];

const ONE: &[&str] = &["[::1]:80"];

const IPV6: &[Row] = &[
    ("http://[::1]/", API, Err("address")),
    ("http://[::1]/", LOCAL, Err("address")),
    ("http://[::1]/", ONE, Ok("http://[::1]/")),
    ("http://[0:0:0:0:0:0:0:1]/", ONE, Ok("http://[::1]/")),
    ("http://[0000:0000:0000:0000:0000:0000:0000:0001]/", ONE, Ok("http://[::1]/")),
    ("http://[::0.0.0.1]/", ONE, Ok("http://[::1]/")),
    ("http://[0::0:1]/", ONE, Ok("http://[::1]/")),
    ("https://[::1]/", ONE, Err("port")),
    ("http://[::]/", ONE, Err("address")),
    ("http://[::ffff:127.0.0.1]/", API, Err("address")),
    ("http://[::ffff:7f00:1]/", API, Err("address")),
    ("http://[::FFFF:7F00:0001]/", API, Err("address")),
    ("http://[0:0:0:0:0:ffff:127.0.0.1]/", API, Err("address")),
    ("http://[::ffff:7f00:1]/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://[::ffff:127.0.0.1]:80/", LOCAL, Ok("http://127.0.0.1/")),
    ("http://[::ffff:a9fe:a9fe]/", API, Err("address")),
    ("http://[::ffff:169.254.169.254]/", &["169.254.169.254"], Ok("http://169.254.169.254/")),
    ("http://[::ffff:a9fe:a9fe]/", &["169.254.0.0/16"], Ok("http://169.254.169.254/")),
    ("http://[::ffff:a9fe:a9fe]/", &["[::/64]"], Err("address")),
    ("http://[::ffff:8.8.8.8]/", EIGHTS, Ok("http://8.8.8.8/")),
    ("http://[::ffff:8.8.8.8]/", API, Err("host")),
    ("http://[::127.0.0.1]/", LOCAL, Err("address")),
    ("http://[::7f00:1]/", &["[::/96]"], Err("address")),
    ("http://[::7f00:1]/", &["[::/96]", "127.0.0.1"], Ok("http://[::7f00:1]/")),
    ("http://[::8.8.8.8]/", &["8.8.8.8"], Err("address")),
    ("http://[::ffff:0:7f00:1]/", &["[::ffff:0:0:0/96]"], Err("address")),
    ("http://[64:ff9b::10.0.0.1]/", API, Err("address")),
    ("http://[64:ff9b::a00:1]/", TEN, Err("host")),
    ("http://[64:ff9b::a00:1]/", &["[64:ff9b::/96]"], Err("address")),
    ("http://[64:ff9b::a00:1]/", &["64:ff9b::/96", "10.0.0.0/8"], Ok("http://[64:ff9b::a00:1]/")),
    ("http://[64:ff9b::808:808]/", &["64:ff9b::/96"], Ok("http://[64:ff9b::808:808]/")),
    ("http://[64:ff9b::808:808]/", API, Err("host")),
    ("http://[64:ff9b:1::808:808]/", API, Err("address")),
    ("http://[2002:7f00:1::]/", API, Err("address")),
    ("http://[2002:7f00:1::1]/", &["2002::/16"], Err("address")),
    ("http://[2002:808:808::1]/", &["2002::/16"], Ok("http://[2002:808:808::1]/")),
    ("http://[2001:0:808:808:0:0:80ff:fffe]/", &["2001::/32"], Err("address")),
    ("http://[2001:0:7f00:1:0:0:f7f7:f7f7]/", &["2001::/32"], Err("address")),
    ("http://[2001:470:1::5efe:10.0.0.1]/", &["2001:470::/32"], Err("address")),
    ("http://[2001:470:1::200:5efe:a00:1]/", &["2001:470::/32"], Err("address")),
    ("http://[2001:db8::1]/", API, Err("address")),
    ("http://[2001:DB8:0::1]/", &["[2001:db8::1]"], Ok("http://[2001:db8::1]/")),
    ("http://[2001:db8::1]:80/", &["[2001:db8::1]:80"], Ok("http://[2001:db8::1]/")),
    ("http://[fd00:ec2::254]/", API, Err("address")),
    ("http://[fd12::1]/", &["[fd00::/8]:80"], Ok("http://[fd12::1]/")),
    ("http://[fe80::1]/", API, Err("address")),
    ("http://[fe80::1%25eth0]/", &["[fe80::1]"], Err("url")),
    ("http://[fe80::1%eth0]/", &["[fe80::1]"], Err("url")),
    ("http://[2606:4700::1111]/", API, Err("host")),
    ("http://[2606:4700::1111]/", &["2606:4700::/32"], Ok("http://[2606:4700::1111]/")),
    ("http://[::1/", ONE, Err("url")),
    ("http://::1/", ONE, Err("url")),
    ("http://[]/", ONE, Err("url")),
    ("http://[::1].example.org/", WILD, Err("url")),
    ("http://[::1%00]/", ONE, Err("url")),
    ("http://%5B::1%5D/", ONE, Err("url")),
    ("http://[1::2::3]/", ONE, Err("url")),
    ("http://[::g]/", ONE, Err("url")),
    ("http://[127.0.0.1]/", LOCAL, Err("url")),
    ("http://[::127.1]/", LOCAL, Err("url")),
    ("http://[::0x7f.0.0.1]/", LOCAL, Err("url")),
];

fn holds(rows: &[Row]) {
    let mut wrong = Vec::new();
    for &(url, entries, expected) in rows {
        let found = granted(entries).check(url);
        let found = found.as_ref().map(|target| target.url().as_str());
        let found = found.map_err(|refusal| refusal.reason().label());
        if found != expected {
            wrong.push(format!("{url:?} with {entries:?}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_is_allowed_in_every_spelling_of_a_granted_one_alone() {
    holds(NAMES);
}

#[test]
fn a_url_has_one_meaning_and_a_scheme_of_the_web() {
    holds(SYNTAX);
}

#[test]
fn a_url_with_credentials_is_refused() {
    holds(CREDENTIALS);
}

#[test]
fn a_port_is_allowed_where_it_is_granted_with_the_scheme() {
    holds(PORTS);
}

#[test]
fn an_ipv4_address_is_judged_by_its_value_in_every_spelling() {
    holds(IPV4);
}

#[test]
fn an_ipv6_address_is_judged_by_itself_and_the_ipv4_address_inside() {
    holds(IPV6);
}

#[test]
fn a_url_that_is_too_long_is_refused() {
    let url = |bytes: usize| format!("https://api.example.com/{}", "a".repeat(bytes - 24));
    assert!(granted(API).check(&url(8192)).is_ok());
    assert_eq!(granted(API).check(&url(8193)).unwrap_err().reason().label(), "url");
}

#[test]
fn a_name_has_labels_and_a_length_of_the_dns() {
    let label = "a".repeat(63);
    let fits = |host: &str| granted(WILD).check(&format!("https://{host}.example.org/")).is_ok();
    assert!(fits(&label));
    assert!(!fits(&format!("{label}a")));
    let long = [&*label, &label, &label, &"a".repeat(49)].join(".");
    assert_eq!(long.len() + ".example.org".len(), 253);
    assert!(fits(&long));
    assert!(!fits(&format!("{long}a")));
}

#[test]
fn a_target_has_the_parts_of_its_url() {
    let target = granted(&["localhost:3000"]).check("http://LocalHost.:3000/a").unwrap();
    assert_eq!(target.scheme(), super::Scheme::Http);
    assert_eq!(target.host(), &super::Host::Name("localhost".to_owned()));
    assert_eq!(target.port(), 3000);
    assert_eq!(target.origin().to_string(), "http://localhost:3000");
}
