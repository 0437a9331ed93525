//! Addresses of a granted name, and the entries that allow those that are not public.

use std::net::IpAddr;

use super::super::addresses::{SPECIAL, special};
use super::{address, granted};

/// Addresses that are refused without an entry, the source of the rule, and the entries that allow them.
const SPECIAL_ROWS: &[(&str, &str, &[&str])] = &[
    ("0.0.0.0", "RFC 791", &["0.0.0.0"]),
    ("0.255.255.255", "RFC 791", &["0.0.0.0/8"]),
    ("10.0.0.0", "RFC 1918", &["10.0.0.0/8"]),
    ("10.255.255.255", "RFC 1918", &["10.0.0.0/8"]),
    ("100.64.0.0", "RFC 6598", &["100.64.0.0/10"]),
    ("100.127.255.255", "RFC 6598", &["100.64.0.0/10"]),
    ("100.100.100.200", "Alibaba Cloud", &["100.64.0.0/10"]),
    ("127.0.0.1", "RFC 1122", &["127.0.0.1"]),
    ("127.255.255.255", "RFC 1122", &["127.0.0.0/8"]),
    ("168.63.129.16", "documentation of Azure", &["168.63.129.16"]),
    ("169.254.0.0", "RFC 3927", &["169.254.0.0/16"]),
    ("169.254.169.254", "AWS, Azure, Google Cloud", &["169.254.169.254"]),
    ("169.254.170.2", "AWS, ECS", &["169.254.0.0/16"]),
    ("169.254.170.23", "AWS, EKS", &["169.254.0.0/16"]),
    ("169.254.42.42", "documentation of Scaleway", &["169.254.42.42"]),
    ("169.254.255.255", "RFC 3927", &["169.254.0.0/16"]),
    ("172.16.0.0", "RFC 1918", &["172.16.0.0/12"]),
    ("172.31.255.255", "RFC 1918", &["172.16.0.0/12"]),
    ("192.0.0.0", "RFC 6890", &["192.0.0.0/24"]),
    ("192.0.0.9", "RFC 6890", &["192.0.0.9"]),
    ("192.0.0.192", "Oracle Cloud", &["192.0.0.192"]),
    ("192.0.2.1", "RFC 5737", &["192.0.2.0/24"]),
    ("192.88.99.1", "RFC 7526", &["192.88.99.0/24"]),
    ("192.168.0.0", "RFC 1918", &["192.168.0.0/16"]),
    ("192.168.255.255", "RFC 1918", &["192.168.255.0/24"]),
    ("198.18.0.0", "RFC 2544", &["198.18.0.0/15"]),
    ("198.19.255.255", "RFC 2544", &["198.18.0.0/15"]),
    ("198.51.100.7", "RFC 5737", &["198.51.100.7"]),
    ("203.0.113.255", "RFC 5737", &["203.0.113.0/24"]),
    ("224.0.0.1", "RFC 5771", &["224.0.0.1"]),
    ("239.255.255.255", "RFC 5771", &["239.0.0.0/8"]),
    ("240.0.0.0", "RFC 1112", &["240.0.0.0/8"]),
    ("255.255.255.255", "RFC 919", &["255.255.255.255"]),
    ("::", "RFC 4291, section 2.5.2", &["[::]"]),
    ("::1", "RFC 4291, section 2.5.3", &["[::1]"]),
    ("::ffff:127.0.0.1", "RFC 1122", &["127.0.0.1"]),
    ("::ffff:10.0.0.1", "RFC 1918", &["10.0.0.0/8"]),
    ("::ffff:169.254.169.254", "AWS, Azure, Google Cloud", &["169.254.169.254"]),
    ("::ffff:100.100.100.200", "Alibaba Cloud", &["100.100.100.200"]),
    ("::ffff:168.63.129.16", "documentation of Azure", &["168.63.129.16"]),
    ("::127.0.0.1", "RFC 4291, section 2.5.5.1", &["::/96", "127.0.0.1"]),
    ("::8.8.8.8", "RFC 4291, section 2.5.5.1", &["::/96"]),
    ("::ffff:0:10.0.0.1", "RFC 2765", &["::ffff:0:0:0/96", "10.0.0.1"]),
    ("::ffff:0:8.8.8.8", "RFC 2765", &["::ffff:0:0:0/96"]),
    ("64:ff9b::127.0.0.1", "RFC 1122", &["127.0.0.1"]),
    ("64:ff9b::169.254.169.254", "AWS, Azure, Google Cloud", &["169.254.169.254"]),
    ("64:ff9b:1::8.8.8.8", "RFC 8215", &["64:ff9b:1::/48"]),
    ("64:ff9b:1::10.0.0.1", "RFC 8215", &["64:ff9b:1::/48"]),
    ("64:ff9b::1:808:808", "RFC 4291, section 2.4", &["64:ff9b::/48"]),
    ("100::1", "RFC 6666", &["100::/64"]),
    ("100:0:0:1::1", "RFC 9780", &["100:0:0:1::/64"]),
    ("200::1", "RFC 4291, section 2.4", &["200::/7"]),
    ("2001::1", "RFC 4380", &["2001::/32", "0.0.0.0", "255.255.255.254"]),
    ("2001:0:808:808:0:0:f7f7:f7f7", "RFC 4380", &["2001::/32"]),
    ("2001:0:808:808:0:0:80ff:fffe", "RFC 4380", &["2001::/32", "127.0.0.1"]),
    ("2001:0:a00:1:0:0:f7f7:f7f7", "RFC 4380", &["2001::/32", "10.0.0.1"]),
    ("2001:1::1", "RFC 2928", &["2001::/23"]),
    ("2001:2::1", "RFC 5180", &["2001:2::/48"]),
    ("2001:10::1", "RFC 4843", &["2001:10::/28"]),
    ("2001:20::1", "RFC 7343", &["2001:20::/28"]),
    ("2001:1ff:ffff::1", "RFC 2928", &["2001::/23"]),
    ("2001:db8::1", "RFC 3849", &["2001:db8::/32"]),
    ("2002:808:808::1", "RFC 3056", &["2002::/16"]),
    ("2002:a9fe:a9fe::1", "RFC 3056", &["2002::/16", "169.254.169.254"]),
    ("2002:808:808::5efe:10.0.0.1", "RFC 3056", &["2002::/16", "10.0.0.1"]),
    ("2606:4700::5efe:192.168.0.1", "RFC 1918", &["192.168.0.1"]),
    ("2606:4700::200:5efe:7f00:1", "RFC 1122", &["127.0.0.1"]),
    ("3fff::1", "RFC 9637", &["3fff::/20"]),
    ("3fff:fff:ffff::1", "RFC 9637", &["3fff::/20"]),
    ("4000::1", "RFC 4291, section 2.4", &["4000::/8"]),
    ("5f00::1", "RFC 9602", &["5f00::/16"]),
    ("8000::1", "RFC 4291, section 2.4", &["8000::/8"]),
    ("fc00::1", "RFC 4193", &["fc00::/7"]),
    ("fdff:ffff::1", "RFC 4193", &["fc00::/7"]),
    ("fd00:ec2::254", "documentation of AWS)", &["[fd00:ec2::254]"]),
    ("fd20:ce::254", "Google Cloud)", &["[fd20:ce::254]"]),
    ("fd00:ec2::23", "documentation of AWS)", &["fd00:ec2::/32"]),
    ("fd00:c1::a9fe:a9fe", "documentation of Oracle", &["[fd00:c1::a9fe:a9fe]"]),
    ("fd00:42::42", "documentation of Scaleway", &["fd00::/8"]),
    ("fd00:a9fe:a9fe::1", "documentation of Linode", &["fd00::/8"]),
    ("fe80::1", "RFC 4291, section 2.5.6", &["fe80::/10"]),
    ("febf:ffff::1", "RFC 4291, section 2.5.6", &["fe80::/10"]),
    ("fec0::1", "RFC 3879", &["fec0::/10"]),
    ("ff02::1", "RFC 4291, section 2.7", &["ff02::/16"]),
    ("ff0e::1", "RFC 4291, section 2.7", &["ff0e::/16"]),
];

