//! A host in this process, on free ports.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use tidegate::{
    RunningApp,
    config::Layers,
    interface::Endpoint,
    message::{self, Answer, Done, Event, ModuleName, Outcome, Payload},
    registry::{Change, DeployError, Deployed, Version},
    telemetry::{ByCode, ByModule, ByOutcome, ByRefusal, DropReason, OutsideRefusal},
    worker::Record,
};

use crate::{Admin, Client, Reply, Slots, Socket, compiled_dir, example, guest, must};

/// What a host is started with.
#[derive(Debug, Default)]
pub struct HostBuilder {
    /// One address without TLS if none.
    listen: Option<String>,
    top: String,
    sections: String,
    /// One that ends with the host if none.
    data: Option<PathBuf>,
    compiler: Option<PathBuf>,
}

impl HostBuilder {
    /// Serves an example under its name.
    #[must_use]
    pub fn example(self, name: &str) -> Self {
        self.module(name, &example(name))
    }

    /// Serves a test guest under its name.
    #[must_use]
    pub fn guest(self, name: &str) -> Self {
        self.module(name, &guest(name))
    }

    /// Serves a file.
    #[must_use]
    pub fn module(mut self, name: &str, file: &Path) -> Self {
        writeln!(self.sections, "[modules.{name}]\nfile = {:?}", file.display().to_string())
            .unwrap();
        self
    }

    /// Sets something of the module that was named last.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        writeln!(self.sections, "{line}").unwrap();
        self
    }

    /// Listens at these places, of which the first must be an address.
    #[must_use]
    pub fn listen(mut self, places: &[&str]) -> Self {
        self.listen = Some(format!("{places:?}"));
        self
    }

    /// Sets something outside of sections.
    #[must_use]
    pub fn set(mut self, line: &str) -> Self {
        writeln!(self.top, "{line}").unwrap();
        self
    }

    /// Adds a section as it stands in `tidegate.toml`.
    #[must_use]
    pub fn section(self, text: &str) -> Self {
        self.with(text)
    }

    /// Keeps modules in a directory that is there already.
    #[must_use]
    pub fn data_dir(mut self, directory: &Path) -> Self {
        self.data = Some(directory.to_owned());
        self
    }

    /// Compiles in a child process that runs a program.
    #[must_use]
    pub fn compiler(mut self, program: &str) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// Starts the host.
    pub async fn start(self) -> Host {
        let Self { listen, top, sections, data, compiler } = self;
        let listen = listen.unwrap_or_else(|| "'127.0.0.1:0'".to_owned());
        let own = tempfile::tempdir().unwrap();
        let data = data.unwrap_or_else(|| own.path().to_owned());
        let compiled = match top.contains("compiled_dir") {
            true => String::new(),
            false => format!("compiled_dir = {:?}\n", compiled_dir().display().to_string()),
        };
        let text = format!(
            "listen = {listen}\nadmin = '127.0.0.1:0'\ndata_dir = {:?}\n{compiled}{top}{sections}",
            data.display().to_string()
        );
        let mut layers = Layers::default();
        layers.add_file("tidegate.toml", &text).unwrap();
        let mut config = layers.finish().unwrap();
        config.compiler.program = compiler;
        let app = config.build().await.unwrap().start().await.unwrap();
        Host { app, data, _own: own }
    }
}

/// A host that runs in this process.
#[derive(Debug)]
pub struct Host {
    app: RunningApp,
    data: PathBuf,
    _own: TempDir,
}

impl Host {
    /// A host with default settings and no modules yet.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// The parts of the host.
    pub const fn app(&self) -> &RunningApp {
        &self.app
    }

    /// Where it serves first.
    pub fn address(&self) -> SocketAddr {
        let first = self.app.endpoints().first().and_then(Endpoint::address);
        first.expect("the first listener of a test has an address")
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// The response to a `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.client().get(path).await
    }

    /// The response to a `POST` without a body.
    pub async fn post(&self, path: &str) -> Reply {
        self.client().request("POST", path, &[], "").await
    }

