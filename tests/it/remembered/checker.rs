//! Random clients of a remembered group, and what each of them must have got: all, in order and once, or a gap.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tests::{Client, Process, RedisServer, Socket, background, guest, must};

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
        for text in places.keys().filter(|text| !said.iter().any(|said| said == **text)) {
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
        let after = position.as_ref().map(|it| format!("?after=remembering.room.blue:{it}"));
        let path = format!("/room/blue{}", after.unwrap_or_default());
        // Its process may have been killed.
        let Some(mut socket) = Socket::open_unless_gone(address, &path).await else { continue };
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
            patience -= 1;
        }
    }
}

/// Says lines by turns through these processes while clients come and go. Returns what was said.
async fn talk(
    addresses: &Arc<Mutex<Vec<SocketAddr>>>,
    said: &mut Vec<String>,
    (from, to): (usize, usize),
) {
    let speaking = (0..4).map(|speaker| {
        let addresses = Arc::clone(addresses);
        background(async move {
            let mut said = Vec::new();
            for number in from..to {
                let address = {
                    let addresses = addresses.lock().unwrap();
                    addresses.get((number + speaker) % addresses.len()).copied().unwrap()
                };
                let line = format!("{speaker}.{number}");
                said.push(line.clone());
                let client = Client::new(address);
                client.request("POST", "/room/blue", &[], line).await;
            }
            said
        })
    });
    for speaker in speaking.collect::<Vec<_>>() {
        said.extend(must("all is said", speaker).await.unwrap());
    }
}

fn arguments(redis: Option<&RedisServer>, settings: &str) -> Vec<String> {
    let mut arguments = vec!["--config".to_owned(), settings.to_owned()];
    if let Some(redis) = redis {
        arguments.extend(["--layer".to_owned(), redis.url()]);
    }
    let module = format!("remembering={}", guest("remembering").display());
    arguments.extend(["--module".to_owned(), module]);
    arguments
}

async fn process(arguments: &[String]) -> Process {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Process::serve(TIDEGATE, &arguments).await
}

const SETTINGS: &str = "[interface]\nconnections_per_address = 'off'\n";

/// Runs clients and speakers; between two talks one of several processes is killed.
async fn check(redis: Option<RedisServer>, processes: usize) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.toml");
    std::fs::write(&file, SETTINGS).unwrap();
    let arguments = arguments(redis.as_ref(), &file.display().to_string());
    let mut serving = Vec::new();
    for _ in 0..processes {
        serving.push(process(&arguments).await);
    }
    let addresses = Arc::new(Mutex::new(serving.iter().map(|it| it.address).collect::<Vec<_>>()));
    let (is_over, last) = (Arc::new(AtomicBool::new(false)), "that was all");
    let clients: Vec<_> = (0..12)
        .map(|seed| {
            let (addresses, is_over) = (Arc::clone(&addresses), Arc::clone(&is_over));
            background(async move { live((seed, addresses), is_over, last).await })
        })
        .collect();
    let mut said = Vec::new();
    talk(&addresses, &mut said, (0, 40)).await;
    if processes > 1 {
        let killed = serving.remove(0);
        addresses.lock().unwrap().remove(0);
        killed.signal("KILL").await;
        killed.wait().await;
        talk(&addresses, &mut said, (40, 80)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let address = addresses.lock().unwrap().first().copied().unwrap();
    let client = Client::new(address);
    said.push(last.to_owned());
    assert_eq!(client.request("POST", "/room/blue", &[], last).await.status, 200);
    let mut checker = Checker::default();
    let mut ends = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        let told = must("a client hears the last line", client).await.unwrap();
        ends.extend(checker.client(&format!("client {number}"), &told));
    }
    checker.said(&said);
    assert!(checker.problems.is_empty(), "{:#?}", checker.problems);
    assert!(ends.iter().all(|end| Some(end) == ends.first()), "{ends:?}");
    assert!(checker.texts.len() > said.len() / 2, "the clients have heard of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_miss_nothing_without_a_gap() {
    check(None, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_over_redis_miss_nothing_when_a_process_is_killed() {
    check(Some(RedisServer::start()), 2).await;
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
