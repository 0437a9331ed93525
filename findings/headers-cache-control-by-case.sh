#!/usr/bin/env bash
# RFC 9111 (section 5.2) compares names of cache directives without regard to case, and has a reader pass over what it
# does not know. The typed `CacheControl` of the crate headers knows the names in lower case only: `Max-Age=60` is no
# age, though `max-age=60` is one. One directive whose number it cannot read takes the whole field with it, so that
# `no-store` beside `max-age=1.5` is not seen.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "show"
version = "0.0.0"
edition = "2024"

[dependencies]
headers = "=0.4.2"
TOML
cat >src/main.rs <<'RUST'
use headers::{CacheControl, HeaderMap, HeaderMapExt, HeaderValue};

fn read(text: &'static str) -> String {
    let mut fields = HeaderMap::new();
    fields.insert("cache-control", HeaderValue::from_static(text));
    match fields.typed_get::<CacheControl>() {
        Some(control) => format!("age {:?}, no-store {}", control.max_age(), control.no_store()),
        None => "no field".to_owned(),
    }
}

fn main() {
    let texts = ["no-store, max-age=60", "no-store, Max-Age=60", "No-Store", "no-store, max-age=1.5"];
    println!("headers 0.4.2:");
    let found = texts.map(|text| {
        let found = read(text);
        println!("  cache-control: {text}: {found}");
        found
    });
    let expected = ["age Some(60s), no-store true", "age None, no-store true", "age None, no-store false", "no field"];
    std::process::exit(if found == expected { 0 } else { 3 });
}
RUST

status=0
CARGO_TARGET_DIR="$work/target" cargo run --quiet || status=$?
if [ "$status" -eq 0 ]; then
    echo "as stated: names of directives are read by case, and one bad number hides the others"
elif [ "$status" -eq 3 ]; then
    echo "changed: directives are read otherwise"
    exit 1
else
    exit "$status"
fi
