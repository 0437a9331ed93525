//! The project that `tidegate build` and `tidegate dev` build: a crate, or anything that says in `[build]` of its
//! `tidegate.toml` how it is built.

mod recipe;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use self::recipe::{Recipe, RecipeError};
use super::cargo::{self, CargoError, Crate, Sources, Target};
use crate::engine;

/// A project that makes one module.
#[derive(Clone, Debug)]
pub(super) enum Project {
    /// A crate, which cargo builds.
    Crate(Crate),
    /// A project in another language.
    Recipe(Recipe),
}

/// A module's file.
#[derive(Clone, Debug)]
pub(super) struct Built {
    /// Where it is.
    pub(super) file: PathBuf,
    /// Its content.
    pub(super) wasm: Vec<u8>,
    /// The SHA-256 of that, in hexadecimal.
    pub(super) digest: String,
    /// The target, of a crate.
    pub(super) target: Option<Target>,
    /// How long the build took.
    pub(super) took: Duration,
}

/// A project cannot be found or built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// It is a crate.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// It is no crate.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The file that was made cannot be read.
    #[error("cannot read {file}: {source}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BuildError {
    /// Whether the machine lacks something, and the project may be right.
    pub(super) const fn is_of_machine(&self) -> bool {
        match self {
            Self::Cargo(error) => error.is_of_machine(),
            Self::Recipe(error) => error.is_of_machine(),
            Self::File { .. } => false,
        }
    }

    /// Whether the tools have said what is wrong with the sources.
    pub(super) const fn is_of_sources(&self) -> bool {
        matches!(
            self,
            Self::Cargo(CargoError::Failed { .. }) | Self::Recipe(RecipeError::Failed { .. })
        )
    }
}

impl Project {
    /// The project of a directory or of the nearest one above it. `package` names a crate of a workspace.
    pub(super) fn find(path: &Path, package: Option<&str>) -> Result<Self, BuildError> {
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for directory in place.ancestors() {
            if package.is_none()
                && let Some(recipe) = Recipe::read(directory)?
            {
                return Ok(Self::Recipe(recipe));
            }
            if directory.join("Cargo.toml").is_file() {
                break;
            }
        }
        Ok(Self::Crate(cargo::find(path, package)?))
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Crate(of) => &of.name,
            Self::Recipe(of) => &of.name,
        }
    }

    /// Its version, of a crate.
    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Crate(of) => Some(&of.version),
            Self::Recipe(_) => None,
        }
    }

    /// Where its sources are.
    pub(super) fn sources(&self) -> Sources {
        match self {
            Self::Crate(of) => cargo::sources(of),
            Self::Recipe(of) => of.sources(),
        }
    }

    /// Returns the files that a build has read, if its tools name them.
    pub(super) fn inputs(&self, built: &Built) -> Option<BTreeSet<PathBuf>> {
        match self {
            Self::Crate(_) => cargo::inputs(&built.file),
            Self::Recipe(_) => None,
        }
    }

    /// Builds it; a crate without optimizing if `debug` says so. The tools get `arguments` besides. Dropping the
    /// future ends them.
    pub(super) async fn build(
        &self,
        debug: bool,
        arguments: &[String],
    ) -> Result<Built, BuildError> {
        let began = Instant::now();
        let (file, target) = match self {
            Self::Crate(of) => {
                let (file, target) = cargo::compile(of, debug, arguments).await?;
                (file, Some(target))
            }
            Self::Recipe(of) => (of.run(arguments).await?, None),
        };
        let took = began.elapsed();
        let wasm = std::fs::read(&file)
            .map_err(|source| BuildError::File { file: file.clone(), source })?;
        let digest = engine::digest(&wasm);
        Ok(Built { file, wasm, digest, target, took })
    }
}
