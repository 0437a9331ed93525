//! Twenty deployments in a row over a thousand open sockets under steady load.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tests::{Host, Socket, background, must};
use tidegate::{engine::Program, telemetry::DropReason};
use tokio::task::JoinHandle;

use crate::api::versioned;

const SOCKETS: usize = 1_000;
/// Why messages would be lost if a deployment were noticed.
pub(crate) const DEPLOYMENT_LOSSES: [DropReason; 5] = [
    DropReason::Expired,
    DropReason::ChannelFull,
    DropReason::Stale,
    DropReason::ConnectionGone,
    DropReason::Unread,
];
/// Sockets that one task speaks for, in turn.
const SHARE: usize = 50;

/// Sockets that speak all the time, and what they share.
pub(crate) struct Crowd {
    load: Arc<Load>,
    speakers: Vec<JoinHandle<Vec<Socket>>>,
}

#[derive(Default)]
struct Load {
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Crowd {
    /// Sockets of `/count` begin to speak.
    pub(crate) fn of(mut sockets: Vec<Socket>) -> Self {
        let load = Arc::<Load>::default();
        let mut speakers = Vec::new();
        while !sockets.is_empty() {
            let share = sockets.split_off(sockets.len().saturating_sub(SHARE));
            speakers.push(background(speak(share, Arc::clone(&load))));
        }
        Self { load, speakers }
    }

    /// Waits for as many answers more.
    pub(crate) async fn hears(&self, answers: usize) {
        let before = self.load.answered.load(Ordering::Relaxed);
        must("load on each version", async {
            while self.load.answered.load(Ordering::Relaxed) < before + answers {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// All stop, and each is asked once more: how many there are, answered by a version.
    pub(crate) async fn end(self, version: u64) -> usize {
        self.load.stop.store(true, Ordering::Relaxed);
        let mut open = 0;
        for speaker in self.speakers {
            for mut socket in must("the last answers", speaker).await.unwrap() {
                socket.send("9").await;
                let answer = socket.text().await;
                assert!(answer.starts_with(&format!("{version}:9:")), "{answer}");
                open += 1;
            }
        }
        open
    }
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
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(host.websocket("/count").await);
    }
    let crowd = Crowd::of(sockets);
    let mut old = Vec::new();
    for number in 2..=21_u32 {
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
        crowd.hears(SOCKETS / 4).await;
    }
    api.done("POST", "modules/v/rollback", r#"{"version": 2}"#).await;
    assert_eq!(crowd.end(2).await, SOCKETS);
    let metrics = host.app().metrics();
    assert_eq!(metrics.events_lost.get(), 0);
    for reason in DEPLOYMENT_LOSSES {
        assert_eq!(host.dropped(reason), 0, "{reason:?}");
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
