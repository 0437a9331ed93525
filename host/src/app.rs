//! Puts the parts together: the one place that knows every concrete type.
//!
//! [`Config::build`] opens ports and loads modules, and fails without a trace; [`App::start`] starts
//! tasks and slots; [`RunningApp::stop`] ends them in order.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use crate::{
    admin::{self, AdminServer, AdminToken},
    config::{Config, ModuleConfig},
    engine::{Cache, Engine, EngineError, LoadError, Program},
    interface::{BindError, Endpoint, InterfaceServer, Parts, Running, TlsError},
    layer::{ChannelLayer, LayerError, MemoryLayer},
    message::ModuleName,
    registry::{Activation, Candidate, ModuleSettings, Registry},
    routing::RouteError,
    shutdown::Drain,
    telemetry::Metrics,
    worker::{Records, WorkerConfig, WorkerPool},
};

/// Why a process could not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The engine cannot run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A directory cannot be used.
    #[error("cannot use the data directory {path}: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A module is refused.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Slots cannot be started.
    #[error("cannot start the slots: {0}")]
    Slots(io::Error),
    /// The channel layer cannot be used.
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// Why a module is refused. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file cannot be read.
    #[error("module {name}: cannot read {file}: {source}")]
    File {
        /// The module.
        name: ModuleName,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no module.
    #[error("module {name}: {file} is refused: {source}")]
    Load {
        /// The module.
        name: ModuleName,
        /// The file.
        file: PathBuf,
        /// Why.
        source: LoadError,
    },
    /// Its routes cannot stand beside those of others.
    #[error(transparent)]
    Routes(#[from] RouteError),
}

/// Loads modules and puts them in force.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    cache: Cache,
    registry: Arc<Registry>,
}

impl Loader {
    /// A loader without modules. Compiled code is kept below the data directory.
    pub fn new(slots: usize, data_dir: &Path) -> Result<Self, StartError> {
        let path = data_dir.join("compiled");
        let cache = Cache::open(&path)
            .map_err(|source| StartError::DataDir { path: path.clone(), source })?;
        let engine = Engine::new(slots)?;
        Ok(Self { engine, cache, registry: Arc::new(Registry::new()) })
    }

    /// The modules in force.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads modules and puts them in force together: all or none.
    pub async fn activate(&self, modules: &[ModuleConfig]) -> Result<Vec<Activation>, ModuleError> {
        let mut candidates = Vec::with_capacity(modules.len());
        for module in modules {
            let file = |source| ModuleError::File {
                name: module.name.clone(),
                file: module.file.clone(),
                source,
            };
            let path = module.file.clone();
            let read = move || std::fs::read(path);
            let wasm = blocking(read).await.map_err(file)?;
            let load = |source| ModuleError::Load {
                name: module.name.clone(),
                file: module.file.clone(),
                source,
            };
            let settings = module.settings.clone();
            let candidate =
                self.candidate(module.name.clone(), wasm, settings).await.map_err(load)?;
            candidates.push(candidate);
        }
        Ok(self.registry.activate(candidates)?)
    }

    /// Compiles a module and reads its routes.
    pub async fn candidate(
        &self,
        name: ModuleName,
        wasm: Vec<u8>,
        settings: ModuleSettings,
    ) -> Result<Candidate, LoadError> {
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let (limits, runtime) = (settings.limits.clone(), Handle::current());
        let load = move || {
            let program = Program::load(&engine, &wasm, Some(&cache))?;
            // The guest runs here, and not on a thread that serves sockets.
            let routes = runtime.block_on(program.routes(&limits))?;
            Ok((program, routes))
        };
        let (program, routes) = blocking(load).await?;
        Ok(Candidate { name, program: Arc::new(program), routes, settings })
    }
}

/// Runs what takes long on a thread that serves nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work returns errors and does not panic")
}

/// A process that is ready to start: ports are open, modules are loaded.
#[derive(Debug)]
pub struct App {
    loader: Loader,
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    interface: InterfaceServer,
    admin: AdminServer,
    worker: Option<WorkerConfig>,
    serving: Drain,
    asked: Drain,
    drain_delay: Duration,
}

