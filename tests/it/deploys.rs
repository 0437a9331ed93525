//! Twenty deployments in a row over a thousand open sockets under steady load.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tests::{Host, Socket, background, must};
use tidegate::engine::Program;

use crate::api::versioned;

const SOCKETS: usize = 1_000;
/// Sockets that one task speaks for, in turn.
const SHARE: usize = 50;

/// What all who speak share.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    answered: AtomicUsize,
}

/// Sends on each socket in turn, and sees that nothing is missing, double or out of order.
async fn speak(mut sockets: Vec<Socket>, load: Arc<Load>) -> Vec<Socket> {
    let mut sequence = 0_u64;
    while !load.stop.load(Ordering::Relaxed) {
        sequence += 1;
        for socket in &mut sockets {
            socket.send(sequence.to_string()).await;
        }
        for socket in &mut sockets {
            let answer = socket.text().await;
            let parts: Vec<u64> = answer.split(':').map(|part| part.parse().unwrap()).collect();
            let [version, sent, count] = parts[..] else { panic!("{answer}") };
            assert_eq!((sent, count), (sequence, sequence), "version {version}");
            load.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    sockets
}

fn program(host: &Host) -> Weak<Program> {
    Arc::downgrade(&host.version("v").program)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_deployments_in_a_row_are_noticed_on_no_socket() {
    tests::raise_descriptor_limit();
    let host = Host::builder().start().await;
    let api = host.admin();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let load = Arc::new(Load::default());
    let mut speakers = Vec::new();
    for _ in 0..SOCKETS / SHARE {
        let mut sockets = Vec::new();
        for _ in 0..SHARE {
            sockets.push(host.websocket("/count").await);
        }
        speakers.push(background(speak(sockets, Arc::clone(&load))));
    }
    let mut old = Vec::new();
    for number in 2..=21_u32 {
        let before = load.answered.load(Ordering::Relaxed);
        let path = "modules/v";
        match number {
            7 => {
                let (status, code, _) = api.refused("PUT", path, "no component").await;
                assert_eq!((status, &*code), (422, "not-wasm"));
            }
            12 => {
                old.push(program(&host));
                api.done("PUT", path, versioned("versioned-traps", number)).await;
                let back = |host: &Host| {
                    let module = &host.app().deployments().list()[0];
                    module.standing == tidegate::registry::Standing::RolledBack
                };
                must("a rollback", async {
                    while !back(&host) {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
            }
            15 => {
                old.push(program(&host));
                api.done("PUT", path, versioned("versioned-2", number)).await;
            }
            _ => {
                old.push(program(&host));
                api.done("PUT", path, versioned("versioned", number)).await;
            }
        }
        must("load on each version", async {
            while load.answered.load(Ordering::Relaxed) < before + SOCKETS / 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    api.done("POST", "modules/v/rollback", r#"{"version": 2}"#).await;
    load.stop.store(true, Ordering::Relaxed);
    let mut open = 0;
    for speaker in speakers {
        for mut socket in must("the last answers", speaker).await.unwrap() {
            socket.send("9").await;
            assert!(socket.text().await.starts_with("2:9:"));
            open += 1;
        }
    }
    assert_eq!(open, SOCKETS);
    let metrics = host.app().metrics();
    assert_eq!(metrics.events_lost.get(), 0);
    for reason in ["expired", "full", "stale", "connection_gone", "unread"] {
        assert_eq!(host.dropped(reason), 0, "{reason}");
    }
    // Slots let go of what they kept when they next look.
    must("old code is gone", async {
        while old.iter().any(|program| program.strong_count() > 0) {
            host.get("/version").await;
        }
    })
    .await;
    host.stop().await;
}
