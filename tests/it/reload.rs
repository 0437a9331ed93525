//! Other code is activated while sockets stay open and invocations run.

use std::sync::{Arc, Weak};

use tests::{Host, guest, must};
use tidegate::engine::Program;

fn program(host: &Host, name: &str) -> Weak<Program> {
    Arc::downgrade(&host.version(name).program)
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_stay_while_the_code_behind_them_is_replaced_and_the_old_code_is_freed() {
    let host = Host::builder().guest("counter").start().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(host.websocket("/count").await);
    }
    let (mut count, mut file) = (0, "counter");
    for _ in 0..6 {
        let old = program(&host, "counter");
        let next = if file == "counter" { "counter-2" } else { "counter" };
        for socket in &mut sockets {
            socket.send("before").await;
        }
        // Whether a frame meets the old version or the new one, it is answered.
        if next == "counter-2" {
            host.activate("counter", &guest(next)).await;
            file = next;
        }
        count += 1;
        for socket in &mut sockets {
            let answer = socket.text().await;
            assert!(answer.ends_with(&format!(":before:{count}")), "{answer}");
        }
        if file == next {
            assert_eq!(host.get("/version").await.text(), "2");
            host.prove("counter", "/version").await;
            must("the old code is freed", async {
                while old.strong_count() > 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            break;
        }
    }
    assert_eq!(host.app().metrics().events_lost.get(), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_finishes_on_the_version_that_it_began_with() {
    let host = Host::builder().guest("sleep").start().await;
    let old = program(&host, "sleep");
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    let running = tests::background(async move { client.get("/run").await });
    assert_eq!(watch.text().await, "running");
    let number = host.activate("sleep", &guest("spin")).await;
    assert!(old.strong_count() > 0, "the old version runs still");
    assert_eq!(host.get("/ok").await.text(), "ok");
    let reply = must("the old invocation", running).await.unwrap();
    let record = host.record_of(reply.text());
    assert_eq!(record.fault().unwrap().kind(), "deadline");
    assert_eq!(record.version, number - 1);
    drop(watch);
    host.stop().await;
    assert_eq!(old.strong_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_gone_closes_its_sockets_with_1012() {
    let host = Host::builder().guest("counter").start().await;
    let mut socket = host.websocket("/count").await;
    host.activate("counter", &guest("hold")).await;
    socket.send("a").await;
    assert_eq!(socket.closed().await.0, 1012);
    assert_eq!(host.get("/version").await.status, 404);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_instances_are_reused_as_often_as_asked_and_leave_with_their_version() {
    let host = Host::builder().set("slots = 1").guest("counter").with("reuse = 3").start().await;
    host.get("/version").await;
    host.instances_left(1).await;
    host.get("/version").await;
    host.get("/version").await;
    host.instances_left(0).await;
    host.get("/version").await;
    let old = program(&host, "counter");
    host.activate("counter", &guest("counter-2")).await;
    assert_eq!(host.get("/version").await.text(), "2");
    host.prove("counter", "/version").await;
    assert_eq!(old.strong_count(), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_made_ahead_for_what_repeats_and_leaves_with_its_version() {
    let host = Host::builder().set("slots = 1").guest("counter").start().await;
    let ready = |host: &Host| host.app().metrics().instances_ready.get();
    host.get("/version").await;
    assert_eq!(ready(&host), 0, "it has run once");
    // A run that took long ends its slot's thread, and the next thread begins anew.
    must("an instance is ready", async {
        while ready(&host) == 0 {
            host.get("/version").await;
        }
    })
    .await;
    assert_eq!(host.get("/version").await.text(), "1", "the instance that was made ahead");
    let old = program(&host, "counter");
    host.activate("counter", &guest("counter-2")).await;
    assert_eq!(host.get("/version").await.text(), "2");
    host.prove("counter", "/version").await;
    assert_eq!(old.strong_count(), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_that_faults_is_not_used_again() {
    let host = Host::builder().set("slots = 1").guest("panic").with("reuse = 100").start().await;
    host.get("/ok").await;
    host.instances_left(1).await;
    host.get("/run").await;
    host.instances_left(0).await;
    assert_eq!(host.get("/ok").await.text(), "ok");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_changes_nothing_and_a_bad_one_leaves_the_good_one() {
    let host = Host::builder().guest("counter").start().await;
    let again = host.try_deploy("counter", &guest("counter")).await.unwrap();
    assert_eq!((again.version, again.changed), (1, false));
    let readme = tests::root().join("README.md");
    let error = host.try_deploy("counter", &readme).await.unwrap_err().to_string();
    assert!(error.contains("it is not WebAssembly"), "{error}");
    assert_eq!(host.get("/version").await.text(), "1");
    host.stop().await;
}
