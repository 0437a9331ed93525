#!/usr/bin/env bash
# The crate cron 0.17 runs "the 13th, Friday" only on Fridays the 13th, where cron of Unix, and croner 4.0, run on each
# 13th and on each Friday. And its number 5 is Thursday, not Friday: it counts from 1, for Sunday. So an expression
# that is moved to it from a crontab runs on other days, without an error.
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
cron = "=0.17.0"
croner = "=4.0.3"
TOML
cat > src/main.rs <<'RUST'
use chrono::{DateTime, Utc};
use std::str::FromStr;

fn main() {
    let from = DateTime::<Utc>::from_str("2026-01-01T12:00:00Z").unwrap();
    for fields in ["0 0 13 * FRI", "0 0 * * 5"] {
        let day = |it: DateTime<Utc>| it.format("%a %F").to_string();
        // cron has a field for the second before them.
        let cron = cron::Schedule::from_str(&format!("0 {fields}")).unwrap();
        let cron: Vec<_> = cron.after(&from).take(3).map(day).collect();
        let croner = croner::Cron::from_str(fields).unwrap();
        let croner: Vec<_> = croner.iter_after(from).take(3).map(day).collect();
        println!("{fields}: cron {}; croner {}", cron.join(", "), croner.join(", "));
    }
}
RUST
echo "cron 0.17.0, croner 4.0.3, $(cargo --version)"
output=$(CARGO_TARGET_DIR=$directory/target cargo run --quiet)
echo "$output"
expected="0 0 13 * FRI: cron Fri 2026-02-13, Fri 2026-03-13, Fri 2026-11-13; \
croner Fri 2026-01-02, Fri 2026-01-09, Tue 2026-01-13
0 0 * * 5: cron Thu 2026-01-08, Thu 2026-01-15, Thu 2026-01-22; \
croner Fri 2026-01-02, Fri 2026-01-09, Fri 2026-01-16"
if [ "$output" = "$expected" ]; then
    echo "as stated: cron wants both days to fit, and takes 5 for Thursday"
else
    echo "changed: the two crates answer otherwise" >&2
    exit 1
fi
