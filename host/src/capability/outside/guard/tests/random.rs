//! Random spellings: the value of an address counts, and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Destination, Host, granted,
    spelling::{self, Choices},
};

/// Networks that are not public. Written here again, so that a row missing from the table shows.
const SPECIAL_IPV4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "100.100.100.200/32",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "169.254.169.254/32",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
];
const SPECIAL_IPV6: &[&str] = &[
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001::/32",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "4000::/3",
    "5f00::/16",
    "8000::/2",
    "fc00::/7",
    "fd00:ec2::254/128",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];
/// Grants of hosts that are not meant, and of every network around an IPv4 address.
const OTHER_HOSTS: &[&str] = &[
    "api.example.com",
    "*.example.org",
    "localhost",
    "8.8.8.8",
    "1.1.1.0/24",
    "2606:4700:4700::/48",
];
const WRAPPERS: &[&str] =
    &["::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "2002::/16", "2001::/32", "2606:4700::/32"];

/// A form of an IPv4 address among those of IPv6, or itself.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Mapped,
    Compatible,
    Translated,
    Nat64,
    SixToFour,
    TeredoClient,
    TeredoServer,
    Isatap,
}

const FORMS: &[Form] = &[
    Form::Plain,
    Form::Mapped,
    Form::Compatible,
    Form::Translated,
    Form::Nat64,
    Form::SixToFour,
    Form::TeredoClient,
    Form::TeredoServer,
    Form::Isatap,
];

impl Form {
    fn of(self, address: Ipv4Addr) -> IpAddr {
        let [a, b, c, d] = address.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let segments = match self {
            Self::Plain => return IpAddr::V4(address),
            Self::Mapped => [0, 0, 0, 0, 0, 0xffff, high, low],
            Self::Compatible => [0, 0, 0, 0, 0, 0, high, low],
            Self::Translated => [0, 0, 0, 0, 0xffff, 0, high, low],
            Self::Nat64 => [0x64, 0xff9b, 0, 0, 0, 0, high, low],
            Self::SixToFour => [0x2002, high, low, 0, 0, 0, 0, 1],
            Self::TeredoClient => [0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low],
            Self::TeredoServer => [0x2001, 0, high, low, 0, 0, !0x0808, !0x0808],
            Self::Isatap => [0x2606, 0x4700, 0, 1, 0x0200, 0x5efe, high, low],
        };
        IpAddr::V6(Ipv6Addr::from(segments))
    }
}

/// An address of a network, its bits behind the prefix from `bits`.
fn member(network: IpNet, bits: u128) -> IpAddr {
    match network {
        IpNet::V4(network) => {
            let [.., a, b, c, d] = bits.to_be_bytes();
            let host = u32::from(network.hostmask()) & u32::from_be_bytes([a, b, c, d]);
            IpAddr::V4(Ipv4Addr::from(u32::from(network.network()) | host))
        }
        IpNet::V6(network) => {
            let host = u128::from(network.hostmask()) & bits;
            IpAddr::V6(Ipv6Addr::from(u128::from(network.network()) | host))
        }
    }
}

fn special_ipv4() -> impl Strategy<Value = Ipv4Addr> {
    (select(SPECIAL_IPV4), any::<u128>()).prop_map(|(network, bits)| {
        match member(network.parse().unwrap(), bits) {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => unreachable!("the networks are of IPv4"),
        }
    })
}

fn special_ipv6() -> impl Strategy<Value = IpAddr> {
    // Masks make zeros, and so what can be compressed.
    (select(SPECIAL_IPV6), any::<u128>(), select(&[u128::MAX, 0, 0xffff, !0xffff_ffff][..]))
        .prop_map(|(network, bits, mask)| member(network.parse().unwrap(), bits & mask))
}

fn choices() -> impl Strategy<Value = Choices> {
    vec(any::<u8>(), 0..120).prop_map(Choices::new)
}

fn spelled(address: IpAddr, choices: &mut Choices) -> String {
    let host = match address {
        IpAddr::V4(address) => spelling::ipv4(address, choices),
        IpAddr::V6(address) => spelling::ipv6(address, choices),
    };
    spelling::url(&host, choices)
}

