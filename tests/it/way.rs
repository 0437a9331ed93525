//! The way of a message between threads, counted in a real process.

use std::{collections::BTreeMap, fs};

use tests::{Process, Socket};

use crate::TIDEGATE;

/// Messages of one client, one after the other.
const ECHOES: u64 = 400;

/// How often threads of each kind went to sleep so far, by name without a number.
fn sleeps(process: &Process) -> BTreeMap<String, u64> {
    let mut sleeps = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap() {
        let read = |file: &str| fs::read_to_string(task.as_ref().unwrap().path().join(file));
        // A thread may end meanwhile.
        let (Ok(name), Ok(status)) = (read("comm"), read("status")) else { continue };
        let (_, count) = status.split_once("\nvoluntary_ctxt_switches:").unwrap();
        let count: u64 = count.lines().next().unwrap().trim().parse().unwrap();
        let kind = name.trim().trim_end_matches(|c: char| c == '-' || c.is_ascii_digit());
        *sleeps.entry(kind.to_owned()).or_default() += count;
    }
    sleeps
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_wakes_one_slot_and_the_task_of_its_socket() {
    let module = format!("echo={}", tests::example("echo").display());
    let process = Process::serve(TIDEGATE, &["--module", &module]).await;
    let mut socket = Socket::open(process.address, "/echo").await;
    socket.send("first").await;
    assert_eq!(socket.text().await, "first");
    let before = sleeps(&process);
    for number in 0..ECHOES {
        socket.send(&number.to_string()).await;
        assert_eq!(socket.text().await, number.to_string());
    }
    let mut slept = sleeps(&process);
    for (kind, count) in &mut slept {
        *count -= before.get(kind).copied().unwrap_or_default();
    }
    let of = |kind: &str| slept.get(kind).copied().unwrap_or_default();
    // It sleeps before each message of a client that waits for its answer; timers, locks and other processes add
    // some. A hand-over more would be as many again.
    assert!(of("tidegate-slot") <= ECHOES + ECHOES / 2, "{slept:?}");
    // The threads of the sockets wait for the frame and for the answer, and one looks for work of the other.
    assert!(of("tokio-rt-worker") <= ECHOES * 5, "{slept:?}");
    // The epoch's thread ticks while guests run, however many messages there are.
    let part = ["tidegate-slot", "tokio-rt-worker", "tidegate-epoch"];
    let others = slept.iter().filter(|(kind, _)| !part.contains(&kind.as_str()));
    let others: u64 = others.map(|(_, count)| count).sum();
    assert!(others <= ECHOES / 10, "no other thread takes part: {slept:?}");
}
