//! Random clients of a remembered group, and what each of them must have got: all, in order and once, or a gap.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tempfile::TempDir;
use tests::{
    Client, FaultProxy, Network, Process, RedisServer, Socket, background, check_span, guest, must,
    numbered,
};

use super::Told as Frame;
use crate::TIDEGATE;

/// What a client was told, over all of its connections.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    /// All behind this place follows; whether nothing is missing before it.
    From {
        position: String,
        complete: bool,
    },
    Message {
        position: String,
        text: String,
    },
}

/// What clients were told must fit what was said.
#[derive(Debug, Default)]
struct Checker {
    /// The text at each position.
    texts: BTreeMap<String, String>,
    problems: Vec<String>,
}

fn parts(position: &str) -> (&str, u64) {
    let (epoch, offset) = position.split_once('-').unwrap();
    (epoch, offset.parse().unwrap())
}

impl Checker {
    /// Checks a client. Returns its last position.
    fn client(&mut self, name: &str, told: &[Told]) -> Option<String> {
        let mut at: Option<String> = None;
        for (number, what) in told.iter().enumerate() {
            let mut wrong = |problem: String| {
                self.problems.push(format!("{name}, entry {number}: {problem}"));
            };
            match what {
                Told::From { position, complete: true } => {
                    if at.as_ref().is_some_and(|at| at != position) {
                        wrong(format!("it was at {at:?} and goes on at {position} without a gap"));
                    }
                    at = Some(position.clone());
                }
                Told::From { position, complete: false } => at = Some(position.clone()),
                Told::Message { position, text } => {
                    let ((epoch, offset), Some(before)) = (parts(position), &at) else {
                        wrong("a message before it knows from where on".to_owned());
                        continue;
                    };
                    let (of, last) = parts(before);
                    if epoch != of || offset != last + 1 {
                        wrong(format!("{position} comes after {before}"));
                    }
                    let known = self.texts.entry(position.clone()).or_insert_with(|| text.clone());
                    if known != text {
                        self.problems.push(format!("{name}: {position} is {text:?} and {known:?}"));
                    }
                    at = Some(position.clone());
                }
            }
        }
        at
    }

    /// Checks that each message that was taken has one position in an epoch.
    fn said(&mut self, said: &[String]) {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (position, text) in &self.texts {
            places.entry(text).or_default().push(position);
        }
        let said: BTreeSet<&str> = said.iter().map(String::as_str).collect();
        for text in places.keys().filter(|text| !said.contains(**text)) {
            self.problems.push(format!("{text:?} was never said"));
        }
        for (text, at) in places.iter().filter(|(_, at)| at.len() > 1) {
            self.problems.push(format!("{text:?} has the positions {at:?}"));
        }
    }
}

/// Numbers that only look random, the same for a seed in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// One client: where it connects, what it was told, and from where it comes back.
async fn live(
    (seed, addresses): (u64, Arc<Mutex<Vec<SocketAddr>>>),
    is_over: Arc<AtomicBool>,
    last: &str,
) -> Vec<Told> {
    let (mut dice, mut told) = (Dice(seed), Vec::new());
    let mut position: Option<String> = None;
    loop {
        let address = {
            let addresses = addresses.lock().unwrap();
            addresses.get(dice.below(addresses.len())).copied().unwrap()
        };
        let after = position.as_ref().map(|it| format!("&after=remembering.room.long:{it}"));
        // The latest in place of what is gone: the last line may have been said.
        let path = format!("/room/long?latest=1{}", after.unwrap_or_default());
        // Its process may be gone, or cut off.
        let Some(mut socket) = Socket::open_if_served(address, &path).await else { continue };
        // After so many messages its network is gone, unless nothing more is said.
        let mut patience = 1 + dice.below(40);
        while patience > 0 || is_over.load(Ordering::Relaxed) {
            let Some(message) = socket.next().await else { break };
            let Ok(text) = message.into_text() else { break };
            let Ok(frame) = serde_json::from_str::<Frame>(&text) else { break };
            position = Some(frame.position.clone());
            let is_last = frame.text.as_deref() == Some(last);
            told.push(match frame.text {
                Some(text) => Told::Message { position: frame.position, text },
                None => Told::From { position: frame.position, complete: frame.complete.unwrap() },
            });
            if is_last {
                return told;
            }
            patience = patience.saturating_sub(1);
        }
    }
}

/// Says lines by turns through these processes while clients come and go. Returns what was said.
async fn talk(addresses: &[SocketAddr], (round, numbers): (usize, Range<usize>)) -> Vec<String> {
    let speaking = (0..SPEAKERS).map(|speaker| {
        let (addresses, numbers) = (addresses.to_vec(), numbers.clone());
        background(async move {
            let mut said = Vec::new();
            for number in numbers {
                let address = addresses.get((number + speaker) % addresses.len()).copied().unwrap();
                let line = format!("{round}.{speaker}.{number}");
                said.push(line.clone());
                let reply = Client::new(address).request("POST", "/room/long", &[], line).await;
                assert_eq!(reply.status, 200);
            }
            said
        })
    });
    let mut said = Vec::new();
    for speaker in speaking.collect::<Vec<_>>() {
        said.extend(must("all is said", speaker).await.unwrap());
    }
    said
}

