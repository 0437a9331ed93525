//! Instances as a slot handles them: made ahead of need, and dropped after the answer.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate::{
    capability::{
        Directory, Grants, Lent,
        store::{EmbeddedStore, Store},
    },
    engine::{Engine, Entry, Fault, Job, Limits, MembersUnread, Outlet, Program, Stopped, Task},
    message::{
        ChannelName, CorrelationId, Event, EventKind, GroupName, MemberKey, MembersPage,
        ModuleName, PathParam, ProcessTag, Protocol, Reply, Scope,
    },
};

struct Nowhere;

#[async_trait]
impl Outlet for Nowhere {
    async fn connections_of(&self, _: &GroupName) -> Result<usize, String> {
        Ok(0)
    }

    fn stored(&self) {}

    async fn members(
        &self,
        _: &GroupName,
        _: Option<&MemberKey>,
        _: usize,
    ) -> Result<MembersPage, MembersUnread> {
        Ok(MembersPage::default())
    }

    async fn send(&self, _: Vec<Entry>) -> Result<(), Stopped> {
        Ok(())
    }
}

/// An engine of one slot with a program, and the limits and grants of its runs.
struct Stage {
    engine: Engine,
    program: Arc<Program>,
    limits: Arc<Limits>,
    grants: Arc<Grants>,
    store: Arc<dyn Store>,
}

impl Stage {
    fn new(file: &Path) -> Self {
        let engine = Engine::new(1, Arc::default()).unwrap();
        let program = Program::compile(&engine, &std::fs::read(file).unwrap()).unwrap();
        let (limits, grants) = (Arc::default(), Arc::default());
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        Self { engine, program: Arc::new(program), limits, grants, store }
    }

    /// A request for a consumer.
    fn job(&self, consumer: &str) -> Job {
        let address = "127.0.0.1:1".parse().unwrap();
        let scope = Scope {
            reply_channel: ChannelName::parse("node!local").unwrap(),
            correlation: CorrelationId::random(),
            protocol: Protocol::Http,
            secure: false,
            method: "GET".into(),
            http_version: "1.1",
            path: "/".into(),
            raw_path: "/".into(),
            query_string: String::new(),
            path_params: vec![PathParam { name: "name".into(), value: "ann".into() }],
            headers: Vec::new(),
            client: address,
            server: address,
            root_path: String::new(),
            subprotocols: Vec::new(),
            user: None,
            session: None,
        };
        let event = Event {
            scope: Arc::new(scope),
            consumer: consumer.into(),
            order: 0,
            kind: EventKind::HttpRequest(Bytes::new()),
            state: None,
            activation: 1,
            wants_done: true,
        };
        Job {
            consumer: consumer.into(),
            correlation: event.scope.correlation,
            trace: None,
            task: Task::Event(Box::new(event)),
            message: None,
            attempt: 1,
            limits: Arc::clone(&self.limits),
            lent: Lent {
                module: ModuleName::parse("module").unwrap(),
                grants: Arc::clone(&self.grants),
                owners: Arc::default(),
                lasting: Arc::default(),
                process: ProcessTag::random(),
                store: Arc::clone(&self.store),
                sessions: None,
                presence: None,
            },
            outlet: Arc::new(Nowhere),
            on_long: || (),
        }
    }

    fn live_instances(&self) -> u64 {
        self.engine.live_instances().unwrap()
    }

    async fn prepare(&self) -> Option<tidegate::engine::Instance> {
        self.program.prepare(&self.limits, &self.grants).await
    }
}

