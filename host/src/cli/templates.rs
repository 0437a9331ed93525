//! The projects that `tidegate new` makes: embedded, with names in them to be replaced.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::version::is_of_distribution;

/// The placeholders for the name of the module, and for that of the crate in Rust. They are valid names in
/// all languages, so that formatters read the templates, too.
const NAME: &str = "module-name";
const CRATE: &str = "module_name";

/// The language of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, built by cargo
    Rust,
    /// Python, built by componentize-py
    Python,
    /// JavaScript, built with QuickJS
    Javascript,
    /// TypeScript, built with QuickJS
    Typescript,
}

/// The kind of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// Requests and responses
    Http,
    /// A WebSocket, and a page that opens it
    Websocket,
    /// Work in the background
    Channel,
}

/// A file of a template: its place in the project, and its text.
type File = (&'static str, &'static str);

/// The files of a template: `FILE in "DIRECTORY OF THE TEMPLATE"`, each at its place in the project.
macro_rules! files {
    ($directory:literal: $($file:literal => $place:literal),+ $(,)?) => {
        &[$(($place, include_str!(concat!("../../templates/", $directory, "/", $file)))),+]
    };
}

/// The templates of a language.
struct Kit {
    all: &'static [File],
    http: &'static [File],
    websocket: &'static [File],
    channel: &'static [File],
    /// The SDK as it stands in the templates.
    sdk: &'static str,
    /// Where it is in a checkout.
    checkout: &'static str,
    /// A file that the SDK has there.
    known: &'static str,
}

const RUST: Kit = Kit {
    all: files!("rust": "manifest.toml" => "Cargo.toml", "gitignore" => ".gitignore"),
    http: files!("rust/http":
        "lib.rs" => "src/lib.rs", "consumers.rs" => "tests/consumers.rs", "README.md" => "README.md"),
    websocket: files!("rust/websocket":
        "lib.rs" => "src/lib.rs", "page.html" => "src/page.html",
        "consumers.rs" => "tests/consumers.rs", "README.md" => "README.md"),
    channel: files!("rust/channel":
        "lib.rs" => "src/lib.rs", "consumers.rs" => "tests/consumers.rs", "README.md" => "README.md"),
    sdk: "tidegate-sdk = \"0.0.0\"",
    checkout: concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk"),
    known: "Cargo.toml",
};

const PYTHON: Kit = Kit {
    all: files!("python":
        "tidegate.toml" => "tidegate.toml", "requirements.txt" => "requirements.txt",
        "gitignore" => ".gitignore"),
    http: files!("python/http":
        "app.py" => "app.py", "test_app.py" => "test_app.py", "README.md" => "README.md"),
    websocket: files!("python/websocket":
        "app.py" => "app.py", "../../rust/websocket/page.html" => "page.html",
        "test_app.py" => "test_app.py", "README.md" => "README.md"),
    channel: files!("python/channel":
        "app.py" => "app.py", "test_app.py" => "test_app.py", "README.md" => "README.md"),
    sdk: "tidegate-sdk==0.0.0",
    checkout: concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/python"),
    known: "pyproject.toml",
};

const JAVASCRIPT: Kit = Kit {
    all: files!("javascript":
        "tidegate.toml" => "tidegate.toml", "package.json" => "package.json",
        "gitignore" => ".gitignore"),
    http: files!("javascript/http":
        "app.js" => "app.js", "app.test.js" => "app.test.js", "README.md" => "README.md"),
    websocket: files!("javascript/websocket":
        "app.js" => "app.js", "../../rust/websocket/page.html" => "page.html",
        "app.test.js" => "app.test.js", "README.md" => "README.md"),
    channel: files!("javascript/channel":
        "app.js" => "app.js", "app.test.js" => "app.test.js", "README.md" => "README.md"),
    sdk: "\"@tidegate/sdk\": \"0.0.0\"",
    checkout: concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/javascript"),
    known: "package.json",
};

const TYPESCRIPT: Kit = Kit {
    all: files!("typescript":
        "tidegate.toml" => "tidegate.toml", "package.json" => "package.json",
        "tsconfig.json" => "tsconfig.json", "gitignore" => ".gitignore"),
    http: files!("typescript/http":
        "app.ts" => "app.ts", "app.test.ts" => "app.test.ts", "README.md" => "README.md"),
    websocket: files!("typescript/websocket":
        "app.ts" => "app.ts", "../../rust/websocket/page.html" => "page.html",
        "app.test.ts" => "app.test.ts", "README.md" => "README.md"),
    channel: files!("typescript/channel":
        "app.ts" => "app.ts", "app.test.ts" => "app.test.ts", "README.md" => "README.md"),
    ..JAVASCRIPT
};

