//! From a file to a module that can be put in force: checked, compiled, its routes read.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use tokio::{runtime::Handle, sync::Semaphore};

use super::{Candidate, ModuleSettings};
use crate::{
    engine::{Cache, Compiler, Engine, FileLimits, LoadError, Program},
    message::ModuleName,
};

/// Files that are compiled at the same time: who is served goes first.
const AT_ONCE: usize = 1;

/// Loads modules. Changes nothing of what is in force.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    cache: Cache,
    compiler: Compiler,
    limits: FileLimits,
    turn: Semaphore,
}

impl Loader {
    /// Loads with an engine. Compiled code is kept in a directory.
    pub fn new(
        engine: Engine,
        compiled: &Path,
        compiler: Compiler,
        limits: FileLimits,
    ) -> std::io::Result<Self> {
        let turn = Semaphore::new(AT_ONCE);
        Ok(Self { engine, cache: Cache::open(compiled)?, compiler, limits, turn })
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What a file may have.
    pub const fn limits(&self) -> &FileLimits {
        &self.limits
    }

    /// Checks and compiles a file, and reads its routes.
    pub async fn candidate(
        &self,
        name: ModuleName,
        number: u64,
        wasm: Bytes,
        settings: ModuleSettings,
    ) -> Result<Candidate, LoadError> {
        let turn = self.turn.acquire().await;
        let load = Program::load(&self.engine, wasm, &self.limits, &self.cache, &self.compiler);
        let program = load.await?;
        let (limits, most) = (settings.limits.clone(), self.limits.routes);
        let (runtime, of) = (Handle::current(), Arc::new(program));
        let program = Arc::clone(&of);
        // The guest runs there, and not on a thread that serves sockets.
        let ask = move || runtime.block_on(of.routes(&limits, most));
        let asked = tokio::task::spawn_blocking(ask).await;
        let routes = asked.unwrap_or_else(|error| Err(LoadError::Compiler(error.to_string())))?;
        drop(turn);
        Ok(Candidate { name, number, program, routes, settings, probation: false })
    }
}