    /// An open WebSocket.
    pub async fn websocket(&self, path: &str) -> Socket {
        Socket::open(self.address(), path).await
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// A client of its admin API.
    pub fn admin(&self) -> Admin {
        Admin::new(self.app.admin_address(), &self.data)
    }

    /// Deploys another file under a module's name, while all goes on.
    pub async fn try_deploy(&self, name: &str, file: &Path) -> Result<Deployed, DeployError> {
        let deployments = self.app.deployments();
        let turn = deployments.turn(&ModuleName::parse(name).unwrap()).await.unwrap();
        let wasm = std::fs::read(file).unwrap().into();
        deployments.deploy(turn, wasm, &Change::default()).await
    }

    /// The same with a file that must be taken: its version.
    pub async fn activate(&self, name: &str, file: &Path) -> u64 {
        self.try_deploy(name, file).await.unwrap().version
    }

    /// The version of a module that is active.
    pub fn version(&self, name: &str) -> Arc<Version> {
        let modules = self.app.deployments().registry().snapshot();
        Arc::clone(modules.version(&ModuleName::parse(name).unwrap()).unwrap())
    }

    /// Asks a new version for something that it does well until it has proved itself.
    pub async fn prove(&self, name: &str, path: &str) {
        while self.version(name).probation.is_on() {
            assert_eq!(self.get(path).await.status, 200);
        }
    }

    /// The only record that a response or close reason names by its id.
    pub fn record_of(&self, text: &str) -> Arc<Record> {
        let id = text
            .split(|c: char| !c.is_ascii_hexdigit())
            .find(|word| word.len() == 32)
            .unwrap_or_else(|| panic!("no id in {text:?}"));
        let found = self.app.records().find(id);
        let faults: Vec<_> = found.into_iter().filter(|record| record.fault().is_some()).collect();
        assert_eq!(faults.len(), 1, "records of faults with the id {id}");
        faults.into_iter().next().unwrap()
    }

    /// How many invocations of a module ended like this.
    pub fn invocations(&self, module: &str, outcome: &'static str) -> u64 {
        let by = ByOutcome { module: module.to_owned(), outcome };
        self.app.metrics().invocations.get_or_create(&by).get()
    }

    /// How many sends of a module were refused.
    pub fn sends_refused(&self, module: &str) -> u64 {
        let by = ByModule { module: module.to_owned() };
        self.app.metrics().sends_refused.get_or_create(&by).get()
    }

    /// How often the guard judged requests to servers outside not to be granted: for a reason, with an action.
    pub fn outside_refusals(
        &self,
        module: &str,
        reason: &'static str,
        action: &'static str,
    ) -> u64 {
        let by = OutsideRefusal { module: module.to_owned(), reason, action };
        self.app.metrics().outside_refusals.get_or_create(&by).get()
    }

    /// How many WebSockets were closed with a code.
    pub fn closes(&self, code: &'static str) -> u64 {
        self.app.metrics().closes.get_or_create(&ByCode { code }).get()
    }

    /// How often something was refused to clients: for a reason, with an action.
    pub fn refused(&self, reason: &'static str, action: &'static str) -> u64 {
        self.app.metrics().refusals.get_or_create(&ByRefusal { reason, action }).get()
    }

    /// Asks the host for something else until a thing that cannot be awaited has happened.
    pub async fn until(&self, what: &str, happened: impl Fn(&Self) -> bool) {
        must(what, async {
            while !happened(self) {
                assert!(self.get("/nothing-is-here").await.status < 500);
            }
        })
        .await;
    }

    /// How many messages were lost for a reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.app.metrics().dropped_count(reason)
    }

    /// Waits until so many instances are left, besides those that wait for their first run. A slot answers
    /// before it drops the instance.
    pub async fn instances_left(&self, count: u64) {
        must("instances are dropped", async {
            let ready = || u64::try_from(self.app.metrics().instances_ready.get()).unwrap();
            while self.live_instances() != count + ready() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Instances that are in use.
    pub fn live_instances(&self) -> u64 {
        self.app.deployments().loader().engine().live_instances().expect("tests run with a pool")
    }

    /// Takes the next event off its channel, as a worker does. For hosts without slots.
    pub async fn next_event(&self) -> Box<Event> {
        let modules = self.app.deployments().registry().snapshot();
        let slots = Slots::read(self.app.layer(), &modules.owners, &modules.lasting, 1);
        let received = must("an event", slots.take()).await;
        match received.message.payload {
            Payload::Event(event) => event,
            Payload::Custom(content) => panic!("expected an event, got {content:?}"),
        }
    }

    /// Ends an event, as a worker does.
    pub async fn answer(&self, event: &Event, replies: Vec<message::Reply>, outcome: Outcome) {
        let (node, to) = event.scope.reply_channel.connection().unwrap();
        let done = Some(Done { outcome, state: None, activation: 1 });
        let answer = Answer { to, order: event.order, replies, done };
        self.app.layer().answer(&node, answer).await.unwrap();
    }

    /// Stops in order.
    pub async fn stop(self) -> usize {
        must("the host stops", self.app.stop()).await
    }
}
