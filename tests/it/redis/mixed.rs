//! Processes of a former release and of this one share a Redis, while one takes the other's place and
//! back. What is promised holds all the time, as the history checker sees it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tests::{
    Process, Socket, background, guest,
    history::{History, Promise, Stamp, Step, Violation},
    must, numbered,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

use super::{Site, faults::until_ready, metric};
use crate::TIDEGATE;

/// The commit of the release.
const RELEASE: &str = "1afa517";
/// Clients of each interface server.
const CLIENTS: u32 = 3;
/// What each client does how often between two changes.
const ROUNDS: usize = 10;
const GROUP: &str = "g";

/// The binary of the release, where `scripts/build-release-of` leaves it.
pub(crate) fn release() -> String {
    let target = Path::new(TIDEGATE).parent().unwrap().parent().unwrap();
    let binary = target.join("releases").join(RELEASE).join("tidegate");
    assert!(binary.exists(), "{} is missing: scripts/build-release-of {RELEASE}", binary.display());
    binary.display().to_string()
}

/// What all clients note.
#[derive(Default)]
struct Notes {
    /// A group, and a channel that delivers at most once.
    once: History,
    /// A channel that delivers at least once.
    kept: History,
    /// How many rounds each client has done.
    rounds: Mutex<HashMap<u32, usize>>,
}

impl Notes {
    fn violations(&self) -> Vec<Violation> {
        let mut found = self.once.check(Promise::AtMostOnce { dropped: Some(0) }, true);
        found.extend(self.kept.check(Promise::AtLeastOnce, true));
        found
    }

    fn rounds(&self, client: u32) -> usize {
        self.rounds.lock().unwrap().get(&client).copied().unwrap_or(0)
    }
}

/// Clients of one interface server, which may be sent to another one.
struct Clients {
    notes: Arc<Notes>,
    numbers: std::ops::Range<u32>,
    to: watch::Sender<SocketAddr>,
    is_over: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(notes: &Arc<Notes>, first: u32, at: SocketAddr) -> Self {
        let (to, is_over) = (watch::Sender::new(at), Arc::new(AtomicBool::new(false)));
        let numbers = first..first + CLIENTS;
        let client = |number| Client {
            notes: Arc::clone(notes),
            next: Stamp { producer: number, sequence: 0 },
            to: to.subscribe(),
            is_over: Arc::clone(&is_over),
        };
        let running = numbers.clone().map(|number| background(client(number).run())).collect();
        Self { notes: Arc::clone(notes), numbers, to, is_over, running }
    }

