//! The crates that `tidegate new` makes: embedded, with names in them to be replaced.

use std::path::Path;

use clap::ValueEnum;

/// The placeholders for the name of the module, and for that of the crate in Rust. They are valid names in
/// both languages, so that formatters read the templates, too.
const NAME: &str = "module-name";
const CRATE: &str = "module_name";

/// The placeholder for the SDK in the manifest.
const SDK: &str = "tidegate-sdk = \"0.0.0\"";
/// Where the SDK is if this was built in a checkout.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk");

/// The kind of a new crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// Requests and responses
    Http,
    /// A WebSocket, and a page that opens it
    Websocket,
    /// Work in the background
    Channel,
}

/// A file of a template: its place in the crate, and its text.
type File = (&'static str, &'static str);

const HTTP: &[File] = &[
    ("src/lib.rs", include_str!("../../templates/http/lib.rs")),
    ("tests/consumers.rs", include_str!("../../templates/http/consumers.rs")),
    ("README.md", include_str!("../../templates/http/README.md")),
];
const WEBSOCKET: &[File] = &[
    ("src/lib.rs", include_str!("../../templates/websocket/lib.rs")),
    ("src/page.html", include_str!("../../templates/websocket/page.html")),
    ("tests/consumers.rs", include_str!("../../templates/websocket/consumers.rs")),
    ("README.md", include_str!("../../templates/websocket/README.md")),
];
const CHANNEL: &[File] = &[
    ("src/lib.rs", include_str!("../../templates/channel/lib.rs")),
    ("tests/consumers.rs", include_str!("../../templates/channel/consumers.rs")),
    ("README.md", include_str!("../../templates/channel/README.md")),
];
const ALL: &[File] = &[
    ("Cargo.toml", include_str!("../../templates/manifest.toml")),
    (".gitignore", include_str!("../../templates/gitignore")),
];

impl Template {
    /// The files of a crate for a module of that name.
    pub(super) fn files(self, module: &str) -> Vec<(&'static str, String)> {
        let own = match self {
            Self::Http => HTTP,
            Self::Websocket => WEBSOCKET,
            Self::Channel => CHANNEL,
        };
        let of_crate = module.replace('-', "_");
        let sdk = sdk();
        let filled =
            |text: &str| text.replace(SDK, &sdk).replace(NAME, module).replace(CRATE, &of_crate);
        ALL.iter().chain(own).map(|(path, text)| (*path, filled(text))).collect()
    }

    /// Returns a command to try when the module is served.
    pub(super) fn try_it(self, module: &str) -> String {
        let base = format!("http://127.0.0.1:8000/{module}");
        match self {
            Self::Http => format!("curl {base}/Ada"),
            Self::Websocket => format!("open {base}"),
            Self::Channel => format!("curl {base} --json '{{\"text\": \"high water at noon\"}}'"),
        }
    }
}

/// The SDK of the checkout that this was built in, while it is there; else the one that is published
/// with it.
pub(super) fn sdk() -> String {
    let of_host = env!("CARGO_PKG_VERSION");
    match Path::new(CHECKOUT).canonicalize() {
        Ok(path) if path.join("Cargo.toml").is_file() => {
            // Quotes and escapes of JSON are TOML's, too.
            let path = serde_json::Value::from(path.display().to_string());
            format!("tidegate-sdk = {{ path = {path} }}")
        }
        _ => format!("tidegate-sdk = \"{of_host}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_leaves_a_name_to_be_replaced() {
        for template in Template::value_variants() {
            for (path, text) in template.files("tide-2") {
                for word in [NAME, CRATE, SDK] {
                    assert!(!text.contains(word), "{template:?} {path}: {text}");
                }
            }
        }
    }

    #[test]
    fn the_sdk_is_that_of_this_checkout() {
        let files = Template::Http.files("tide");
        let (_, manifest) = files.iter().find(|(path, _)| *path == "Cargo.toml").unwrap();
        let table: toml::Table = manifest.parse().unwrap();
        let path = table["dependencies"]["tidegate-sdk"]["path"].as_str().unwrap();
        assert!(Path::new(path).join("src/lib.rs").is_file(), "{path}");
        assert!(table["package"]["name"].as_str() == Some("tide"), "{manifest}");
    }
}
