//! Puts the parts together: the one place that knows every concrete type.
//!
//! [`Config::build`] opens ports and loads modules, and fails without a trace; [`App::start`] starts
//! tasks and slots; [`RunningApp::stop`] ends them in order.

mod history;
mod keys;

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, time::Instant};

use self::history::{History, HistoryStays};
use crate::{
    admin::{
        self, AdminServer, AdminStore, AdminToken, DirectoryAdminStore, RedisAdminStore, Tokens,
    },
    auth::Auth,
    capability::{
        outside::{ClientError, Clients, DocumentUrlError, RootsError},
        sessions::Sessions,
        store::{self, EmbeddedStore, OpenError, RedisStoreError, Store},
    },
    config::{Backend, Config, ModuleConfig},
    engine::{Engine, EngineError, LoadError},
    interface::{BindError, Endpoint, InterfaceServer, Parts, QUESTIONS, Running, TlsError},
    layer::{ChannelLayer, LayerError, LostAtStop, MemoryLayer, RedisLayer},
    message::{ModuleName, NodeName},
    redis::Redis,
    registry::{
        DeployError, Deployments, Fleet, Given, Loader, Registry,
        store::{DirectoryStore, ModuleStore, RedisStore, StoreError},
    },
    routing::RouteError,
    shutdown::Drain,
    telemetry::{Metrics, Traces, TracesError},
    worker::{self, Records, WorkerConfig, WorkerPool},
};