/// Public addresses, many beside a range of the table.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "64:ff9b::8.8.8.8",
    "2000::1",
    "2001:200::1",
    "2001:db7::1",
    "2001:db9::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
    "2606:4700::5efe:8.8.8.8",
    "3ffe:ffff::1",
    "3fff:1000::1",
];

const NAME: &str = "app.example.com";

fn check(entries: &[&str], url: &str, addresses: &[&str]) -> Result<Vec<IpAddr>, &'static str> {
    let destinations = granted(entries);
    let target = destinations.check(url).unwrap();
    let addresses = addresses.iter().map(|text| address(text));
    destinations.check_addresses(&target, addresses).map_err(|refusal| refusal.reason().label())
}

#[test]
fn a_special_address_is_refused_until_every_entry_for_it_is_there() {
    for &(text, _, entries) in SPECIAL_ROWS {
        let with = |entries: &[&str]| {
            check(&[&[NAME], entries].concat(), "https://app.example.com/", &[text])
        };
        assert_eq!(with(&[]), Err("address"), "{text}");
        assert_eq!(with(&["*.example.com", "api.test", "8.8.8.8"]), Err("address"), "{text}");
        assert_eq!(
            with(entries),
            Ok(vec![address(text).to_canonical()]),
            "{text} with {entries:?}"
        );
        for left_out in 0..entries.len() {
            let mut fewer = entries.to_vec();
            fewer.remove(left_out);
            assert_eq!(with(&fewer), Err("address"), "{text} with {fewer:?}");
        }
    }
}

