//! Clients of the fault tests. Each notices what is lost, doubled or out of order.

use std::{net::SocketAddr, sync::Arc};

use tests::{Socket, background, must};
use tokio::{
    sync::{Barrier, watch},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::Message;

/// A member of a room of the example `chat`.
pub(super) struct Member {
    pub(super) socket: Socket,
    name: &'static str,
}

impl Member {
    pub(super) async fn join(address: SocketAddr, name: &'static str) -> Self {
        let mut socket = Socket::open(address, "/chat/faults").await;
        socket.send(format!(r#"{{"type":"join","name":"{name}"}}"#)).await;
        let joined = format!(r#"{{"type":"joined","name":"{name}"}}"#);
        while socket.text().await != joined {}
        let mut member = Self { socket, name };
        member.settle().await;
        member
    }

    /// Until nothing is in flight: an answer of its own comes with the end of its event.
    async fn settle(&mut self) {
        self.socket.send("no JSON").await;
        while !self.socket.text().await.contains("error") {}
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.socket.send(format!(r#"{{"type":"say","text":"{text}"}}"#)).await;
    }

    /// Waits for what a member says. Nothing else may be said before.
    pub(super) async fn hears(&mut self, speaker: &str, text: &str) {
        let line = format!(r#"{{"type":"said","name":"{speaker}","text":"{text}"}}"#);
        loop {
            let heard = self.socket.text().await;
            if heard == line {
                return;
            }
            // Who came and went is told in between.
            assert!(!heard.contains("said"), "{heard} instead of {line}");
        }
    }
}

/// Each says something, and all hear it.
pub(super) async fn assert_all_hear(members: &mut [Member], text: &str) {
    for speaker in 0..members.len() {
        let member = members.get_mut(speaker).unwrap();
        let name = member.name;
        member.say(text).await;
        for member in &mut *members {
            member.hears(name, text).await;
        }
        members.get_mut(speaker).unwrap().settle().await;
    }
}

/// Sockets that send a frame after each answer of the guest `counter`.
pub(super) struct Load {
    stop: watch::Sender<bool>,
    sockets: Vec<JoinHandle<Option<u16>>>,
}

impl Load {
    /// Returns when each has had ten answers.
    pub(super) async fn start(address: SocketAddr, sockets: usize) -> Self {
        let (stop, started) = (watch::Sender::new(false), Arc::new(Barrier::new(sockets + 1)));
        let mut running = Vec::new();
        for _ in 0..sockets {
            let socket = Socket::open(address, "/count").await;
            running.push(background(count(socket, Arc::clone(&started), stop.subscribe())));
        }
        must("all sockets are busy", started.wait()).await;
        Self { stop, sockets: running }
    }

    /// Lets the sockets end after their next answer: how many were closed with each code.
    pub(super) async fn stop(self) -> Vec<u16> {
        self.stop.send_replace(true);
        let mut codes = Vec::new();
        for socket in self.sockets {
            codes.extend(must("a socket ends", socket).await.unwrap());
        }
        codes
    }
}

/// Returns the code that the socket was closed with before it should end.
async fn count(
    mut socket: Socket,
    started: Arc<Barrier>,
    stop: watch::Receiver<bool>,
) -> Option<u16> {
    for number in 1.. {
        socket.send("x").await;
        match socket.next().await {
            // Each frame was answered once, in order.
            Some(Message::Text(text)) => assert_eq!(text.as_str(), format!("1:x:{number}")),
            Some(Message::Close(Some(close))) => return Some(close.code.into()),
            other => panic!("expected an answer, got {other:?}"),
        }
        if number == 10 {
            started.wait().await;
        }
        if *stop.borrow() {
            break;
        }
    }
    socket.close(1000).await;
    None
}
