//! Modules that take long to compile: all processes have the code before a version is active, and one that
//! cannot have it is left out.

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use tests::{Process, Socket, background, must};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Site, metric};
use crate::api::versioned;

/// How long a compilation takes, in milliseconds: longer than any worker waits to catch up.
const SLOW: &str = "10000";
/// Sockets that speak all the time.
const SOCKETS: usize = 30;
/// How often each of them speaks.
const BEAT: Duration = Duration::from_millis(100);

/// A process with compiled code of its own.
async fn process(site: &Site, flags: &[&str], compiled: &Path, delay: &str) -> Process {
    let compiled = compiled.to_str().unwrap();
    let variables = [("TIDEGATE_COMPILED_DIR", compiled), ("UNDER_TEST_COMPILE_DELAY_MS", delay)];
    site.process(flags, &variables).await
}

/// Sockets that speak, not so fast that a compiler has no time.
struct Speakers {
    stop: Arc<Notify>,
    tasks: Vec<JoinHandle<Socket>>,
}

impl Speakers {
    async fn at(process: &Process) -> Self {
        let (stop, mut tasks) = (Arc::new(Notify::new()), Vec::new());
        for _ in 0..SOCKETS {
            let socket = Socket::open(process.address, "/count").await;
            tasks.push(background(speak(socket, Arc::clone(&stop))));
        }
        Self { stop, tasks }
    }

    /// All stop, and each is asked once more: the answers begin with this version.
    async fn end(self, version: u64) {
        self.stop.notify_waiters();
        for task in self.tasks {
            let mut socket = must("a socket is open", task).await.unwrap();
            socket.send("9").await;
            let answer = socket.text().await;
            assert!(answer.starts_with(&format!("{version}:9:")), "{answer}");
        }
    }
}

async fn speak(mut socket: Socket, stop: Arc<Notify>) -> Socket {
    let stopped = stop.notified();
    tokio::pin!(stopped);
    stopped.as_mut().enable();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sequence = 0_u64;
    loop {
        tokio::select! {
            biased;
            () = stopped.as_mut() => return socket,
            _ = beat.tick() => {}
        }
        sequence += 1;
        socket.send(sequence.to_string()).await;
        let answer = socket.text().await;
        let parts: Vec<u64> = answer.split(':').map(|part| part.parse().unwrap()).collect();
        let [version, sent, count] = parts[..] else { panic!("{answer}") };
        assert_eq!((sent, count), (sequence, sequence), "version {version}");
    }
}

/// What a node that was asked to deploy says of each node: its digest, and what is wrong.
fn nodes(deployed: &Value) -> Vec<(&str, Option<&str>)> {
    let nodes = deployed["nodes"].as_array().unwrap();
    nodes.iter().map(|it| (it["digest"].as_str().unwrap(), it["fault"].as_str())).collect()
}