#[test]
fn a_refused_address_is_told_with_the_source_of_the_rule() {
    let destinations = granted(&[NAME]);
    let target = destinations.check("https://app.example.com/").unwrap();
    for &(text, source, _) in SPECIAL_ROWS {
        let addresses = std::iter::once(address(text));
        let refusal = destinations.check_addresses(&target, addresses).unwrap_err().to_string();
        assert!(refusal.contains(source), "{text}, {source}: {refusal}");
    }
}

#[test]
fn a_public_address_of_a_granted_name_is_allowed() {
    for &text in PUBLIC {
        let found = check(&[NAME], "https://app.example.com/", &[text]);
        assert_eq!(found, Ok(vec![address(text)]), "{text}");
    }
}

#[test]
fn each_range_is_special_to_its_ends_and_is_hidden_by_none_before_it() {
    for range in SPECIAL {
        assert_eq!(range.network, range.network.trunc(), "{range}");
        let ends = [range.network.addr(), range.network.broadcast()].map(special);
        assert!(ends.iter().all(Option::is_some), "{range}");
        assert!(ends.contains(&Some(range)), "{range}");
    }
}

#[test]
fn refused_addresses_are_left_out_and_the_others_stay_in_order() {
    let url = "https://app.example.com/";
    let mixed = ["10.0.0.1", "2606:4700::1", "127.0.0.1", "8.8.8.8", "::ffff:8.8.8.8", "8.8.4.4"];
    let public = ["2606:4700::1", "8.8.8.8", "8.8.4.4"].map(address).to_vec();
    assert_eq!(check(&[NAME], url, &mixed), Ok(public));
    assert_eq!(check(&[NAME], url, &["10.0.0.1", "::1"]), Err("address"));
    assert_eq!(check(&[NAME], url, &[]), Err("address"));
}

#[test]
fn an_entry_for_addresses_holds_with_its_scheme_and_port() {
    let url = "https://app.example.com:8443/";
    let with = |entry: &str| check(&["app.example.com:8443", entry], url, &["10.0.0.1"]).is_ok();
    assert!(with("10.0.0.0/8:8443"));
    assert!(with("https://10.0.0.1:8443"));
    assert!(!with("10.0.0.0/8"));
    assert!(!with("10.0.0.0/8:8080"));
    assert!(!with("http://10.0.0.1:8443"));
}

#[test]
fn localhost_is_loopback_and_nothing_else() {
    let url = "http://localhost:3000/";
    let entries = &["localhost:3000"];
    let found = check(entries, url, &["::1", "127.0.0.1", "127.1.2.3", "::ffff:127.0.0.1"]);
    assert_eq!(found, Ok(["::1", "127.0.0.1", "127.1.2.3"].map(address).to_vec()));
    for other in ["8.8.8.8", "10.0.0.1", "0.0.0.0", "::", "169.254.169.254", "2606:4700::1"] {
        assert_eq!(check(entries, url, &[other]), Err("address"), "{other}");
    }
    let more = &["localhost:3000", "10.0.0.0/8:3000"];
    assert_eq!(check(more, url, &["10.0.0.1"]), Ok(vec![address("10.0.0.1")]));
    assert_eq!(check(more, url, &["192.168.0.1"]), Err("address"));
}

#[test]
fn names_below_localhost_are_loopback_and_names_like_it_are_not() {
    let with = |entry: &str, host: &str| {
        check(&[entry], &format!("http://{host}/"), &["127.0.0.1"]).is_ok()
    };
    assert!(with("*.localhost", "app.localhost"));
    assert!(with("app.localhost", "app.localhost"));
    assert!(!with("localhost.example.com", "localhost.example.com"));
    assert!(!with("notlocalhost", "notlocalhost"));
    assert!(!with("localhost.localdomain", "localhost.localdomain"));
}

#[test]
fn a_target_that_is_an_address_has_that_address_alone() {
    let entries = &["10.0.0.0/8"];
    let found = check(entries, "http://10.0.0.1/", &["10.0.0.2", "8.8.8.8", "::ffff:10.0.0.1"]);
    assert_eq!(found, Ok(vec![address("10.0.0.1")]));
    assert_eq!(check(entries, "http://10.0.0.1/", &["10.0.0.2"]), Err("address"));
}