const SETTINGS: &str = "[interface]\nconnections_per_address = 'off'\nconnections_per_second = 'off'\n\
                        [drain]\ngrace = '2s'\n";
const CLIENTS: u64 = 12;
const SPEAKERS: usize = 4;
/// Lines of each speaker before a fault, while there is one, and after it.
const LINES: usize = 15;

fn last_line(round: usize) -> String {
    format!("round {round} is over")
}

/// What happens to a process in a round.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    CutOff,
    Deployed,
    Drained,
    /// It stops in order, and its successor has its data.
    Restarted,
}

/// A process that serves, its data, and the network between it and Redis.
struct Serving {
    process: Process,
    data: TempDir,
    network: Option<FaultProxy>,
}

impl Serving {
    async fn start(redis: Option<&RedisServer>, settings: &Path, data: TempDir) -> Self {
        let network = match redis {
            Some(redis) => Some(FaultProxy::before(redis.port()).await),
            None => None,
        };
        let (file, url) = (settings.display().to_string(), network.as_ref().map(FaultProxy::url));
        let module = format!("remembering={}", guest("remembering").display());
        let directory = data.path().display().to_string();
        let mut arguments = vec!["--config", &*file, "--module", &*module];
        arguments.extend(["--data-dir", &*directory]);
        arguments.extend(url.iter().flat_map(|url| ["--layer", url]));
        Self { process: Process::serve(TIDEGATE, &arguments).await, data, network }
    }
}

/// Processes that serve, one after the other of which has a fault.
struct Site {
    redis: Option<RedisServer>,
    directory: TempDir,
    serving: VecDeque<Serving>,
    rounds: usize,
    deployments: u32,
    /// Where clients connect.
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Site {
    async fn start(redis: Option<RedisServer>, processes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tidegate.toml"), SETTINGS).unwrap();
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let mut site = Self {
            redis,
            directory,
            serving: VecDeque::new(),
            rounds: 0,
            deployments: 0,
            addresses,
        };
        for _ in 0..processes {
            site.add().await;
        }
        site
    }

    async fn add(&mut self) {
        self.add_with(tempfile::tempdir().unwrap()).await;
    }

    async fn add_with(&mut self, data: TempDir) {
        let settings = self.directory.path().join("tidegate.toml");
        self.serving.push_back(Serving::start(self.redis.as_ref(), &settings, data).await);
        self.note_addresses();
    }

    fn note_addresses(&self) {
        *self.addresses.lock().unwrap() = self.known();
    }

    fn known(&self) -> Vec<SocketAddr> {
        self.serving.iter().map(|it| it.process.address).collect()
    }

    /// Does something to the first process, and has the others spoken through meanwhile. Returns what was said.
    async fn suffer(&mut self, fault: Fault) -> Vec<String> {
        let lines = (self.rounds, LINES..2 * LINES);
        match fault {
            Fault::Killed | Fault::Drained => {
                self.add().await;
                let gone = self.serving.pop_front().unwrap().process;
                self.note_addresses();
                let signal = if matches!(fault, Fault::Killed) { "KILL" } else { "TERM" };
                gone.signal(signal).await;
                let addresses = self.known();
                let (said, _) = tokio::join!(talk(&addresses, lines), gone.wait());
                said
            }
            Fault::Restarted => {
                // Clients try its address in vain meanwhile.
                let Serving { process, data, .. } = self.serving.pop_front().unwrap();
                process.signal("TERM").await;
                assert_eq!(process.wait().await, Some(0));
                self.add_with(data).await;
                talk(&self.known(), lines).await
            }
            Fault::CutOff => {
                let cut = self.serving.pop_front().unwrap();
                let network = cut.network.as_ref().unwrap();
                network.set(Network::Cut);
                let said = talk(&self.known(), lines).await;
                network.set(Network::Works);
                self.serving.push_back(cut);
                said
            }
            Fault::Deployed => {
                let addresses = self.known();
                self.deployments += 1;
                let file = numbered(&guest("remembering"), self.deployments);
                let first = self.serving.front().unwrap().process.api();
                let deploying = first.done("PUT", "modules/remembering", file);
                tokio::join!(talk(&addresses, lines), deploying).0
            }
        }
    }
}

/// How often clients were told something, and how often of a gap.
#[derive(Debug, Default)]
struct Count {
    messages: usize,
    gaps: usize,
}

/// Runs clients and speakers, with a fault in between, and checks all that the clients were told.
async fn round(site: &mut Site, fault: Fault, count: &mut Count) {
    let is_over = Arc::new(AtomicBool::new(false));
    // Who comes first may hear the last line of the round before.
    let mut said = vec![last_line(site.rounds)];
    site.rounds += 1;
    let last = last_line(site.rounds);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let (addresses, is_over) = (Arc::clone(&site.addresses), Arc::clone(&is_over));
            let last = last.clone();
            background(async move { live((seed, addresses), is_over, &last).await })
        })
        .collect();
    said.extend(talk(&site.known(), (site.rounds, 0..LINES)).await);
    said.extend(site.suffer(fault).await);
    said.extend(talk(&site.known(), (site.rounds, 2 * LINES..3 * LINES)).await);
    is_over.store(true, Ordering::Relaxed);
    let address = site.known().last().copied().unwrap();
    said.push(last.clone());
    let reply = Client::new(address).request("POST", "/room/long", &[], last).await;
    assert_eq!(reply.status, 200);
    let mut checker = Checker::default();
    let mut ends = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        let told = must("a client hears the last line", client).await.unwrap();
        ends.extend(checker.client(&format!("client {number}"), &told));
        let of = |what: fn(&Told) -> bool| told.iter().filter(|told| what(told)).count();
        count.messages += of(|told| matches!(told, Told::Message { .. }));
        count.gaps += of(|told| matches!(told, Told::From { complete: false, .. }));
    }
    checker.said(&said);
    assert!(checker.problems.is_empty(), "{fault:?}: {:#?}", checker.problems);
    assert!(ends.iter().all(|end| Some(end) == ends.first()), "{fault:?}: {ends:?}");
    assert!(checker.texts.len() > said.len() / 2, "the clients have heard of it");
}