impl Config {
    /// Opens the ports and loads the modules.
    pub async fn build(self) -> Result<App, StartError> {
        let metrics = Arc::new(Metrics::new());
        let layer: Arc<dyn ChannelLayer> =
            Arc::new(MemoryLayer::new(self.layer, Arc::clone(&metrics)));
        let slots = self.worker.as_ref().map_or(1, |worker| worker.slots);
        let loader = Loader::new(slots, &self.data_dir)?;
        let serving = Drain::new(Handle::current());
        let asked = Drain::new(Handle::current());
        let token = AdminToken::open(&self.data_dir)
            .map_err(|source| StartError::DataDir { path: self.data_dir.clone(), source })?;
        let admin = AdminServer::bind(
            self.admin,
            admin::State {
                layer: Arc::clone(&layer),
                metrics: Arc::clone(&metrics),
                serving: serving.clone(),
                asked: asked.clone(),
                token,
            },
        )
        .await?;
        let drain_delay = self.interface.drain.delay;
        let parts = Parts {
            config: self.interface,
            layer: Arc::clone(&layer),
            routes: loader.registry.routes().clone(),
            metrics: Arc::clone(&metrics),
        };
        let mut interface = InterfaceServer::new(parts, self.tls)?;
        interface.bind(self.listen).await?;
        loader.activate(&self.modules).await?;
        let worker = self.worker;
        Ok(App { loader, layer, metrics, interface, admin, worker, serving, asked, drain_delay })
    }
}

impl App {
    /// Where HTTP and WebSocket are served.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.interface.endpoints()
    }

    /// Where health and metrics are served.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Starts slots and tasks.
    pub async fn start(self) -> Result<RunningApp, StartError> {
        let (endpoints, admin_address) = (self.endpoints().to_vec(), self.admin_address());
        let worker = match &self.worker {
            None => None,
            Some(config) => Some(
                WorkerPool::start(
                    config,
                    Arc::clone(&self.layer),
                    Arc::clone(&self.loader.registry),
                    Arc::clone(&self.metrics),
                    Drain::new(Handle::current()),
                )
                .map_err(StartError::Slots)?,
            ),
        };
        let interface = self.interface.start().await?;
        let admin = Drain::new(Handle::current());
        self.admin.start(&admin);
        Ok(RunningApp {
            endpoints,
            admin_address,
            loader: self.loader,
            layer: self.layer,
            metrics: self.metrics,
            serving: self.serving,
            asked: self.asked,
            drain_delay: self.drain_delay,
            interface,
            worker,
            admin,
        })
    }
}

/// A process that serves.
#[derive(Debug)]
pub struct RunningApp {
    endpoints: Vec<Endpoint>,
    admin_address: SocketAddr,
    loader: Loader,
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    serving: Drain,
    /// Stopped by whoever asks the process to stop over the admin listener.
    asked: Drain,
    drain_delay: Duration,
    interface: Running,
    worker: Option<WorkerPool>,
    admin: Drain,
}

impl RunningApp {
    /// Where HTTP and WebSocket are served.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Where health and metrics are served.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Loads other modules while this runs.
    pub const fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The channel layer.
    pub const fn layer(&self) -> &Arc<dyn ChannelLayer> {
        &self.layer
    }

    /// What was counted.
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What is known of past invocations; none without slots.
    pub fn records(&self) -> Option<&Arc<Records>> {
        self.worker.as_ref().map(WorkerPool::records)
    }

    /// Resolves when somebody asks over the admin listener for a stop.
    pub async fn asked_to_stop(&self) {
        self.asked.stopping().await;
    }

    /// Reads the certificate again. One that cannot be used changes nothing and is logged.
    pub fn reload_certificate(&self) {
        self.interface.reload_certificate();
    }

    /// Turns readiness red and goes on as before until load balancers have noticed; then stops.
    pub async fn drain(self) -> usize {
        self.serving.stop();
        tokio::time::sleep_until(Instant::now() + self.drain_delay).await;
        self.stop().await
    }

    /// Stops in order: connections, with their last events served; slots; the admin listener.
    /// Returns how many connections were left when the grace period was over.
    pub async fn stop(self) -> usize {
        self.serving.stop();
        let left = self.interface.stop().await;
        if let Some(worker) = self.worker {
            worker.stop().await;
        }
        self.admin.stop();
        self.admin.finished().await;
        left
    }
}