/// A network around an address that an entry may name.
fn around(address: IpAddr, wider: u8) -> IpNet {
    let network = IpNet::from(address);
    let shortest = if address.is_ipv4() { 8 } else { 7 };
    let length = (network.max_prefix_len() - wider % network.max_prefix_len()).max(shortest);
    IpNet::new(address, length).unwrap().trunc()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_spelling_reaches_a_special_ipv4_address(
        address in special_ipv4(),
        form in select(FORMS),
        mut choices in choices(),
    ) {
        // `::` and `::1` have entries of their own.
        prop_assume!(!matches!(form, Form::Compatible) || u32::from(address) > 1);
        let address = form.of(address);
        let destinations = granted(&[OTHER_HOSTS, WRAPPERS].concat());
        let url = spelled(address, &mut choices);
        let reason = destinations.check(&url).map_err(|refusal| refusal.reason().label());
        prop_assert_eq!(reason, Err("address"), "{}", url);
        let target = destinations.check("http://api.example.com/").unwrap();
        let found = destinations.check_addresses(&target, std::iter::once(address));
        prop_assert_eq!(found.map_err(|refusal| refusal.reason().label()), Err("address"));
    }

    #[test]
    fn no_spelling_reaches_a_special_ipv6_address(
        address in special_ipv6(),
        mut choices in choices(),
    ) {
        let destinations = granted(OTHER_HOSTS);
        let url = spelled(address, &mut choices);
        let reason = destinations.check(&url).map_err(|refusal| refusal.reason().label());
        prop_assert_eq!(reason, Err("address"), "{}", url);
        let target = destinations.check("http://api.example.com/").unwrap();
        let found = destinations.check_addresses(&target, std::iter::once(address));
        prop_assert_eq!(found.map_err(|refusal| refusal.reason().label()), Err("address"));
    }

    #[test]
    fn every_spelling_of_a_granted_ipv4_address_is_allowed(
        address in special_ipv4(),
        form in select(FORMS),
        wider in any::<u8>(),
        mut choices in choices(),
    ) {
        let network = around(IpAddr::V4(address), wider).to_string();
        let destinations = granted(&[OTHER_HOSTS, WRAPPERS, &[&*network]].concat());
        let address = form.of(address);
        let url = spelled(address, &mut choices);
        let target = destinations.check(&url).unwrap();
        let canonical = address.to_canonical();
        prop_assert_eq!(target.host(), &Host::Address(canonical), "{}", url);
        let target = destinations.check("http://api.example.com/").unwrap();
        let found = destinations.check_addresses(&target, std::iter::once(address));
        prop_assert_eq!(found, Ok(vec![canonical]));
    }

    #[test]
    fn the_entries_of_a_refusal_allow_every_spelling(
        address in special_ipv6(),
        mut choices in choices(),
    ) {
        let url = spelled(address, &mut choices);
        let refusal = granted(OTHER_HOSTS).check(&url).unwrap_err();
        let missing = refusal.missing_entries();
        let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
        let destinations = granted(&[OTHER_HOSTS, &missing].concat());
        let target = destinations.check(&url).unwrap();
        prop_assert_eq!(target.host(), &Host::Address(address), "{}", url);
        let target = destinations.check("http://api.example.com/").unwrap();
        let found = destinations.check_addresses(&target, std::iter::once(address));
        prop_assert_eq!(found, Ok(vec![address]));
    }

    #[test]
    fn a_granted_network_is_read_from_its_own_form(
        address in any::<IpAddr>(),
        wider in any::<u8>(),
        port in 1_u16..,
    ) {
        let network = around(address.to_canonical(), wider);
        let written = match network {
            IpNet::V4(network) => network.to_string(),
            IpNet::V6(network) => format!("[{network}]"),
        };
        let destination: Destination = format!("https://{written}:{port}").parse().unwrap();
        prop_assert_eq!(destination.to_string().parse(), Ok(destination));
    }

    #[test]
    fn a_url_of_random_parts_is_allowed_only_to_the_granted_host(
        parts in vec(select(PARTS), 1..10),
        head in select(&["https://", "http://", ""][..]),
    ) {
        let url = format!("{head}{}", parts.concat());
        let checked = granted(&["api.example.com"]).check(&url);
        if let Err(refusal) = &checked {
            let missing = refusal.missing_entries();
            let entries: Vec<&str> = missing.iter().map(String::as_str).collect();
            prop_assert!(missing.is_empty() || granted(&entries).check(&url).is_ok(), "{}", url);
        }
        if let Ok(target) = checked {
            let called = target.url();
            prop_assert_eq!(called.host_str(), Some("api.example.com"), "{}", url);
            prop_assert!(called.port().is_none() && called.username().is_empty(), "{}", url);
            prop_assert!(called.password().is_none() && called.fragment().is_none(), "{}", url);
            let again = url::Url::parse(called.as_str());
            prop_assert_eq!(again.as_ref(), Ok(called));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), rest in "[a-z0-9:/@.\\[\\]*%?#-]{0,30}") {
        let destinations = granted(OTHER_HOSTS);
        let texts = [format!("https://{text}"), format!("http://{rest}"), text, rest];
        for text in texts {
            let refused = destinations.check(&text).map_err(|refusal| refusal.to_string());
            let wrong = text.parse::<Destination>().map_err(|error| error.to_string());
            prop_assert!(refused.is_ok() || refused.is_err_and(|text| !text.is_empty()));
            if let Ok(destination) = wrong {
                prop_assert_eq!(destination.to_string().parse(), Ok(destination));
            }
        }
    }
}

const PARTS: &[&str] = &[
    "api.example.com",
    "api.example.com",
    "api.example.com",
    "evil.test",
    "127.1",
    "[::1]",
    "@",
    ":",
    "/",
    "\\",
    "?",
    "#",
    ".",
    "%2e",
    "%40",
    "%2f",
    "。",
    "443",
    "80",
    "0",
    "https:",
    "//",
    "\t",
    "\n",
    " ",
    "user",
    "[",
    "]",
    "\u{ff0f}",
    "\u{ff20}",
    "\u{2044}",
    "\u{0}",
    "&",
    "=",
];
