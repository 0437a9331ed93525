#!/usr/bin/env bash
# Two crates for cron expressions, given the same daily moment and zone: in the night of Berlin that has no 02:30,
# cron 0.17 runs nothing and croner 4.0 runs at 03:00; in the night that has 02:30 twice, cron runs twice and croner
# once. Where the clock moves by half an hour, as on Lord Howe, it is the same.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
chrono = "=0.4.45"
chrono-tz = "=0.10.4"
cron = "=0.17.0"
croner = "=4.0.3"
TOML
cat > src/main.rs <<'RUST'
use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use std::str::FromStr;

fn main() {
    for (zone, from, fields) in [
        ("Europe/Berlin", "2027-03-27T12:00:00Z", "30 2 * * *"),
        ("Europe/Berlin", "2026-10-24T12:00:00Z", "30 2 * * *"),
        ("Australia/Lord_Howe", "2026-10-03T00:00:00Z", "15 2 * * *"),
    ] {
        let tz: Tz = zone.parse().unwrap();
        let from = DateTime::<Utc>::from_str(from).unwrap();
        let from = tz.from_utc_datetime(&from.naive_utc());
        // cron has a field for the second before them.
        let cron = cron::Schedule::from_str(&format!("0 {fields}")).unwrap();
        let cron: Vec<_> = cron.after(&from).take(2).map(|it| it.to_rfc3339()).collect();
        let croner = croner::Cron::from_str(fields).unwrap();
        let croner: Vec<_> = croner.iter_after(from).take(2).map(|it| it.to_rfc3339()).collect();
        println!("{zone}, {fields}: cron {}; croner {}", cron.join(" "), croner.join(" "));
    }
}
RUST
echo "cron 0.17.0, croner 4.0.3, chrono-tz 0.10.4, $(cargo --version)"
output=$(CARGO_TARGET_DIR=$directory/target cargo run --quiet)
echo "$output"
expected="Europe/Berlin, 30 2 * * *: cron 2027-03-29T02:30:00+02:00 2027-03-30T02:30:00+02:00; \
croner 2027-03-28T03:00:00+02:00 2027-03-29T02:30:00+02:00
Europe/Berlin, 30 2 * * *: cron 2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00; \
croner 2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00
Australia/Lord_Howe, 15 2 * * *: cron 2026-10-05T02:15:00+11:00 2026-10-06T02:15:00+11:00; \
croner 2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00"
if [ "$output" = "$expected" ]; then
    echo "as stated: cron leaves the missing moment out and runs the doubled one twice, croner once each"
else
    echo "changed: the two crates answer otherwise" >&2
    exit 1
fi
