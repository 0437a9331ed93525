#!/usr/bin/env bash
# ppp 2.3.0: a header of the PROXY protocol, version 1, that has arrived up to the space before its last port
# is reported as wrong and not as incomplete. Every other cut of the same line is reported as incomplete. A
# server that reads until the library has enough refuses a valid client there.
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
ppp = "=2.3.0"
TOML
cat > src/main.rs <<'RUST'
use ppp::{HeaderResult, PartialResult as _};

fn main() {
    let line = b"PROXY TCP4 203.0.113.9 10.1.1.1 5555 443\r\n";
    for length in 1..line.len() {
        let header = HeaderResult::parse(&line[..length]);
        if header.is_complete() {
            println!("{:?}: {header:?}", String::from_utf8_lossy(&line[..length]));
        }
    }
}
RUST
echo "ppp 2.3.0, $(cargo --version)"
output=$(CARGO_TARGET_DIR=$directory/target cargo run --quiet)
echo "$output"
if [[ $output == *'5555 ": '* && $output == *Err* ]] && (($(wc -l <<<"$output") == 1)); then
    echo "as stated: the line cut behind \"5555 \" is an error that is complete, and no other cut is"
else
    echo "changed: the cuts above are errors that are complete" >&2
    exit 1
fi
