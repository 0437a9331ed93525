//! Tests of the guard: tables of spellings and outcomes, and random spellings.

mod addresses;
mod entries;
mod random;
mod spelling;
mod texts;
mod urls;

use std::net::IpAddr;

use super::*;

fn granted(entries: &[&str]) -> Destinations {
    let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
    entries.try_into().unwrap_or_else(|error| panic!("{error}"))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
