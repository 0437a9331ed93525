//! The contract in `wit/`: its versions, and the interfaces that a module may name.
//!
//! A published interface never changes, so any host of a track runs what was built against any version
//! of it. An addition is an interface of its own, and a host refuses interfaces that it does not know.

use semver::Version;

use super::log;

/// The latest version that this host speaks.
pub(super) const LATEST: Version = Version::new(0, 1, 1);
/// The interface that every module exports.
pub(super) const CONSUMER: &str = "tidegate:channels/consumer@0.1.0";
/// The interface that a module exports if it declares something.
pub(super) const DECLARATIONS: &str = "tidegate:channels/declarations@0.1.1";
/// The same as [`CONSUMER`], without package and version.
const CONSUMER_NAME: &str = "consumer";
/// The function of `declarations`, which is not looked for outside of it.
const DECLARE: &str = "declare";

/// The names of all our packages begin with this.
const NAMESPACE: &str = "tidegate:";
/// The names of all interfaces of the contract begin with this, whatever their version.
const PACKAGE: &str = "tidegate:channels/";
/// The interfaces that a module may import.
const IMPORTS: &[&str] = &[
    "connection",
    "declared",
    "history",
    "invocation",
    "layer",
    "log",
    "online",
    "outside",
    "presence",
    "reply",
    "sessions",
    "store",
    "timers",
    "types",
    "users",
];
/// The interfaces that a module may export.
const EXPORTS: &[&str] = &[CONSUMER_NAME, "declarations"];

/// Which way an interface is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// The module calls it.
    Import,
    /// The host calls it.
    Export,
}

impl Direction {
    const fn known(self) -> &'static [&'static str] {
        match self {
            Self::Import => IMPORTS,
            Self::Export => EXPORTS,
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Import => "imports",
            Self::Export => "exports",
        }
    }

    fn known_in_words(self) -> String {
        let verb = match self {
            Self::Import => "offers",
            Self::Export => "reads",
        };
        format!("{verb} {}", self.known().join(", "))
    }
}

/// A module does not fit the contract of this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// It does not export consumers.
    #[error(
        "it does not export {CONSUMER} (it exports: {found}); list the consumers with an SDK, `export! {{ ... }}` in Rust with crate-type = [\"cdylib\"], `Consumer = export(...)` in Python, `export default app({{ ... }})` in JavaScript, or export the interface of wit/world.wit"
    )]
    MissingConsumer {
        /// The names that it exports instead.
        found: String,
    },
    /// It was built against another version.
    #[error(
        "it was built against tidegate:channels@{found}, and this host speaks tidegate:channels {track} up to {LATEST}{rule}; build it with a tidegate-sdk for {track}, or deploy it to a host that speaks {found}",
        track = track(),
        rule = pre_release(.found)
    )]
    OtherVersion {
        /// The version that it was built against.
        found: String,
    },
    /// It names an interface that the host does not know.
    #[error(
        "it {} {name}, which this host does not know: of tidegate:channels up to {LATEST} it {}; {}",
        .direction.verb(),
        .direction.known_in_words(),
        fix(.later.as_deref())
    )]
    Unknown {
        /// Which way it is named.
        direction: Direction,
        /// The name, in one line.
        name: String,
        /// The version that a host must speak to know it; none if the module names no later one.
        later: Option<String>,
    },
    /// It exports an interface in two versions.
    #[error(
        "it exports {interface} of tidegate:channels@{first} and of @{second}, which are one to this host; export it once"
    )]
    ExportedTwice {
        /// The interface.
        interface: String,
        /// The version that comes first in the file.
        first: String,
        /// The other version.
        second: String,
    },
    /// It exports `declare` outside of its interface, where it would not be read.
    #[error(
        "it exports `declare` by itself, where the host does not read it; export it in {DECLARATIONS}"
    )]
    LooseDeclare,
}

impl ContractError {
    /// The word for programs.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::OtherVersion { .. } => "contract",
            Self::Unknown { direction: Direction::Import, .. } => "imports",
            _ => "exports",
        }
    }
}

/// The releases that are one to the host, as people write them.
fn track() -> String {
    format!("{}.{}", LATEST.major, LATEST.minor)
}

/// The rule of pre-releases, where it is one.
fn pre_release(version: &str) -> &'static str {
    if version.contains('-') { " (a pre-release stands for itself)" } else { "" }
}

/// The fix for an unknown interface.
fn fix(later: Option<&str>) -> String {
    match later {
        Some(version) => format!(
            "deploy it to a host that speaks {version}, or build it without what needs this"
        ),
        None => "build it against the WIT of this host".to_owned(),
    }
}

/// Returns whether the linker takes a definition of one version for a name of another.
///
/// This is semantic versioning: releases with the same first number that is not 0 are one track. A
/// pre-release, and a version that begins with 0.0, stands for itself.
fn is_compatible(defined: &Version, named: &Version) -> bool {
    let is_release = |version: &Version| version.pre.is_empty();
    let track = |version: &Version| match version.major {
        0 => (0, version.minor),
        major => (major, 0),
    };
    defined == named
        || (is_release(defined)
            && is_release(named)
            && track(defined) == track(named)
            && track(defined) != (0, 0))
}

/// An interface of the contract, as a module names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface<'a> {
    name: &'a str,
    version: &'a str,
}

/// Reads the name of an import or export. Returns none if it is not of the contract.
fn interface(name: &str, direction: Direction) -> Result<Option<Interface<'_>>, ContractError> {
    let unknown = |later| {
        let name = log::one_line(name);
        Err(ContractError::Unknown { direction, name, later })
    };
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let Some((of, version)) = rest.split_once('@') else { return unknown(None) };
    let other = || ContractError::OtherVersion { found: log::one_line(version) };
    let found = Version::parse(version).map_err(|_| other())?;
    if !is_compatible(&LATEST, &found) {
        return Err(other());
    }
    if !direction.known().contains(&of) {
        let (later, Version { major, minor, patch, .. }) = (found > LATEST, found);
        return unknown(later.then(|| format!("{major}.{minor}.{patch}")));
    }
    Ok(Some(Interface { name: of, version }))
}

/// Looks at the name of an import. Returns whether it is of the contract, and known.
pub(super) fn import(name: &str) -> Result<bool, ContractError> {
    interface(name, Direction::Import).map(|found| found.is_some())
}

/// Looks at the names of all exports. An unknown one is refused: it may be a guard, and without its
/// guard a consumer would be open.
pub(super) fn exports(names: &[&str]) -> Result<(), ContractError> {
    let mut known: Vec<Interface<'_>> = Vec::new();
    for &name in names {
        match interface(name, Direction::Export)? {
            Some(found) => {
                if let Some(first) = known.iter().find(|other| other.name == found.name) {
                    let (first, second) = (first.version.to_owned(), found.version.to_owned());
                    let interface = found.name.to_owned();
                    return Err(ContractError::ExportedTwice { interface, first, second });
                }
                known.push(found);
            }
            None if name.starts_with(NAMESPACE) => {
                let (direction, name) = (Direction::Export, log::one_line(name));
                return Err(ContractError::Unknown { direction, name, later: None });
            }
            None if name == DECLARE => return Err(ContractError::LooseDeclare),
            None => {}
        }
    }
    if known.iter().any(|found| found.name == CONSUMER_NAME) {
        return Ok(());
    }
    let found = if names.is_empty() { "nothing".into() } else { log::one_line(&names.join(", ")) };
    Err(ContractError::MissingConsumer { found })
}

#[cfg(test)]
mod tests;
