//! What ten thousand faults leave behind: nothing.

use futures_util::{StreamExt as _, stream};
use tests::{Client, Http2, Process, guest, must};

use crate::TIDEGATE;

/// Ways to fail that take a moment only.
const WAYS: [&str; 6] = ["trap", "panic", "exit", "stack", "memory", "spin"];

/// More than there are records, which grow to begin with.
const WARM_UP: usize = 1_500;
const FAULTS: usize = 10_000;
/// As many of all as take a slot for as long as the deadline.
const SLEEPS: usize = 4;

/// Fails so many times, in each way.
async fn fail(client: &Http2, times: usize) {
    let ways = WAYS.into_iter().cycle().take(times - SLEEPS);
    let ways = ways.chain(std::iter::repeat_n("sleep", SLEEPS));
    let asked = stream::iter(ways).for_each_concurrent(16, |way| async move {
        let (status, body) = client.get(&format!("/fail/{way}")).await;
        assert_eq!(status, 500, "{way}: {body}");
    });
    asked.await;
}

/// What the metrics say: the sum of those whose lines have these words.
async fn counted(host: &Process, words: &[&str]) -> usize {
    let metrics = Client::new(host.admin).get("/metrics").await;
    let is_one =
        |line: &&str| !line.starts_with('#') && words.iter().all(|word| line.contains(word));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
    metrics.text().lines().filter(is_one).map(value).sum()
}

/// Descriptors and threads of a process.
fn held(host: &Process) -> (usize, usize) {
    let count = |what| std::fs::read_dir(format!("/proc/{}/{what}", host.pid())).unwrap().count();
    (count("fd"), count("task"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_faults_leave_no_place_thread_descriptor_or_memory_behind() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("tidegate.toml");
    let text = format!(
        "slots = 4\nlog = 'error'\n[breaker]\nenabled = false\n[modules.faulty]\nfile = {:?}\n\
         [modules.faulty.limits]\nfuel = 1_000_000\ndeadline = '500ms'\n",
        guest("faulty").display().to_string()
    );
    std::fs::write(&settings, text).unwrap();
    let host = Process::serve(TIDEGATE, &["--config", settings.to_str().unwrap()]).await;
    let client = Http2::connect(host.address).await;
    fail(&client, WARM_UP).await;
    let (before, memory) = (held(&host), host.memory());
    fail(&client, FAULTS).await;
    // The last slot is still at its end when it has answered, and a thread that ran for long is followed
    // by another one.
    must("nothing more is held", async {
        loop {
            let (descriptors, threads) = held(&host);
            let busy = counted(&host, &["tidegate_slots_busy "]).await;
            if descriptors <= before.0 && threads <= before.1 && busy == 0 {
                break;
            }
        }
    })
    .await;
    let grown = host.memory().saturating_sub(memory);
    // 420 bytes for each fault. What the allocator keeps differs by less than 2 MiB.
    assert!(grown < 4 * 1024 * 1024, "{FAULTS} faults left {grown} bytes behind");
    let invocations = "tidegate_invocations_total{";
    let mut faults = 0;
    for kind in ["trap", "exit", "stack", "memory", "fuel", "deadline"] {
        let runs = counted(&host, &[invocations, &format!("\"{kind}\"")]).await;
        assert!(runs > 0, "{kind}");
        faults += runs;
    }
    // Each got an instance: one place lost in four hundred faults would have used up the pool, and the host
    // would be at fault.
    assert_eq!(faults, WARM_UP + FAULTS);
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}