/// How long a process may take to end besides its drain, while its successor waits for the data.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// The file with histories stays where it is.
    #[error(transparent)]
    Histories(#[from] HistoryStays),
    /// A module is refused.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Slots cannot be started.
    #[error("cannot start the slots: {0}")]
    Slots(io::Error),
    /// The certificates of servers outside cannot be checked.
    #[error("fetch.authorities: {0}")]
    Authorities(#[from] RootsError),
    /// The URL of the keys of tokens cannot be called.
    #[error("the keys of tokens: {0}")]
    KeyUrl(#[from] DocumentUrlError),
    /// Nothing can call it.
    #[error("the keys of tokens: {0}")]
    KeyClient(#[from] ClientError),
    /// The channel layer cannot be used.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The data of modules cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Spans cannot be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The data of modules in Redis cannot be used.
    #[error(transparent)]
    RedisStore(#[from] RedisStoreError),
}

/// Why a module is refused. The active modules stay active.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file cannot be read.
    #[error("module {name}: cannot read {file}: {error}")]
    File {
        /// The module.
        name: ModuleName,
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not a module.
    #[error("module {name}: {file} is refused: {error}")]
    Load {
        /// The module.
        name: ModuleName,
        /// The file.
        file: PathBuf,
        /// Why.
        error: LoadError,
    },
    /// Its routes cannot stand beside those of others.
    #[error(transparent)]
    Routes(#[from] RouteError),
    /// It cannot be activated.
    #[error(transparent)]
    Deploy(DeployError),
    /// The stored modules cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ModuleError {
    fn of(error: DeployError, modules: &[ModuleConfig]) -> Self {
        let DeployError::Load { module, error } = error else {
            return Self::Deploy(error);
        };
        let file = modules.iter().find(|it| it.name == module).and_then(|it| it.file.clone());
        Self::Load { name: module, file: file.unwrap_or_default(), error }
    }
}

/// Reads the files that flags and settings name.
async fn read(modules: &[ModuleConfig]) -> Result<Vec<Given>, ModuleError> {
    let mut given = Vec::new();
    for module in modules {
        let Some(path) = module.file.clone() else { continue };
        let read = tokio::fs::read(&path).await;
        let wasm = read.map_err(|error| {
            let (name, file) = (module.name.clone(), path);
            ModuleError::File { name, file, error }
        })?;
        given.push(Given { name: module.name.clone(), wasm: wasm.into() });
    }
    Ok(given)
}

impl Config {
    fn loader(&self, slots: usize, metrics: &Arc<Metrics>) -> Result<Loader, StartError> {
        let clients = Clients::new(self.authorities.as_deref(), Arc::clone(metrics))?;
        let clients = Arc::new(clients);
        let engine = Engine::new(slots, clients)?;
        let path = self.compiled_dir.clone();
        let loader = Loader::new(engine, &path, self.compiler.clone(), self.files.clone())
            .map_err(|source| StartError::DataDir { path, source })?
            .with_signers(self.signers.clone());
        // A process without a place to listen runs what other processes let in.
        let knows_nobody =
            self.auth.is_empty() && self.sessions.is_none() && !self.listen.is_empty();
        Ok(if knows_nobody { loader.without_users() } else { loader })
    }

    /// Opens the channel layer alone, for commands that only send.
    pub async fn connect(
        &self,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<dyn ChannelLayer>, LayerError> {
        let redis = self.open_redis().await?;
        self.layer(redis.as_ref(), metrics).await
    }

    /// Connects to Redis where the settings name one.
    async fn open_redis(&self) -> Result<Option<Redis>, LayerError> {
        Ok(match &self.backend {
            Backend::Memory => None,
            Backend::Redis(config) => Some(Redis::open(config, Handle::current()).await?),
        })
    }

    async fn layer(
        &self,
        redis: Option<&Redis>,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<dyn ChannelLayer>, LayerError> {
        let (config, metrics) = (self.layer.clone(), Arc::clone(metrics));
        Ok(match redis {
            None => Arc::new(MemoryLayer::new(config, metrics)),
            Some(redis) => Arc::new(RedisLayer::new(redis, config, metrics).await?),
        })
    }

    /// Checks the modules whose files are named, and gives their routes, without serving any.
    pub async fn check(&self) -> Result<Arc<Registry>, StartError> {
        let loader = self.loader(1, &Arc::default())?;
        let mut candidates = Vec::new();
        for (Given { name, wasm }, module) in
            read(&self.modules).await?.into_iter().zip(self.modules.iter().filter(has_file))
        {
            let settings = module.settings.clone();
            let refused = |error| {
                let error = DeployError::Load { module: module.name.clone(), error };
                ModuleError::of(error, &self.modules)
            };
            let candidate = loader.candidate(name, 1, wasm, settings).await.map_err(refused)?;
            candidates.push((candidate, 1));
        }
        let registry = Registry::default();
        registry.activate(candidates).map_err(ModuleError::from)?;
        Ok(Arc::new(registry))
    }

    /// Where modules are kept: with the messages, or in the data directory.
    fn store(&self, redis: Option<&Redis>) -> Result<Arc<dyn ModuleStore>, StartError> {
        if let Some(redis) = redis {
            // The token is there in any case.
            let path = self.data_dir.clone();
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|source| StartError::DataDir { path, source })?;
            return Ok(Arc::new(RedisStore::new(redis).map_err(LayerError::from)?));
        }
        let path = self.data_dir.join("modules");
        let store = DirectoryStore::open(&path);
        Ok(Arc::new(store.map_err(|source| StartError::DataDir { path, source })?))
    }

    /// The tokens of the admin API. Named ones are kept with the modules.
    fn tokens(&self, redis: Option<&Redis>) -> Result<Tokens, StartError> {
        let token = AdminToken::open(&self.data_dir)
            .map_err(|source| StartError::DataDir { path: self.data_dir.clone(), source })?;
        let store: Arc<dyn AdminStore> = match redis {
            Some(redis) => Arc::new(RedisAdminStore::new(redis).map_err(LayerError::from)?),
            None => Arc::new(DirectoryAdminStore::new(&self.data_dir)),
        };
        Ok(Tokens::new(token, store))
    }

    /// Opens the data of modules: with the messages, or in the data directory. A successor of a process waits
    /// there for the end of that one.
    async fn data(&self, redis: Option<&Redis>) -> Result<Arc<dyn Store>, StartError> {
        if let Some(redis) = redis {
            return Ok(Arc::new(store::RedisStore::open(redis).await?));
        }
        let drain = &self.interface.drain;
        let patience = drain.delay + drain.grace + HAND_OVER_TIMEOUT;
        let path = self.data_dir.join("store");
        Ok(Arc::new(EmbeddedStore::open_after(&path, patience).await?))
    }

    async fn deployments(
        &self,
        store: Arc<dyn ModuleStore>,
        drain: &Drain,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<Deployments>, StartError> {
        let slots = self.worker.as_ref().map_or(1, |worker| worker.slots);
        let loader = self.loader(slots, metrics)?;
        let written = self.modules.iter().map(|it| (it.name.clone(), it.settings.clone()));
        let defaults = self.module_defaults.clone();
        let opened = Deployments::open(loader, store, written.collect(), defaults, drain).await;
        opened.map_err(|error| StartError::Module(error.into()))
    }
}

/// Activates the files that flags and settings name.
async fn place(modules: &[ModuleConfig], deployments: &Deployments) -> Result<(), StartError> {
    let placed = deployments.place(read(modules).await?).await;
    Ok(placed.map_err(|error| ModuleError::of(error, modules))?)
}

fn has_file(module: &&ModuleConfig) -> bool {
    module.file.is_some()
}

/// A process that is ready to start: ports are open, modules are loaded.
#[derive(Debug)]
pub struct App {
    deployments: Arc<Deployments>,
    history: History,
    /// Tasks that keep what the registry reports.
    keeping: Drain,
    records: Arc<Records>,
    layer: Arc<dyn ChannelLayer>,
    data: Arc<dyn Store>,
    sessions: Option<Arc<Sessions>>,
    metrics: Arc<Metrics>,
    traces: Traces,
    interface: Option<InterfaceServer>,
    admin: AdminServer,
    worker: Option<WorkerConfig>,
    serving: Drain,
    asked: Drain,
    drain_delay: Duration,
}

impl Config {
    /// Opens the ports and loads the modules.
    pub async fn build(self) -> Result<App, StartError> {
        let keeping = Drain::new(Handle::current());
        // On the heap: all settings and parts are in it.
        let built = Box::pin(self.build_with(keeping.clone())).await;
        if built.is_err() {
            // Deployments of other processes must not wait for this one.
            keeping.stop();
            keeping.finished().await;
        }
        built
    }

    fn start_traces(&self, node: &NodeName, metrics: &Metrics) -> Result<Traces, TracesError> {
        let start = |config| Traces::start(config, node.as_str(), &metrics.telemetry);
        self.traces.as_ref().map_or_else(|| Ok(Traces::default()), start)
    }

    async fn build_with(self, keeping: Drain) -> Result<App, StartError> {
        let metrics = Arc::new(Metrics::new());
        let node = NodeName::random();
        let traces = self.start_traces(&node, &metrics)?;
        let redis = self.open_redis().await?;
        let layer = self.layer(redis.as_ref(), &metrics).await?;
        let clock = Arc::clone(&layer);
        keeping.spawn_until_stopped("later messages", async move { clock.keep_time().await });
        let data = self.data(redis.as_ref()).await?;
        let swept = Arc::clone(&data);
        keeping.spawn_until_stopped("sweep of the store", store::sweep_for_ever(swept));
        let store = self.store(redis.as_ref())?;
        let deployments = self.deployments(store, &keeping, &metrics).await?;
        layer.lend_histories(deployments.registry().histories());
        let serving = Drain::new(Handle::current());
        let asked = Drain::new(Handle::current());
        let tokens = Arc::new(self.tokens(redis.as_ref())?);
        let drain_delay = self.interface.drain.delay;
        let auth = (!self.auth.is_empty()).then(|| Arc::new(Auth::new(self.auth)));
        if let Some(auth) = auth.as_ref().filter(|_| !self.listen.is_empty()) {
            keys::keep(auth, deployments.loader().engine().clients(), &keeping)?;
        }
        let keep = |config| Arc::new(Sessions::new(config, Arc::clone(&data)));
        let sessions = self.sessions.map(keep);
        let parts = Parts {
            config: self.interface,
            layer: Arc::clone(&layer),
            routes: deployments.registry().routes().clone(),
            auth,
            sessions: sessions.clone(),
            metrics: Arc::clone(&metrics),
            traces: traces.clone(),
            node: node.clone(),
        };
        // A process without a place to listen is a worker.
        let serve = || InterfaceServer::new(parts, self.tls);
        let mut interface = (!self.listen.is_empty()).then(serve).transpose()?;
        let records = Arc::new(Records::default());
        let questions = interface.as_ref().map(|_| QUESTIONS);
        let started = SystemTime::now();
        let (of, counts) = (Arc::clone(&deployments), Arc::clone(&metrics));
        let fleet = Fleet::join(of, counts, (node, questions), started, &keeping);
        // The other processes prepare the files of flags. Slots start when the active versions are known.
        place(&self.modules, &deployments).await?;
        fleet.caught_up().await;
        deployments.leave_cores();
        let state = admin::State {
            layer: Arc::clone(&layer),
            data: Arc::clone(&data),
            metrics: Arc::clone(&metrics),
            serving: serving.clone(),
            asked: asked.clone(),
            tokens,
            deployments: Arc::clone(&deployments),
            records: Arc::clone(&records),
            fleet,
            api: admin::Api::default(),
        };
        let admin = AdminServer::bind(self.admin, state).await?;
        if let Some(interface) = &mut interface {
            interface.bind(self.listen).await?;
        }
        let worker = self.worker;
        // Last: a start that fails leaves the file to the next one.
        let history = History::take_up(&layer, &data, &self.data_dir).await?;
        Ok(App {
            deployments,
            history,
            keeping,
            records,
            layer,
            data,
            sessions,
            metrics,
            traces,
            interface,
            admin,
            worker,
            serving,
            asked,
            drain_delay,
        })
    }
}

impl App {
    /// Where HTTP and WebSocket are served.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.interface.as_ref().map_or(&[], |interface| interface.endpoints())
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
            Some(config) => {
                let parts = worker::Parts {
                    layer: Arc::clone(&self.layer),
                    store: self.data,
                    sessions: self.sessions,
                    registry: Arc::clone(self.deployments.registry()),
                    metrics: Arc::clone(&self.metrics),
                    records: Arc::clone(&self.records),
                    clients: Arc::clone(self.deployments.loader().engine().clients()),
                    traces: self.traces.clone(),
                };
                let drain = Drain::new(Handle::current());
                Some(WorkerPool::start(config, parts, drain).map_err(StartError::Slots)?)
            }
        };
        let interface = match self.interface {
            None => None,
            Some(interface) => Some(interface.start().await?),
        };
        let admin = Drain::new(Handle::current());
        self.admin.start(&admin);
        Ok(RunningApp {
            endpoints,
            admin_address,
            deployments: self.deployments,
            history: self.history,
            keeping: self.keeping,
            records: self.records,
            layer: self.layer,
            metrics: self.metrics,
            traces: self.traces,
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
    deployments: Arc<Deployments>,
    history: History,
    keeping: Drain,
    records: Arc<Records>,
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    traces: Traces,
    serving: Drain,
    /// Stopped when a client of the admin listener asks the process to stop.
    asked: Drain,
    drain_delay: Duration,
    interface: Option<Running>,
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

    /// The deployed modules, and their changes.
    pub const fn deployments(&self) -> &Arc<Deployments> {
        &self.deployments
    }

    /// The channel layer.
    pub const fn layer(&self) -> &Arc<dyn ChannelLayer> {
        &self.layer
    }

    /// The metrics.
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The records of past invocations; none without slots.
    pub const fn records(&self) -> &Arc<Records> {
        &self.records
    }

    /// Resolves when somebody asks over the admin listener for a stop.
    pub async fn asked_to_stop(&self) {
        self.asked.stopping().await;
    }

    /// Reads the certificate and the keys of tokens again. What cannot be used changes nothing and is logged.
    pub fn reload(&self) {
        if let Some(interface) = &self.interface {
            interface.reload();
        }
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
        let left = match self.interface {
            None => 0,
            Some(interface) => interface.stop().await,
        };
        let stored = match self.worker {
            None => 0,
            Some(worker) => worker.stop().await,
        };
        let LostAtStop { delayed, at_least_once, at_most_once } = self.layer.stop(stored).await;
        if delayed + at_least_once + at_most_once > 0 {
            tracing::warn!(
                delayed,
                at_least_once,
                at_most_once,
                "messages that waited are lost: this process keeps them in its memory alone; over \
                 Redis they outlive it"
            );
        }
        // While its metrics can be read.
        self.traces.finish().await;
        self.admin.stop();
        self.admin.finished().await;
        self.keeping.stop();
        self.keeping.finished().await;
        self.history.leave().await;
        left
    }
}
