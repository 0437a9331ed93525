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

    /// Joins over a socket that is accepted sooner or later; other attempts are refused or closed.
    pub(super) async fn join_in_the_end(address: SocketAddr, name: &'static str) -> Self {
        must("a socket is accepted", async {
            loop {
                if let Ok(socket) = Socket::try_open(address, "/chat/faults", &[]).await
                    && let Some(member) = Self::try_join(socket, name).await
                {
                    return member;
                }
            }
        })
        .await
    }

    async fn try_join(socket: Socket, name: &'static str) -> Option<Self> {
        let mut member = Self { socket, name };
        member.socket.send(format!(r#"{{"type":"join","name":"{name}"}}"#)).await;
        let joined = format!(r#"{{"type":"joined","name":"{name}"}}"#);
        member.reads(&joined).await.then_some(member)
    }

    /// Reads up to a line. False if the socket is closed before.
    async fn reads(&mut self, line: &str) -> bool {
        loop {
            match self.socket.next().await {
                Some(Message::Text(text)) if text.as_str() == line => return true,
                Some(Message::Text(_)) => {}
                Some(Message::Close(Some(close))) => {
                    assert!([1011, 1012, 1013].contains(&u16::from(close.code)), "{close:?}");
                    return false;
                }
                other => panic!("expected {line}, got {other:?}"),
            }
        }
    }

    /// It is closed since messages may be missing, and comes back.
    pub(super) async fn is_closed_and_comes_back(&mut self, address: SocketAddr) {
        let (code, reason) = self.socket.closed().await;
        assert_eq!((code, reason.as_str()), (1012, "messages to a group may be missing"));
        *self = Self::join(address, self.name).await;
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

/// The same, while sockets may still be closed: whoever is closed comes back, and all begin again.
pub(super) async fn assert_all_hear_in_the_end(
    members: &mut [Member],
    address: SocketAddr,
    text: &str,
) {
    must("all hear", async {
        for turn in 0.. {
            match all_hear(members, &format!("{text} {turn}")).await {
                Ok(()) => return,
                Err(closed) => {
                    let member = members.get_mut(closed).unwrap();
                    *member = Member::join_in_the_end(address, member.name).await;
                }
            }
        }
    })
    .await;
}

/// Fails with the place of a member that is closed.
async fn all_hear(members: &mut [Member], text: &str) -> Result<(), usize> {
    for speaker in 0..members.len() {
        let name = members.get(speaker).unwrap().name;
        let line = format!(r#"{{"type":"said","name":"{name}","text":"{text}"}}"#);
        members.get_mut(speaker).unwrap().say(text).await;
        for (place, member) in members.iter_mut().enumerate() {
            if !member.reads(&line).await {
                return Err(place);
            }
        }
    }
    Ok(())
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