impl Language {
    const fn kit(self) -> &'static Kit {
        match self {
            Self::Rust => &RUST,
            Self::Python => &PYTHON,
            Self::Javascript => &JAVASCRIPT,
            Self::Typescript => &TYPESCRIPT,
        }
    }

    /// Returns the line of a manifest that asks for the SDK: that of the checkout in which this was built, while it
    /// is there; else, and in a distribution, the one that is published with it.
    pub(super) fn sdk(self) -> String {
        let Kit { checkout, known, .. } = self.kit();
        let checkout = Path::new(checkout).canonicalize().ok();
        let is_there = |path: &PathBuf| path.join(known).is_file();
        self.sdk_at(checkout.filter(|path| is_there(path) && !is_of_distribution()))
    }

    fn sdk_at(self, checkout: Option<PathBuf>) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match (self, checkout) {
            (Self::Rust, Some(path)) => format!("tidegate-sdk = {{ path = {} }}", quoted(&path)),
            (Self::Rust, None) => format!("tidegate-sdk = \"{version}\""),
            (Self::Python, Some(path)) => format!("tidegate-sdk @ {}", file_url(&path)),
            (Self::Python, None) => format!("tidegate-sdk=={version}"),
            (Self::Javascript | Self::Typescript, Some(path)) => {
                let path = serde_json::Value::from(format!("file:{}", path.display()));
                format!("\"@tidegate/sdk\": {path}")
            }
            (Self::Javascript | Self::Typescript, None) => {
                format!("\"@tidegate/sdk\": \"{version}\"")
            }
        }
    }
}

/// Quotes and escapes of JSON are those of TOML, too.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

fn file_url(path: &PathBuf) -> String {
    url::Url::from_file_path(path).map_or_else(|()| path.display().to_string(), String::from)
}

impl Template {
    /// The files of a project for a module of that name.
    pub(super) fn files(self, language: Language, module: &str) -> Vec<(&'static str, String)> {
        let kit = language.kit();
        let own = match self {
            Self::Http => kit.http,
            Self::Websocket => kit.websocket,
            Self::Channel => kit.channel,
        };
        let (of_crate, sdk) = (module.replace('-', "_"), language.sdk());
        let filled = |text: &str| {
            text.replace(kit.sdk, &sdk).replace(NAME, module).replace(CRATE, &of_crate)
        };
        kit.all.iter().chain(own).map(|(path, text)| (*path, filled(text))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_leaves_a_name_to_be_replaced() {
        for language in Language::value_variants() {
            for template in Template::value_variants() {
                for (path, text) in template.files(*language, "tide-2") {
                    for word in [NAME, CRATE, language.kit().sdk] {
                        assert!(!text.contains(word), "{language:?} {template:?} {path}: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_a_checkout_the_sdk_is_the_published_one_of_the_same_version() {
        let version = env!("CARGO_PKG_VERSION");
        let wanted = |language: Language| language.sdk_at(None);
        assert_eq!(wanted(Language::Rust), format!("tidegate-sdk = \"{version}\""));
        assert_eq!(wanted(Language::Python), format!("tidegate-sdk=={version}"));
        for language in [Language::Javascript, Language::Typescript] {
            assert_eq!(wanted(language), format!("\"@tidegate/sdk\": \"{version}\""));
        }
    }

    #[test]
    fn the_sdk_is_that_of_this_checkout() {
        let files = Template::Http.files(Language::Rust, "tide");
        let (_, manifest) = files.iter().find(|(path, _)| *path == "Cargo.toml").unwrap();
        let table: toml::Table = manifest.parse().unwrap();
        let path = table["dependencies"]["tidegate-sdk"]["path"].as_str().unwrap();
        assert!(Path::new(path).join("src/lib.rs").is_file(), "{path}");
        assert!(table["package"]["name"].as_str() == Some("tide"), "{manifest}");
        let wanted = Language::Python.sdk();
        let path = wanted.strip_prefix("tidegate-sdk @ file://").unwrap();
        assert!(Path::new(path).join("src/tidegate_sdk").is_dir(), "{path}");
        for language in [Language::Javascript, Language::Typescript] {
            let files = Template::Http.files(language, "tide");
            let (_, package) = files.iter().find(|(path, _)| *path == "package.json").unwrap();
            let package: serde_json::Value = serde_json::from_str(package).unwrap();
            let wanted = package["dependencies"]["@tidegate/sdk"].as_str().unwrap();
            let path = wanted.strip_prefix("file:").unwrap();
            assert!(Path::new(path).join("src/index.js").is_file(), "{path}");
        }
    }
}
