//! The parts on the path of a message, each alone: an invocation, the memory layer, routes, a commit.
//!
//! `make bench` builds the guest that is run here.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::{collections::HashMap, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::future::join_all;
use tidegate::{
    capability::{
        Lent,
        store::{EmbeddedStore, Key, Quota, Store, Transaction, Value},
    },
    engine::{Engine, Entry, Instance, Job, Limits, MembersUnread, Outlet, Program, Stopped, Task},
    layer::{ChannelLayer, Dispatch, LayerConfig, MemoryLayer},
    message::{
        ChannelName, Content, CorrelationId, Event, EventKind, GroupName, MemberKey, MembersPage,
        Message, ModuleName, PathParam, ProcessTag, Protocol, Scope,
    },
    routing::{
        Declared, Guards, Head, OnFault, Pattern, Policy, Resolution, RouteSpec, RouteTable,
        Trigger,
    },
    telemetry::Metrics,
};
use tokio::runtime::Runtime;

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

fn hello() -> Scope {
    let address = "127.0.0.1:1".parse().unwrap();
    Scope {
        reply_channel: ChannelName::parse("node!local").unwrap(),
        correlation: CorrelationId::random(),
        protocol: Protocol::Http,
        secure: false,
        method: "GET".into(),
        http_version: "1.1",
        path: "/hello/ann".into(),
        raw_path: "/hello/ann".into(),
        query_string: String::new(),
        path_params: vec![PathParam { name: "name".into(), value: "ann".into() }],
        headers: vec![("host".parse().unwrap(), "localhost".parse().unwrap())],
        client: address,
        server: address,
        root_path: String::new(),
        subprotocols: Vec::new(),
        user: None,
        session: None,
    }
}

fn invocation(c: &mut Criterion) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/examples/hello.wasm");
    let wasm = std::fs::read(file).expect("`make examples` builds target/examples/hello.wasm");
    let engine = Engine::new(1, Arc::default()).unwrap();
    let program = Arc::new(Program::compile(&engine, &wasm).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let scope = Arc::new(hello());
    let limits = Arc::new(Limits::default());
    let outlet: Arc<dyn Outlet> = Arc::new(Nowhere);
    let owners = Arc::new(HashMap::new());
    let grants = Arc::default();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let job = || Job {
        consumer: "hello".into(),
        correlation: scope.correlation,
        trace: None,
        task: Task::Event(Box::new(Event {
            scope: Arc::clone(&scope),
            consumer: "hello".into(),
            order: 0,
            kind: EventKind::HttpRequest(Bytes::new()),
            state: None,
            activation: 1,
            wants_done: true,
        })),
        message: None,
        attempt: 1,
        limits: Arc::clone(&limits),
        lent: Lent {
            module: ModuleName::parse("hello").unwrap(),
            grants: Arc::clone(&grants),
            owners: Arc::clone(&owners),
            lasting: Arc::default(),
            process: ProcessTag::random(),
            store: Arc::clone(&store),
            sessions: None,
            presence: None,
        },
        outlet: Arc::clone(&outlet),
        on_long: || (),
    };
    // Instances are made ahead of need only for a program that has run.
    runtime.block_on(program.run(job(), None));
    let mut group = c.benchmark_group("invocation, fuel on");
    group.bench_function("fresh", |b| {
        b.iter(|| {
            let (finished, _) = runtime.block_on(program.run(job(), None));
            assert_eq!((finished.fault, finished.outbox.len()), (None, 1));
        });
    });
    // What a message waits for: instances are dropped after the answer.
    group.bench_function("fresh, until it has finished", |b| {
        let run = |job| runtime.block_on(program.run(job, None));
        b.iter_batched(job, run, BatchSize::PerIteration);
    });
    group.bench_function("made ahead, until it has finished", |b| {
        let make = || (runtime.block_on(program.prepare(&limits, &grants)), job());
        let run = |(ready, job)| runtime.block_on(program.run(job, ready));
        b.iter_batched(make, run, BatchSize::PerIteration);
    });
    group.bench_function("warm", |b| {
        let mut warm: Option<Instance> = None;
        b.iter(|| {
            let (finished, instance) = runtime.block_on(program.run(job(), warm.take()));
            assert_eq!(finished.fault, None);
            warm = instance;
        });
    });
    group.finish();
}

