//! Finds the crate to build, and the directories of its sources.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{CargoError, cargo_program};

/// A crate that makes a module.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Crate {
    /// How cargo names it, among all crates that it knows.
    pub(super) id: String,
    /// Its name.
    pub(in crate::cli) name: String,
    /// Its version.
    pub(in crate::cli) version: String,
    /// Where its manifest is.
    pub(in crate::cli) directory: PathBuf,
}

/// The part that is read of `cargo metadata --format-version 1 --no-deps`.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Made>,
    dependencies: Vec<Dependency>,
}

/// The kinds of a target: a library, a program, a test.
#[derive(Debug, Deserialize)]
struct Made {
    crate_types: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    /// Only of one that is a directory.
    path: Option<PathBuf>,
}

impl Package {
    fn makes_module(&self) -> bool {
        self.targets.iter().any(|made| made.crate_types.iter().any(|kind| kind == "cdylib"))
    }

    fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }

    fn into_crate(self) -> Crate {
        let directory = self.directory().to_owned();
        Crate { id: self.id, name: self.name, version: self.version, directory }
    }
}

/// The crate of a directory: the one named, or that whose manifest is there, or the only one of the
/// workspace that makes a module.
pub(in crate::cli) fn find(path: &Path, named: Option<&str>) -> Result<Crate, CargoError> {
    let here = || path.to_owned();
    let mut modules = read(path)?.packages;
    modules.retain(Package::makes_module);
    let names = modules.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
    let place = path.canonicalize().unwrap_or_else(|_| here());
    let nearest = place.ancestors().find(|directory| directory.join("Cargo.toml").is_file());
    let chosen = match named {
        Some(name) => modules.iter().position(|package| package.name == name),
        None if modules.len() == 1 => Some(0),
        None => modules.iter().position(|package| Some(package.directory()) == nearest),
    };
    match (chosen, named) {
        (Some(at), _) => Ok(modules.swap_remove(at).into_crate()),
        (None, _) if names.is_empty() => Err(CargoError::NoModule { path: here() }),
        (None, None) => Err(CargoError::Several { path: here(), names }),
        (None, Some(name)) => {
            let others = format!("there is {names}");
            Err(CargoError::NoSuchCrate { path: here(), name: name.to_owned(), others })
        }
    }
}

/// Where the sources of a crate are, and of those that it depends on by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Sources {
    /// Their directories.
    pub(in crate::cli) directories: BTreeSet<PathBuf>,
    /// Files that say how they are built, whether they are there or not.
    pub(in crate::cli) manifests: BTreeSet<PathBuf>,
    /// The directories in which cargo writes.
    pub(in crate::cli) outputs: BTreeSet<PathBuf>,
}

/// Files of a crate that say how it is built.
const OF_CRATE: [&str; 2] = ["Cargo.toml", "build.rs"];
/// The same of a workspace.
const OF_WORKSPACE: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "rust-toolchain", "rust-toolchain.toml"];

/// Finds the sources of a crate.
pub(in crate::cli) fn sources(of: &Crate) -> Sources {
    let mut sources = Sources::default();
    let mut left = vec![of.directory.clone()];
    while let Some(directory) = left.pop() {
        if !sources.directories.insert(directory.clone()) {
            continue;
        }
        sources.manifests.extend(OF_CRATE.map(|name| directory.join(name)));
        // One that cannot be read now is still looked at for changes.
        let Ok(metadata) = read(&directory) else { continue };
        let root = metadata.workspace_root;
        sources.manifests.extend(OF_WORKSPACE.map(|name| root.join(name)));
        sources.outputs.insert(metadata.target_directory);
        let own = metadata.packages.into_iter().filter(|package| package.directory() == directory);
        left.extend(own.flat_map(|package| package.dependencies).filter_map(|other| other.path));
    }
    sources
}

fn read(path: &Path) -> Result<Metadata, CargoError> {
    let program = cargo_program();
    let no_crate =
        |said: &str| CargoError::NoCrate { path: path.to_owned(), said: said.to_owned() };
    if !path.is_dir() {
        return Err(no_crate("there is no such directory; give the crate's with --path"));
    }
    let output = Command::new(&program)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CargoError::NoCargo { program: program.display().to_string(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        return Err(no_crate(said.strip_prefix("error: ").unwrap_or(said)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| no_crate(&format!("what cargo says of it cannot be read: {error}")))
}
