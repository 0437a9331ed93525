#!/usr/bin/env bash
# oci-client writes a manifest in canonical JSON (the crate olpc-cjson), which has control characters in texts as they
# are. So an annotation with a line break, which OCI allows, makes a manifest that is no JSON, and a registry refuses it
# as MANIFEST_INVALID. serde_json writes \n; Client::push_manifest_raw sends such bytes.
set -euo pipefail

work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"

# Keeps the body of the manifest, and says that it is stored.
cat >registry.py <<'PYTHON'
import http.server


class Registry(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open("manifest", "wb") as file:
            file.write(body)
        self.send_response(201)
        self.send_header("location", self.path)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Registry)
with open("port", "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
PYTHON
python3 registry.py &
for _ in $(seq 100); do [ -s port ] && break; sleep 0.05; done

mkdir -p src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
oci-client = { version = "=0.18.0", default-features = false }
olpc-cjson = "=0.1.4"
reqwest = { version = "0.13", default-features = false, features = ["rustls-no-provider"] }
rustls = { version = "0.23", default-features = false, features = ["ring"] }
tokio = { version = "1", features = ["macros", "rt"] }
TOML
cat >src/main.rs <<'RUST'
use std::collections::BTreeMap;

use oci_client::{
    Client,
    client::{ClientConfig, ClientProtocol},
    manifest::{OciImageManifest, OciManifest},
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let port = std::env::args().nth(1).unwrap();
    let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
    let note = ("note".to_owned(), "one\ntwo".to_owned());
    let manifest = OciImageManifest {
        annotations: Some(BTreeMap::from([note])),
        ..OciImageManifest::default()
    };
    let place = format!("127.0.0.1:{port}/a:1").parse().unwrap();
    Client::new(config).push_manifest(&place, &OciManifest::Image(manifest)).await.unwrap();
}
RUST
cargo run --quiet -- "$(cat port)"

python3 - <<'PYTHON'
import json
import sys

body = open("manifest", "rb").read()
print(f"oci-client 0.18.0 sent {len(body)} bytes; a line break as it is: {b'one' + bytes([10]) + b'two' in body}")
try:
    json.loads(body)
    refused = None
except json.JSONDecodeError as error:
    refused = error
print(f"read as JSON: {refused or 'valid'}")
if refused is None:
    print("changed: the manifest is JSON")
    sys.exit(1)
print("as stated: a manifest whose annotation has a line break is sent as what is no JSON")
PYTHON
