//! What a component may import, and what to say of the rest.

use std::fmt;

use super::contract::LATEST;

/// The releases of WASI that the host has begin with this. Each has what those before it have.
const WASI_TRACK: &str = "0.2.";
/// The packages of WASI that the host has, and their interfaces.
const WASI_INTERFACES: [(&str, &[&str]); 7] = [
    (
        "cli",
        &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
        ],
    ),
    ("clocks", &["monotonic-clock", "wall-clock"]),
    ("filesystem", &["preopens", "types"]),
    ("http", &["outgoing-handler", "types"]),
    ("io", &["error", "poll", "streams"]),
    ("random", &["insecure", "insecure-seed", "random"]),
    (
        "sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// The import of a module that makes requests itself begins with this. It needs a grant.
pub(super) const OUTGOING_HTTP: &str = "wasi:http/outgoing-handler@";

/// Why an import is refused: the rule, and the fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportRule {
    /// It is neither of the contract nor of a package of WASI that the host has.
    Package,
    /// The host has the package of WASI, in another version.
    WasiVersion,
    /// The host has the package of WASI, without this interface.
    WasiInterface(&'static [&'static str]),
}

impl fmt::Display for ImportRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package => {
                let packages: Vec<_> =
                    WASI_INTERFACES.iter().map(|(package, _)| *package).collect();
                let packages = packages.join(", ");
                write!(
                    f,
                    "a module may import tidegate:channels up to {LATEST} and, of WASI {WASI_TRACK}x, \
                     {packages}; remove what needs the rest"
                )
            }
            Self::WasiVersion => write!(
                f,
                "a module may import releases of WASI {WASI_TRACK}x, without a pre-release such as \
                 -rc; build it with tools for WASI 0.2"
            ),
            Self::WasiInterface(interfaces) => write!(
                f,
                "of this package the host has {}; remove what needs the rest",
                interfaces.join(", ")
            ),
        }
    }
}

/// The rule that an import breaks, if it breaks one. Those of the contract are not looked at here.
pub(super) fn refused(name: &str) -> Option<ImportRule> {
    let Some(rest) = name.strip_prefix("wasi:") else { return Some(ImportRule::Package) };
    let (path, version) = rest.split_once('@').unwrap_or((rest, ""));
    let (package, interface) = path.split_once('/').unwrap_or((path, ""));
    let known = WASI_INTERFACES.iter().find(|(known, _)| *known == package);
    let Some((_, interfaces)) = known else { return Some(ImportRule::Package) };
    let patch = version.strip_prefix(WASI_TRACK).unwrap_or_default();
    if patch.is_empty() || !patch.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(ImportRule::WasiVersion);
    }
    (!interfaces.contains(&interface)).then_some(ImportRule::WasiInterface(interfaces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_what_the_host_has_are_granted() {
        for import in [
            "wasi:io/streams@0.2.0",
            "wasi:io/streams@0.2.6",
            "wasi:sockets/tcp-create-socket@0.2.12",
            "wasi:http/outgoing-handler@0.2.4",
        ] {
            assert_eq!(refused(import), None, "{import}");
        }
    }

    #[test]
    fn what_is_refused_is_refused_by_the_rule_that_it_breaks() {
        for (import, rule) in [
            (
                "wasi:http/incoming-handler@0.2.0",
                ImportRule::WasiInterface(&["outgoing-handler", "types"]),
            ),
            ("wasi:io/streams@0.3.0", ImportRule::WasiVersion),
            ("wasi:io/streams@0.2.0-rc-2023-11-10", ImportRule::WasiVersion),
            ("wasi:io/streams@0.2.", ImportRule::WasiVersion),
            ("wasi:io/streams", ImportRule::WasiVersion),
            (
                "wasi:clocks/timezone@0.2.0",
                ImportRule::WasiInterface(&["monotonic-clock", "wall-clock"]),
            ),
            ("wasi:io@0.2.0", ImportRule::WasiInterface(&["error", "poll", "streams"])),
            ("wasi:keyvalue/store@0.2.0", ImportRule::Package),
            ("acme:db/sql@0.2.0", ImportRule::Package),
            ("env", ImportRule::Package),
            ("tidegate:other/layer@0.1.0", ImportRule::Package),
        ] {
            assert_eq!(refused(import), Some(rule), "{import}");
        }
    }
}