    /// Waits until each has done some rounds more.
    async fn go_on(&self) {
        let count = |number| self.notes.rounds(number);
        let until: Vec<_> =
            self.numbers.clone().map(|number| (number, count(number) + ROUNDS)).collect();
        must("all clients go on", async {
            while until.iter().any(|&(number, rounds)| count(number) < rounds) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Stops their interface server in order. They go to another one.
    async fn replace(&self, from: Process, to: &Process) {
        self.to.send_replace(to.address);
        // From here on nobody knows whether they are members.
        for number in self.numbers.clone() {
            self.notes.once.note(Step::Leaving(GROUP.to_owned(), member(number)));
        }
        stop(from).await;
        self.go_on().await;
    }

    async fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for client in self.running {
            must("a client ends", client).await.unwrap();
        }
    }
}

fn member(client: u32) -> String {
    format!("client {client}")
}

struct Client {
    notes: Arc<Notes>,
    next: Stamp,
    to: watch::Receiver<SocketAddr>,
    is_over: Arc<AtomicBool>,
}

/// The server closed the connection.
struct Closed;

impl Client {
    async fn run(mut self) {
        let number = self.next.producer;
        while !self.is_over.load(Ordering::Relaxed) {
            let address = *self.to.borrow();
            let mut socket = Socket::open(address, "/actor").await;
            while self.round(&mut socket, address).await.is_ok() {
                *self.notes.rounds.lock().unwrap().entry(number).or_default() += 1;
                if self.is_over.load(Ordering::Relaxed) {
                    return socket.close(1000).await;
                }
            }
            self.notes.once.note(Step::Left(GROUP.to_owned(), member(number)));
        }
    }

    async fn round(&mut self, socket: &mut Socket, address: SocketAddr) -> Result<(), Closed> {
        let (notes, group) = (Arc::clone(&self.notes), || GROUP.to_owned());
        let name = member(self.next.producer);
        self.send(socket, &notes.once, "send").await?;
        self.send(socket, &notes.kept, "keep").await?;
        notes.once.note(Step::Joining(group(), name.clone()));
        self.act(socket, "join g").await?;
        notes.once.note(Step::Joined(group(), name.clone()));
        if *self.to.borrow() != address {
            notes.once.note(Step::Leaving(group(), name.clone()));
        }
        self.publish(socket).await?;
        notes.once.note(Step::Leaving(group(), name.clone()));
        self.act(socket, "leave g").await?;
        notes.once.note(Step::Left(group(), name));
        self.publish(socket).await
    }

    fn stamp(&mut self) -> Stamp {
        self.next.sequence += 1;
        self.next
    }

    async fn send(
        &mut self,
        socket: &mut Socket,
        history: &History,
        act: &str,
    ) -> Result<(), Closed> {
        let stamp = self.stamp();
        history.note(Step::Sending(act.to_owned(), stamp));
        let sent = self.act(socket, &format!("{act} {}", text(stamp))).await;
        history.note(match sent {
            Ok(()) => Step::Sent(act.to_owned(), stamp),
            Err(Closed) => Step::Unknown(stamp),
        });
        sent
    }

    async fn publish(&mut self, socket: &mut Socket) -> Result<(), Closed> {
        let (notes, stamp) = (Arc::clone(&self.notes), self.stamp());
        notes.once.note(Step::Publishing(GROUP.to_owned(), stamp));
        self.act(socket, &format!("publish {GROUP} {}", text(stamp))).await?;
        notes.once.note(Step::Published(GROUP.to_owned(), stamp));
        Ok(())
    }

    /// Has the consumer do something, and notes what is published meanwhile.
    async fn act(&self, socket: &mut Socket, act: &str) -> Result<(), Closed> {
        if !socket.try_send(act).await {
            return Err(Closed);
        }
        loop {
            let Some(Message::Text(heard)) = socket.next().await else { return Err(Closed) };
            match heard.split_once(' ') {
                Some(("published", stamp)) => {
                    let member = member(self.next.producer);
                    self.notes.once.note(Step::Delivered(member, stamp_of(stamp)));
                }
                Some(("done", done)) => {
                    assert_eq!(done, act, "answers come in order");
                    return Ok(());
                }
                _ => panic!("{heard}"),
            }
        }
    }
}

fn text(stamp: Stamp) -> String {
    format!("{} {}", stamp.producer, stamp.sequence)
}

fn stamp_of(text: &str) -> Stamp {
    let (producer, sequence) = text.split_once(' ').unwrap();
    Stamp { producer: producer.parse().unwrap(), sequence: sequence.parse().unwrap() }
}

/// Notes which messages of channels consumers had.
async fn watch(mut socket: Socket, notes: Arc<Notes>) {
    for reader in 0.. {
        // Many workers keep no order among messages, so each has a reader of its own.
        let heard = socket.text().await;
        let (channel, stamp) = heard.split_once(' ').unwrap();
        let stamp = stamp_of(stamp);
        let history = if channel == "kept" { &notes.kept } else { &notes.once };
        history.note(Step::Received { reader, channel: channel.to_owned(), stamp });
    }
}

async fn stop(process: Process) {
    // Nothing that the other release wrote was a riddle.
    let unreadable = metric(&process, r#"tidegate_messages_dropped_total{reason="unreadable"}"#);
    assert_eq!(unreadable.await, 0);
    process.signal("TERM").await;
    assert_eq!(process.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_replaced_by_another_under_load_and_nothing_is_lost_doubled_or_turned_around()
{
    let (old, new) = (release(), TIDEGATE.to_owned());
    let site = Site::new(&[("actor", guest("actor"))]);
    let interface = async |binary: &str| site.process_of(binary, &["--no-worker"], &[]).await;
    let worker = async |binary: &str| site.process_of(binary, &["worker"], &[]).await;
    let home = interface(&old).await;
    let (mut moved, mut runs) = (interface(&old).await, worker(&old).await);
    until_ready(&[&home, &moved, &runs]).await;
    let notes = Arc::new(Notes::default());
    let watcher = Socket::open(home.address, "/watch").await;
    let watching = background(watch(watcher, Arc::clone(&notes)));
    let staying = Clients::start(&notes, 0, home.address);
    let moving = Clients::start(&notes, CLIENTS, moved.address);
    let go_on = async || tokio::join!(staying.go_on(), moving.go_on());
    go_on().await;
    for (number, binary) in [(1, &new), (2, &old)] {
        let next = worker(binary).await;
        go_on().await;
        stop(std::mem::replace(&mut runs, next)).await;
        go_on().await;
        let next = interface(binary).await;
        until_ready(&[&next]).await;
        let former = std::mem::replace(&mut moved, next);
        moving.replace(former, &moved).await;
        moved.api().done("PUT", "modules/actor", numbered(&guest("actor"), number)).await;
        go_on().await;
    }
    tokio::join!(staying.end(), moving.end());
    must("all that was sent has come", async {
        while !notes.violations().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    watching.abort();
    for process in [home, moved, runs] {
        stop(process).await;
    }
}
