#!/usr/bin/env bash
# tower-http 0.7.1: ServeDir ignores the header field if-range. A client that goes on with a download after the
# file was replaced gets 206 and a part of the new file, where RFC 9110, section 13.1.5, wants 200 and all of it.
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
bytes = "1"
http = "1"
http-body-util = "0.1"
tokio = { version = "1", features = ["rt", "fs"] }
tower-http = { version = "=0.7.1", features = ["fs"] }
tower-service = "0.3"
TOML
cat > src/main.rs <<'RUST'
use http::Request;
use http_body_util::Empty;
use tower_http::services::ServeDir;
use tower_service::Service as _;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        std::fs::write("file.bin", "0123456789").unwrap();
        for condition in ["\"stale\"", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            let request = Request::get("/file.bin")
                .header("range", "bytes=5-")
                .header("if-range", condition)
                .body(Empty::<bytes::Bytes>::new())
                .unwrap();
            let response = ServeDir::new(".").call(request).await.unwrap();
            println!("if-range: {condition}: {}", response.status());
        }
    });
}
RUST
echo "tower-http 0.7.1, $(cargo --version)"
output=$(CARGO_TARGET_DIR=$directory/target cargo run --quiet)
echo "$output"
if (($(grep -c ': 206 Partial Content$' <<<"$output") == 2)); then
    echo "as stated: both get 206 although neither validator is that of the file"
else
    echo "changed: a validator that is not that of the file no longer gets 206" >&2
    exit 1
fi