async fn sees_no_loss(process: &Process) {
    assert_eq!(metric(process, "tidegate_events_lost_total").await, 0);
    for outcome in ["host", "gone"] {
        let line = format!("tidegate_invocations_total{{module=\"v\",outcome=\"{outcome}\"}}");
        assert_eq!(metric(process, &line).await, 0, "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_of_a_module_that_takes_ten_seconds_to_compile_are_noticed_on_no_socket() {
    let site = Site::new(&[]);
    let compiled: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let interface = process(&site, &["--no-worker"], compiled[0].path(), "0").await;
    let workers = [
        process(&site, &["worker"], compiled[1].path(), SLOW).await,
        process(&site, &["worker"], compiled[2].path(), SLOW).await,
    ];
    let api = interface.api();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let speakers = Speakers::at(&interface).await;
    for number in 2..=3 {
        let deployed = api.done("PUT", "modules/v", versioned("versioned", number)).await;
        let digest = deployed["digest"].as_str().unwrap();
        assert_eq!(nodes(&deployed), [(digest, None); 3], "{deployed}");
    }
    speakers.end(3).await;
    for process in workers.iter().chain([&interface]) {
        sees_no_loss(process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_to_a_version_that_a_worker_never_had_is_noticed_on_no_socket() {
    let site = Site::new(&[]);
    let compiled: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let interface = process(&site, &["--no-worker"], compiled[0].path(), "0").await;
    let old = process(&site, &["worker"], compiled[1].path(), "0").await;
    let api = interface.api();
    for number in 1..=2 {
        api.done("PUT", "modules/v", versioned("versioned", number)).await;
    }
    let speakers = Speakers::at(&interface).await;
    // Longer than a worker waits to catch up: it takes nothing before it has compiled, either.
    let new = process(&site, &["worker"], compiled[2].path(), "4000").await;
    let back = api.done("POST", "modules/v/rollback", "{}").await;
    let digest = back["digest"].as_str().unwrap();
    assert_eq!(nodes(&back), [(digest, None); 3], "{back}");
    speakers.end(1).await;
    for process in [&interface, &old, &new] {
        sees_no_loss(process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_compile_a_version_is_named_and_leaves_its_messages_to_others() {
    let site = Site::new(&[]);
    let compiled: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let interface = process(&site, &["--no-worker"], compiled[0].path(), "0").await;
    let good = process(&site, &["worker"], compiled[1].path(), "0").await;
    let api = interface.api();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    // It has the code of the first version, and cannot have that of another one.
    for entry in fs::read_dir(compiled[1].path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), compiled[2].path().join(entry.file_name())).unwrap();
    }
    site.set("[upload]\ncompile_time = '1s'\n");
    let bad = process(&site, &["worker"], compiled[2].path(), "60000").await;
    let speakers = Speakers::at(&interface).await;
    let deployed = api.done("PUT", "modules/v", versioned("versioned", 2)).await;
    let digest = deployed["digest"].as_str().unwrap();
    let mut said = nodes(&deployed);
    said.sort_by_key(|(_, fault)| fault.is_some());
    let [(first, None), (second, None), (other, Some(fault))] = said[..] else {
        panic!("{deployed}")
    };
    assert_eq!((first, second), (digest, digest), "{deployed}");
    assert!(other != digest && fault.contains("upload.compile_time"), "{deployed}");
    // What it took before it heard goes to the other one, and no more comes.
    let received = "tidegate_messages_received_total";
    must("it takes no more", async {
        let mut before = metric(&bad, received).await;
        loop {
            let ran = metric(&good, received).await;
            while metric(&good, received).await < ran + 100 {}
            let now = metric(&bad, received).await;
            if now == before {
                break;
            }
            before = now;
        }
    })
    .await;
    speakers.end(2).await;
    for process in [&interface, &good, &bad] {
        sees_no_loss(process).await;
    }
    // With nobody else it serves with what it has.
    good.signal("TERM").await;
    assert_eq!(good.wait().await, Some(0));
    let mut socket = Socket::open(interface.address, "/count").await;
    socket.send("1").await;
    assert_eq!(socket.text().await, "1:1:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_without_the_active_version_leaves_its_messages_to_others() {
    let site = Site::new(&[]);
    let (interface, good) = (site.interface().await, site.worker(&[]).await);
    let api = interface.api();
    let mut digest = Value::Null;
    for number in 1..=2 {
        let deployed = api.done("PUT", "modules/v", versioned("versioned", number)).await;
        digest = deployed["digest"].clone();
    }
    let file = digest.as_str().unwrap();
    site.redis.run(&["HSET", "tidegate:{0}:files:v", file, "rubbish"]);
    let speakers = Speakers::at(&interface).await;
    // It can serve the version before, which must not run for sockets that the active one has served.
    let bad = site.worker(&[]).await;
    assert_eq!(bad.api().module("v").await["active_version"], 1);
    let ran = "tidegate_invocations_total{module=\"v\",outcome=\"ok\"}";
    let before = metric(&good, ran).await;
    must("the other one runs", async { while metric(&good, ran).await < before + 200 {} }).await;
    speakers.end(2).await;
    assert_eq!(metric(&bad, ran).await, 0);
    for process in [&interface, &good, &bad] {
        sees_no_loss(process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_no_worker_can_compile_is_refused_and_nothing_changes() {
    let site = Site::new(&[]);
    let compiled: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let interface = process(&site, &["--no-worker"], compiled[0].path(), "0").await;
    site.set("[upload]\ncompile_time = '1s'\n");
    let _worker = process(&site, &["worker"], compiled[1].path(), "60000").await;
    let api = interface.api();
    let (status, code, detail) = api.refused("PUT", "modules/v", versioned("versioned", 1)).await;
    assert_eq!((status, &*code), (409, "no-worker"), "{detail}");
    assert!(detail.contains("upload.compile_time"), "{detail}");
    assert!(site.redis.keys().iter().all(|key| !key.contains("files:v")), "nothing is stored");
    assert_eq!(api.ask("GET", "modules/v", "").await.status, 404);
}
