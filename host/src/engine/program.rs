//! Compiled, checked and linked code of one module.

use std::{fmt, sync::Arc};

use super::{
    Cache, Engine, Finished, Instance, Job, Limits, LoadError, bindings, check, declared,
    instance::{self, Run},
};
use crate::routing::RouteSpec;

/// Compiled code that is ready to be instantiated.
pub struct Program {
    pub(super) engine: Engine,
    pub(super) pre: bindings::ModulePre<Run>,
    digest: String,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Program {
    /// Checks and compiles a component, or takes its code from the cache. Takes some 100 ms of CPU:
    /// not for a thread that serves connections.
    pub fn load(engine: &Engine, wasm: &[u8], cache: Option<&Cache>) -> Result<Self, LoadError> {
        check::bytes(wasm)?;
        let digest = super::cache::digest(wasm);
        let component = super::cache::component(engine, wasm, &digest, cache)?;
        check::component(engine, &component)?;
        let broken = |error: wasmtime::Error| LoadError::Invalid(format!("{error:#}"));
        // Otherwise the first event of a version would pay for it.
        component.initialize_copy_on_write_image().map_err(broken)?;
        let pre = engine.linker.instantiate_pre(&component).map_err(broken)?;
        let pre = bindings::ModulePre::new(pre).map_err(broken)?;
        Ok(Self { engine: engine.clone(), pre, digest })
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Asks the module for its consumers, in the sandbox.
    pub async fn routes(&self, limits: &Limits) -> Result<Vec<RouteSpec>, LoadError> {
        declared::routes(self, limits).await
    }

    /// Runs a job. The instance comes back if it may run again.
    pub async fn run(
        self: &Arc<Self>,
        job: Job,
        warm: Option<Instance>,
    ) -> (Finished, Option<Instance>) {
        instance::run(self, job, warm).await
    }
}