/// Goes on with one fault after the other. Returns how often a client was told of a gap.
async fn check(mut site: Site, faults: &[Fault]) -> usize {
    let (began, mut count) = (Instant::now(), Count::default());
    for fault in faults.iter().cycle() {
        round(&mut site, *fault, &mut count).await;
        if site.rounds >= faults.len() && began.elapsed() >= check_span() {
            break;
        }
    }
    #[expect(clippy::print_stderr, reason = "the result of an hour")]
    {
        let (Count { messages, gaps }, rounds) = (&count, site.rounds);
        eprintln!("{rounds} faults, {messages} messages in order and once, {gaps} gaps told");
    }
    count.gaps
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_miss_nothing_without_a_gap() {
    check(Site::start(None, 1).await, &[Fault::Deployed, Fault::Killed, Fault::Drained]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_miss_nothing_and_no_gap_is_told_through_restarts_in_order() {
    let faults = [Fault::Restarted, Fault::Deployed, Fault::Restarted];
    assert_eq!(check(Site::start(None, 1).await, &faults).await, 0, "the successor has all");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_over_redis_miss_nothing_through_kills_cuts_and_deployments() {
    let site = Site::start(Some(RedisServer::start()), 3).await;
    let faults = [Fault::Killed, Fault::CutOff, Fault::Deployed, Fault::Drained];
    assert_eq!(check(site, &faults).await, 0, "Redis has all");
}

/// A client that was told all of five messages, over two connections.
fn sound() -> Vec<Told> {
    let from = |offset: u64, complete| Told::From { position: format!("e-{offset}"), complete };
    let message =
        |offset: u64| Told::Message { position: format!("e-{offset}"), text: offset.to_string() };
    vec![from(0, true), message(1), message(2), from(2, true), message(3), message(4), message(5)]
}

#[test]
fn each_defect_is_found() {
    let said: Vec<_> = (1..=5).map(|number| number.to_string()).collect();
    let problems = |told: &[Told]| {
        let mut checker = Checker::default();
        checker.client("a", &sound());
        checker.client("b", told);
        checker.said(&said);
        checker.problems.len()
    };
    assert_eq!(problems(&sound()), 0);
    let mut dropped = sound();
    dropped.remove(4);
    let mut dropped_at_a_join = sound();
    dropped_at_a_join.remove(2);
    let mut doubled = sound();
    doubled.insert(5, doubled[4].clone());
    let mut swapped = sound();
    swapped.swap(5, 6);
    let mut other = sound();
    other[5] = Told::Message { position: "e-4".into(), text: "3".into() };
    let mut invented = sound();
    invented.push(Told::Message { position: "e-6".into(), text: "6".into() });
    for defect in [dropped, dropped_at_a_join, doubled, swapped, other, invented] {
        assert!(problems(&defect) > 0, "{defect:?}");
    }
    let mut with_gap = sound();
    with_gap.remove(4);
    with_gap[3] = Told::From { position: "e-3".into(), complete: false };
    assert_eq!(problems(&with_gap), 0, "a gap that is told is none");
}
