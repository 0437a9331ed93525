//! A host in this process, on free ports.

use std::{collections::HashMap, fmt::Write as _, net::SocketAddr, path::Path, sync::Arc};

use tidegate::{
    RunningApp,
    config::{Layers, ModuleConfig},
    interface::Endpoint,
    layer::Demand,
    message::{self, Answer, Done, Event, ModuleName, Outcome, Payload},
    registry::{Activation, ModuleSettings},
    telemetry::{ByCode, ByModule, ByOutcome, ByRefusal},
    worker::Record,
};

use crate::{Client, Reply, Socket, data_dir, example, guest, must};

/// What a host is started with.
#[derive(Debug, Default)]
pub struct HostBuilder {
    /// One address without TLS if none.
    listen: Option<String>,
    top: String,
    sections: String,
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

    /// Starts the host.
    pub async fn start(self) -> Host {
        let Self { listen, top, sections } = self;
        let listen = listen.unwrap_or_else(|| "'127.0.0.1:0'".to_owned());
        let data = data_dir().display().to_string();
        let text = format!(
            "listen = {listen}\nadmin = '127.0.0.1:0'\ndata_dir = {data:?}\n{top}{sections}"
        );
        let mut layers = Layers::default();
        layers.add_file("tidegate.toml", &text).unwrap();
        let app = layers.finish().unwrap().build().await.unwrap().start().await.unwrap();
        Host { app }
    }
}

/// A host that runs in this process.
#[derive(Debug)]
pub struct Host {
    app: RunningApp,
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

    /// Puts another file in force under a module's name, while all goes on.
    pub async fn activate(&self, name: &str, file: &Path) -> Activation {
        let module = ModuleConfig {
            name: ModuleName::parse(name).unwrap(),
            file: file.to_owned(),
            settings: ModuleSettings::default(),
        };
        self.app.loader().activate(&[module]).await.unwrap().remove(0)
    }

    /// The only record that a response or close reason names by its id.
    pub fn record_of(&self, text: &str) -> Arc<Record> {
        let id = text
            .split(|c: char| !c.is_ascii_hexdigit())
            .find(|word| word.len() == 32)
            .unwrap_or_else(|| panic!("no id in {text:?}"));
        let found = self.app.records().unwrap().find(id);
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
    pub fn dropped(&self, reason: &'static str) -> u64 {
        self.app.metrics().dropped_count(reason)
    }

    /// Instances that are in use.
    pub fn live_instances(&self) -> u64 {
        self.app.loader().engine().live_instances().expect("tests run with a pool")
    }

    /// Takes the next event off its channel, as a worker does. For hosts without slots.
    pub async fn next_event(&self) -> Box<Event> {
        let modules = self.app.loader().registry().snapshot();
        let owners = &modules.owners;
        let demand = Demand { max: 1, owners, held: HashMap::new(), ceiling: 1 };
        let received = must("an event", self.app.layer().receive(&demand)).await.unwrap();
        match received.into_iter().next().unwrap().message.payload {
            Payload::Event(event) => event,
            Payload::Custom(content) => panic!("expected an event, got {content:?}"),
        }
    }

    /// Ends an event, as a worker does.
    pub async fn answer(&self, event: &Event, replies: Vec<message::Reply>, outcome: Outcome) {
        let (node, to) = event.scope.reply_channel.connection().unwrap();
        let done = Some(Done { outcome, state: None, version: 1 });
        let answer = Answer { to, order: event.order, replies, done };
        self.app.layer().answer(&node, answer).await.unwrap();
    }

    /// Stops in order.
    pub async fn stop(self) -> usize {
        must("the host stops", self.app.stop()).await
    }
}
