//! Compiled, checked and linked code of one module.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use wasmtime::component::Component;

use super::{
    Cache, Compiler, Declarations, Engine, FileLimits, Finished, Instance, Job, Limits, LoadError,
    bindings::{self, additions::exports::tidegate::channels::declarations::GuestIndices},
    check, contract, file_limits, imports,
    instance::{self, Run},
    log, routes, wasip1,
};
use crate::{
    capability::{Grants, outside::Clients},
    routing::RouteSpec,
};

/// Compiled code that is ready to be instantiated.
pub struct Program {
    pub(super) engine: Engine,
    pub(super) pre: bindings::ModulePre<Run>,
    /// Where the module's declarations are; none if it has none.
    pub(super) declarations: Option<GuestIndices>,
    digest: String,
    /// Whether it makes requests itself.
    makes_requests: bool,
    /// Whether instantiating it calls the host. Not known before the first run.
    starts_alone: OnceLock<bool>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Program {
    /// Checks a file and loads its code from the cache. Returns none if it has to be compiled.
    pub async fn kept(
        engine: &Engine,
        wasm: Bytes,
        limits: &FileLimits,
        cache: &Cache,
    ) -> Result<Option<Self>, LoadError> {
        let (digest, kept) = look(engine, wasm, limits, cache).await?;
        let Some(component) = kept else { return Ok(None) };
        let engine = engine.clone();
        blocking(move || Self::link(engine, &component, digest)).await.map(Some)
    }

    /// Checks a file and compiles it, or takes its code from the cache.
    pub async fn load(
        engine: &Engine,
        wasm: Bytes,
        limits: &FileLimits,
        cache: &Cache,
        compiler: &Compiler,
    ) -> Result<Self, LoadError> {
        let (digest, kept) = look(engine, wasm.clone(), limits, cache).await?;
        let component = match kept {
            Some(component) => component,
            None => {
                let code = compile(compiler, wasm).await?;
                let (cache, engine, digest) = (cache.clone(), engine.clone(), digest.clone());
                let keep = move || {
                    cache.keep(&engine, &digest, &code);
                    super::cache::fresh(&engine, &code)
                };
                blocking(keep).await?
            }
        };
        let engine = engine.clone();
        blocking(move || Self::link(engine, &component, digest)).await
    }

    /// Returns the same code as another program, which does not share warm instances.
    pub fn again(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            pre: self.pre.clone(),
            declarations: self.declarations.clone(),
            digest: self.digest.clone(),
            makes_requests: self.makes_requests,
            starts_alone: self.starts_alone.clone(),
        }
    }

    /// Compiles in this process, and keeps nothing: for benchmarks and tests of single parts.
    pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Self, LoadError> {
        let code = super::pool::compile(&wasip1::component(wasm)?)?;
        let component = super::cache::fresh(engine, &code)?;
        Self::link(engine.clone(), &component, super::cache::digest(wasm))
    }

    fn link(engine: Engine, component: &Component, digest: String) -> Result<Self, LoadError> {
        check::component(&engine, component)?;
        let broken = |error: wasmtime::Error| LoadError::invalid(&format!("{error:#}"));
        // Otherwise the first event of a version would pay for it.
        component.initialize_copy_on_write_image().map_err(broken)?;
        let one_line = |error: wasmtime::Error| log::one_line(&format!("{error:#}"));
        let pre = engine.linker.instantiate_pre(component);
        let pre = pre.map_err(|error| LoadError::Imports(one_line(error)))?;
        let unfit = |error: wasmtime::Error| LoadError::Exports(one_line(error));
        let declares = component.get_export_index(None, contract::DECLARATIONS).is_some();
        let declarations = declares.then(|| GuestIndices::new(&pre)).transpose().map_err(unfit)?;
        let pre = bindings::ModulePre::new(pre).map_err(unfit)?;
        let of = component.component_type();
        let makes_requests =
            of.imports(&engine.wasmtime).any(|(name, _)| name.starts_with(imports::OUTGOING_HTTP));
        let starts_alone = OnceLock::new();
        Ok(Self { engine, pre, declarations, digest, makes_requests, starts_alone })
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The clients of the engine, if the program makes requests.
    pub(super) fn clients(&self) -> Option<Arc<Clients>> {
        self.makes_requests.then(|| Arc::clone(&self.engine.clients))
    }

    /// Checks that the module is granted what it imports.
    pub fn check_grants(&self, grants: &Grants) -> Result<(), LoadError> {
        if self.makes_requests && !grants.outside.is_open() {
            return Err(LoadError::HttpNotGranted);
        }
        Ok(())
    }

    /// Asks the module for its routes and its declarations, in the sandbox. The guest runs
    /// on the thread that polls this: not one that serves connections.
    pub async fn consumers(
        &self,
        limits: &Limits,
        most: usize,
    ) -> Result<(Vec<RouteSpec>, Declarations), LoadError> {
        routes::read(self, limits, most).await
    }

    /// Runs a job on an instance of this program, or on a fresh one.
    ///
    /// The instance comes back, also after a fault. The caller drops it after it has sent the answer, because
    /// dropping it clears its memory. What it runs on again is up to the caller: [`Instance::runs`].
    pub async fn run(
        self: &Arc<Self>,
        job: Job,
        instance: Option<Instance>,
    ) -> (Finished, Option<Instance>) {
        instance::run(self, job, instance).await
    }

    /// Makes an instance ahead of need, for [`Self::run`]: one that nothing has run on. The guest's start runs
    /// on the thread that polls this, within the limits of a run, and the first run is charged its fuel.
    ///
    /// Returns none for a program that may not be prepared ([`Self::starts_alone`]), and where its start fails.
    /// Dropping the future drops the instance.
    pub async fn prepare(
        self: &Arc<Self>,
        limits: &Arc<Limits>,
        grants: &Arc<Grants>,
    ) -> Option<Instance> {
        if !self.starts_alone() {
            return None;
        }
        instance::prepare(self, limits, grants).await
    }

    /// Whether the start of an instance is known to be the same at any time: it calls nothing of the host, so it
    /// reads no clock, no random bytes and no environment. The first run finds out.
    pub fn starts_alone(&self) -> bool {
        self.starts_alone.get().is_some_and(|&alone| alone)
    }

    pub(super) fn note_start(&self, alone: bool) {
        // It is the same each time: without the host a start is deterministic.
        self.starts_alone.get_or_init(|| alone);
    }
}

/// Checks a file. Returns its digest, and its code if the cache has it.
async fn look(
    engine: &Engine,
    wasm: Bytes,
    limits: &FileLimits,
    cache: &Cache,
) -> Result<(String, Option<Component>), LoadError> {
    let (engine, limits, cache) = (engine.clone(), limits.clone(), cache.clone());
    let look = move || {
        check::kind(&wasm)?;
        file_limits::inspect(&wasm, &limits)?;
        let digest = super::cache::digest(&wasm);
        let kept = cache.component(&engine, &digest);
        Ok((digest, kept))
    };
    blocking(look).await
}

async fn compile(compiler: &Compiler, wasm: Bytes) -> Result<Vec<u8>, LoadError> {
    match &compiler.program {
        Some(program) => compiler.run(program, &wasm).await,
        None => blocking(move || super::pool::compile(&wasip1::component(&wasm)?)).await,
    }
}

/// Runs what takes long on a thread that serves nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(LoadError::Compiler(error.to_string())))
}