/// The body of the one response.
fn body(outbox: &[Entry]) -> String {
    let [Entry::Reply(Reply::Respond(response))] = outbox else { panic!("{outbox:?}") };
    String::from_utf8(response.body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_instance_that_was_made_ahead_runs_like_a_fresh_one_and_is_charged_its_start() {
    let stage = Stage::new(&tests::example("hello"));
    // Before the first run nobody knows what the start does.
    assert!(stage.prepare().await.is_none());
    let (fresh, _) = stage.program.run(stage.job("hello"), None).await;
    assert!(stage.program.starts_alone());

    let ready = stage.prepare().await.unwrap();
    assert_eq!((ready.runs(), ready.is_of(&stage.program), stage.live_instances()), (0, true, 1));
    let (finished, instance) = stage.program.run(stage.job("hello"), Some(ready)).await;
    assert_eq!((&fresh.fault, &finished.fault), (&None, &None));
    assert_eq!(body(&finished.outbox), "Hello, ann!\n");
    assert_eq!(finished.usage.fuel, fresh.usage.fuel);
    assert_eq!(finished.usage.memory_peak, fresh.usage.memory_peak);
    assert_eq!(finished.usage.host_calls, fresh.usage.host_calls);
    assert_eq!(instance.unwrap().runs(), 1);
    assert_eq!(stage.live_instances(), 0);
}

/// `wasm32-wasip2` runs constructors at the first call of a guest, not when it is instantiated.
#[tokio::test]
async fn a_guest_that_was_made_ahead_looks_at_the_clock_when_it_runs() {
    let stage = Stage::new(&tests::guest("clock-at-start"));
    let (fresh, _) = stage.program.run(stage.job("run"), None).await;
    let ready = stage.prepare().await;
    assert!(ready.is_some());
    let (finished, _) = stage.program.run(stage.job("run"), ready).await;
    assert_ne!(body(&finished.outbox), "0");
    // The look at the clock is among them.
    assert_eq!(finished.usage.host_calls, fresh.usage.host_calls);
    assert!(finished.usage.host_calls > 1);
}

#[tokio::test]
async fn an_instance_that_was_made_with_other_grants_or_for_another_program_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("note"), "granted").unwrap();
    let mut stage = Stage::new(&tests::guest("granted"));
    let (finished, _) = stage.program.run(stage.job("use_all"), None).await;
    assert_eq!(finished.fault, None);

    let before = stage.prepare().await.unwrap();
    let mut grants = Grants::default();
    grants.environment.set("MODE", "dark");
    grants.directories.grant(Directory {
        guest: "/in".into(),
        host: directory.path().into(),
        write: false,
    });
    stage.grants = Arc::new(grants);
    let (finished, instance) = stage.program.run(stage.job("use_all"), Some(before)).await;
    let said = body(&finished.outbox);
    assert!(said.starts_with("MODE: dark\n") && said.contains("read: granted\n"), "{said}");
    assert_eq!(instance.unwrap().runs(), 1);
    assert_eq!(stage.live_instances(), 0);

    // What is granted is there for an instance that was made ahead, and opened when it runs.
    let ready = stage.prepare().await.unwrap();
    std::fs::write(directory.path().join("note"), "changed").unwrap();
    let (finished, _) = stage.program.run(stage.job("use_all"), Some(ready)).await;
    assert!(body(&finished.outbox).contains("read: changed\n"));
    let ready = stage.prepare().await.unwrap();
    drop(directory);
    let (finished, _) = stage.program.run(stage.job("use_all"), Some(ready)).await;
    let fault = finished.fault.unwrap().to_string();
    assert!(fault.contains("cannot be opened"), "{fault}");

    let other = Arc::new(stage.program.again());
    let ready = stage.prepare().await.unwrap();
    let (_, instance) = other.run(stage.job("use_all"), Some(ready)).await;
    assert!(instance.unwrap().is_of(&other));
}

#[tokio::test]
async fn an_instance_comes_back_after_a_fault_and_never_runs_again() {
    let stage = Stage::new(&tests::guest("panic"));
    let (finished, instance) = stage.program.run(stage.job("run"), None).await;
    assert!(matches!(finished.fault, Some(Fault::Panic(_))), "{finished:?}");
    // Its memory is cleared when the caller has sent the answer.
    assert_eq!(stage.live_instances(), 1);
    let instance = instance.unwrap();
    assert_eq!(instance.runs(), u32::MAX);
    let (finished, instance) = stage.program.run(stage.job("ok"), Some(instance)).await;
    assert_eq!((body(&finished.outbox).as_str(), instance.unwrap().runs()), ("ok", 1));
    assert_eq!(stage.live_instances(), 0);
}

#[tokio::test]
async fn the_limits_of_a_run_hold_for_one_that_was_made_ahead() {
    let mut stage = Stage::new(&tests::example("hello"));
    let (fresh, _) = stage.program.run(stage.job("hello"), None).await;
    let ready = stage.prepare().await.unwrap();
    let fuel = fresh.usage.fuel / 2;
    stage.limits = Arc::new(Limits { fuel, ..Limits::default() });
    let (finished, _) = stage.program.run(stage.job("hello"), Some(ready)).await;
    let Some(Fault::Fuel { limit, .. }) = finished.fault else { panic!("{finished:?}") };
    assert_eq!(limit, fuel);

    stage.limits = Arc::default();
    let ready = stage.prepare().await.unwrap();
    // Less than it has: a fresh one meets the limit at its start.
    stage.limits = Arc::new(Limits { memory: 64 * 1024, ..Limits::default() });
    let (finished, _) = stage.program.run(stage.job("hello"), Some(ready)).await;
    assert!(matches!(finished.fault, Some(Fault::Memory { .. })), "{finished:?}");
    assert!(stage.prepare().await.is_none());
    assert_eq!(stage.live_instances(), 0);
}
