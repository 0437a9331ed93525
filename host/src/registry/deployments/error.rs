//! Why a change of modules is refused.

use crate::{
    engine::LoadError,
    message::{ModuleName, NameError},
    registry::{SignatureError, store::StoreError},
    routing::RouteError,
    setting::error::ConfigError,
};

/// Why a change was refused. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The name is not valid.
    #[error("{name:?} is not a valid module name: {error}")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        error: NameError,
    },
    /// No module has the name.
    #[error("there is no module {0}; `tidegate modules` lists those there are")]
    NoModule(ModuleName),
    /// The file is not a module.
    #[error("module {module} is refused: {error}")]
    Load {
        /// The module.
        module: ModuleName,
        /// Why.
        error: LoadError,
    },
    /// The file is not signed as the host asks for.
    #[error("module {module} is refused: {error}")]
    Signature {
        /// The module.
        module: ModuleName,
        /// Why.
        error: SignatureError,
    },
    /// A kept version is not signed as the host asks for.
    #[error("version {version} of module {module} is not activated: {error}")]
    KeptSignature {
        /// The module.
        module: ModuleName,
        /// The version.
        version: u64,
        /// Why.
        error: SignatureError,
    },
    /// The routes conflict with those of others.
    #[error(transparent)]
    Routes(#[from] RouteError),
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another change of the module is under way.
    #[error("module {0} is being changed by somebody else; wait until that is over")]
    Busy(ModuleName),
    /// There never was such a version.
    #[error("module {module} has no version {version}; the last one is {last}")]
    NoVersion {
        /// The module.
        module: ModuleName,
        /// The version asked for.
        version: u64,
        /// The last version there was.
        last: u64,
    },
    /// The version was deleted.
    #[error("version {version} of module {module} was deleted; deploy its file again")]
    Deleted {
        /// The module.
        module: ModuleName,
        /// The version.
        version: u64,
    },
    /// There is no version to go back to.
    #[error("module {0} has no version that was active before; name one")]
    NothingBefore(ModuleName),
    /// The version is active.
    #[error("version {version} of module {module} is active; activate another one first")]
    Active {
        /// The module.
        module: ModuleName,
        /// The version.
        version: u64,
    },
    /// No worker has the code.
    #[error(
        "module {module} cannot be run: no process that runs consumers could prepare it; \
         node {node}: {reason}"
    )]
    NoWorker {
        /// The module.
        module: ModuleName,
        /// A process that runs consumers.
        node: String,
        /// Why it could not.
        reason: String,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The active version cannot be run with the settings.
    #[error("version {version} of module {module} cannot live with these settings: {error}")]
    Unlivable {
        /// The module.
        module: ModuleName,
        /// The version.
        version: u64,
        /// Why.
        error: LoadError,
    },
}