fn layer(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let content = Content::parse(Bytes::from_static(b"\x81\xa4text\xa5hello")).unwrap();
    let mut group = c.benchmark_group("memory layer, send and receive");
    for channels in [1_usize, 100, 1_000] {
        let layer = MemoryLayer::new(LayerConfig::default(), Arc::new(Metrics::new()));
        let module = |at: usize| ModuleName::parse(&format!("m{at}")).unwrap();
        let names: Vec<_> =
            (0..channels).map(|at| ChannelName::parse(&format!("c.{at}")).unwrap()).collect();
        let owned = names.iter().enumerate().map(|(at, name)| (name.clone(), module(at)));
        let owners = Arc::new(owned.collect());
        let dispatch = Dispatch::new(1, 1);
        dispatch.read(owners, Arc::default());
        layer.attach(&dispatch);
        group.bench_function(format!("{channels} channels"), |b| {
            let mut turn = names.iter().cycle();
            b.iter(|| {
                let message = Message::custom(content.clone(), CorrelationId::random());
                runtime.block_on(async {
                    layer.send(turn.next().unwrap(), message).await.unwrap();
                    dispatch.release(&dispatch.next(&layer).await.unwrap().module);
                })
            });
        });
    }
    group.finish();
}

fn routes(c: &mut Criterion) {
    let mut group = c.benchmark_group("route resolution");
    let headers = http::HeaderMap::new();
    let no_retries = std::collections::BTreeMap::new();
    let no_access = std::collections::BTreeMap::new();
    let head = Head { host: Some("localhost:8000"), headers: &headers };
    for count in [1_usize, 100, 1_000] {
        let specs: Vec<_> = (0..count)
            .map(|number| RouteSpec {
                consumer: format!("c{number}").into(),
                trigger: Trigger::Http {
                    methods: ["GET".to_owned()].into(),
                    path: Pattern::parse(&format!("/section-{number}/{{name}}")).unwrap(),
                    guards: Guards::default(),
                    disconnect: false,
                },
            })
            .collect();
        let module = ModuleName::parse("m").unwrap();
        let second = std::time::Duration::from_secs(1);
        let policy = Policy {
            event_expiry: second,
            deadline: second,
            on_fault: OnFault::Close,
            user_limit: None,
            sections: None,
            activation: 1,
        };
        let declared = Declared {
            module: &module,
            routes: &specs,
            access: no_access.clone(),
            resumes: std::collections::BTreeMap::new(),
            policy,
            files: &[],
            retries: &no_retries,
        };
        let table = RouteTable::build(&[declared]).unwrap();
        let path = format!("/section-{}/ann", count / 2);
        group.bench_function(format!("{count} routes"), |b| {
            b.iter(|| assert!(matches!(table.http("GET", &path, &head), Resolution::Found(_))));
        });
    }
    group.finish();
}

/// A run that reads a key and writes one, alone and with others at once, beside a single sync.
fn store(c: &mut Criterion) {
    let mut group = c.benchmark_group("embedded store");
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(directory.path().join("file")).unwrap();
    group.bench_function("a page written and synced", |b| {
        b.iter(|| {
            std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], 0).unwrap();
            file.sync_data().unwrap();
        });
    });
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
    let module = ModuleName::parse("m").unwrap();
    let value = Value::of_bytes(Bytes::from_static(&[7; 100]), 1).unwrap();
    let commit = async |writer: usize| {
        let mut run = Transaction::new(Arc::clone(&store), module.clone());
        run.get(&Key::parse(&format!("read-{writer}")).unwrap()).await.unwrap();
        let key = Key::parse(&format!("written-{writer}")).unwrap();
        run.set(key, value.clone(), None).unwrap();
        store.commit(&module, run.take(Quota::NONE)).await.unwrap()
    };
    for writers in [1, 32, 512] {
        group.bench_function(format!("{writers} commits at once"), |b| {
            b.iter(|| runtime.block_on(join_all((0..writers).map(&commit))));
        });
    }
    group.finish();
}

criterion_group!(benches, invocation, layer, routes, store);
criterion_main!(benches);
