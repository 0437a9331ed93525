//! A process that runs no guest: its thread for the epoch sleeps, and is there for the next run.

use std::{fs, time::Instant};

use tests::{Client, Process};

use crate::TIDEGATE;

const DEADLINE_MS: u128 = 500;
/// Wake-ups of the thread during a deadline while a guest runs: about one each 5 ms.
const TICKS: u64 = 100;

async fn serve() -> (Process, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("tidegate.toml");
    let limits =
        format!("[modules.spin.limits]\nfuel = 1_000_000_000_000\ndeadline = '{DEADLINE_MS}ms'\n");
    fs::write(&settings, limits).unwrap();
    let module = format!("spin={}", tests::guest("spin").display());
    let arguments = ["--config", settings.to_str().unwrap(), "--module", &module];
    (Process::serve(TIDEGATE, &arguments).await, directory)
}

/// How often the thread that moves the epoch went to sleep so far.
fn sleeps(process: &Process) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap();
    let read = |file: &str, task: &fs::DirEntry| fs::read_to_string(task.path().join(file));
    let clock = tasks
        .map(Result::unwrap)
        // A thread may end meanwhile.
        .find(|task| read("comm", task).is_ok_and(|name| name.trim() == "tidegate-epoch"))
        .unwrap();
    let status = read("status", &clock).unwrap();
    let (_, count) = status.split_once("\nvoluntary_ctxt_switches:").unwrap();
    count.lines().next().unwrap().trim().parse().unwrap()
}

/// Runs a loop until its deadline.
async fn run_a_loop(process: &Process) {
    let began = Instant::now();
    let reply = Client::new(process.address).get("/run").await;
    assert_eq!(reply.status, 500);
    assert!(began.elapsed().as_millis() >= DEADLINE_MS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_stands_still_while_no_guest_runs_and_cuts_a_loop_afterwards() {
    let ((idle, _of_idle), (busy, _of_busy)) = tokio::join!(serve(), serve());
    for _ in 0..2 {
        let (idle_before, busy_before) = (sleeps(&idle), sleeps(&busy));
        run_a_loop(&busy).await;
        let (idle_after, busy_after) = (sleeps(&idle), sleeps(&busy));
        assert!(busy_after - busy_before > TICKS / 4, "{}", busy_after - busy_before);
        // Two ticks follow what ran last.
        assert!(idle_after - idle_before < TICKS / 10, "{}", idle_after - idle_before);
        run_a_loop(&idle).await;
    }
}
