//! Checks and compiles files and reads their routes, so that they can be activated.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use bytes::Bytes;
use tokio::{runtime::Handle, sync::Semaphore, time::Instant};

use super::{Candidate, ModuleSettings, Signers};
use crate::{
    engine::{Cache, Compiler, Engine, FileLimits, LoadError, Program},
    message::ModuleName,
};

/// Files that are compiled at the same time while the process serves: who is served goes first.
const COMPILATIONS_SERVING_MAX: usize = 1;
/// The most files that are compiled at the same time before that, since each may take much memory.
const COMPILATIONS_STARTING_MAX: usize = 8;

/// How long code that was prepared for an activation is kept in memory.
const PREPARED_EXPIRY: Duration = Duration::from_secs(60);

/// Loads modules. Does not change the active ones.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    cache: Cache,
    compiler: Compiler,
    limits: FileLimits,
    /// Whose files may be deployed.
    signers: Signers,
    /// Whether this process accepts connections and does not find out who is at the other end.
    knows_nobody: bool,
    /// Files that are loaded at the same time before the process serves: one for each core.
    at_once: usize,
    turn: Semaphore,
    serving: Once,
    /// Code of files that are about to become active, by digest. Locked for single operations only.
    prepared: Mutex<HashMap<String, (Arc<Program>, Instant)>>,
}

impl Loader {
    /// Loads with an engine. Compiled code is kept in a directory.
    pub fn new(
        engine: Engine,
        compiled: &Path,
        compiler: Compiler,
        limits: FileLimits,
    ) -> std::io::Result<Self> {
        let cores = available_parallelism().map_or(1, usize::from);
        let at_once = cores.clamp(COMPILATIONS_SERVING_MAX, COMPILATIONS_STARTING_MAX);
        let (turn, serving) = (Semaphore::new(at_once), Once::new());
        let (cache, prepared) = (Cache::open(compiled)?, Mutex::default());
        let (signers, knows_nobody) = (Signers::default(), false);
        Ok(Self {
            engine,
            cache,
            compiler,
            limits,
            signers,
            knows_nobody,
            at_once,
            turn,
            serving,
            prepared,
        })
    }

    /// Deploys only files that one of the signers has signed, if there are some.
    #[must_use]
    pub fn with_signers(self, signers: Signers) -> Self {
        Self { signers, ..self }
    }

    /// Refuses modules that ask who somebody is: nobody could reach their consumers.
    #[must_use]
    pub fn without_users(self) -> Self {
        Self { knows_nobody: true, ..self }
    }

    /// Returns how many files are worth loading at the same time before the process serves.
    pub(super) const fn at_once(&self) -> usize {
        self.at_once
    }

    /// Leaves the cores to those who are served: from now on files are compiled one after the other.
    pub(super) fn leave_cores(&self) {
        self.serving.call_once(|| {
            self.turn.forget_permits(self.at_once - COMPILATIONS_SERVING_MAX);
        });
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whose files may be deployed.
    pub(super) const fn signers(&self) -> &Signers {
        &self.signers
    }

    /// The limits of files.
    pub const fn limits(&self) -> &FileLimits {
        &self.limits
    }

    /// Checks and compiles a file, and reads its routes and declarations.
    pub async fn candidate(
        &self,
        name: ModuleName,
        number: u64,
        wasm: Bytes,
        settings: ModuleSettings,
    ) -> Result<Candidate, LoadError> {
        let kept = Program::kept(&self.engine, wasm.clone(), &self.limits, &self.cache).await?;
        // Code from the cache does not wait for compilations.
        let (program, turn) = match kept {
            Some(program) => (program, None),
            None => {
                let turn = self.turn.acquire().await;
                let (begun, bytes) = (Instant::now(), wasm.len());
                tracing::info!(module = %name, bytes, "compiling");
                let (engine, limits) = (&self.engine, &self.limits);
                let load = Program::load(engine, wasm, limits, &self.cache, &self.compiler);
                let program = load.await?;
                tracing::info!(module = %name, took = ?begun.elapsed(), "compiled");
                (program, Some(turn))
            }
        };
        let candidate = self.candidate_of(name, number, program, settings).await;
        drop(turn);
        candidate
    }

    /// Makes a candidate of compiled code: reads its routes and declarations.
    pub(super) async fn candidate_of(
        &self,
        name: ModuleName,
        number: u64,
        program: Program,
        settings: ModuleSettings,
    ) -> Result<Candidate, LoadError> {
        program.check_grants(&settings.grants)?;
        let (limits, most) = (settings.limits.clone(), self.limits.routes);
        let (runtime, of) = (Handle::current(), Arc::new(program));
        let program = Arc::clone(&of);
        // The guest runs there, and not on a thread that serves sockets.
        let ask = move || runtime.block_on(of.consumers(&limits, most));
        let asked = tokio::task::spawn_blocking(ask).await;
        let asked = asked.unwrap_or_else(|error| Err(LoadError::Compiler(error.to_string())));
        let (routes, declarations) = asked?;
        if let (true, Some((consumer, _))) = (self.knows_nobody, declarations.access().next()) {
            return Err(LoadError::NoAuth { consumer: consumer.to_string() });
        }
        let bounds = settings.grants.history;
        let too_large = declarations.histories().find(|(_, rule)| rule.bytes > bounds.bytes);
        if let Some((pattern, rule)) = too_large {
            let (pattern, bytes, limit) = (pattern.to_string(), rule.bytes, bounds.bytes);
            return Err(LoadError::HistoryTooLarge { pattern, bytes, limit });
        }
        let declarations = Arc::new(declarations);
        Ok(Candidate {
            name,
            number,
            program,
            routes,
            declarations,
            settings,
            probation: false,
            active_since: None,
        })
    }
}

impl Loader {
    fn prepared(&self) -> MutexGuard<'_, HashMap<String, (Arc<Program>, Instant)>> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|_, (_, since)| since.elapsed() < PREPARED_EXPIRY);
        prepared
    }

    /// Keeps code in memory for a while, since it is about to become active.
    pub(super) fn keep_prepared(&self, program: Arc<Program>) {
        self.prepared().insert(program.digest().to_owned(), (program, Instant::now()));
    }

    /// Returns code that was prepared.
    pub(super) fn prepared_program(&self, digest: &str) -> Option<Arc<Program>> {
        self.prepared().get(digest).map(|(program, _)| Arc::clone(program))
    }

    /// Returns how long a compilation may take.
    pub(super) const fn compile_time(&self) -> Duration {
        self.compiler.limits.time
    }
}
