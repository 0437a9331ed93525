//! Consumers that are run by the clock.

use std::collections::BTreeMap;

use tests::{Client, Host, Process, Socket, guest, must};

use crate::TIDEGATE;

/// Waits until so many more moments have come.
async fn wait_for(watch: &mut Socket, count: usize) {
    for _ in 0..count {
        watch.text().await;
    }
}

/// The seconds that have come: how many, and how many are missing between them. None has come twice.
pub(crate) async fn seconds(client: &Client) -> (usize, u64) {
    let text = client.get("/dues").await.text().to_owned();
    let second = |line: &str| {
        let (due, count) = line.split_once(' ').unwrap();
        let due: u64 = due.parse().unwrap();
        assert_eq!((due % 1_000, count), (0, "1"), "{text}");
        due / 1_000
    };
    let seconds: Vec<u64> = text.lines().map(second).collect();
    let [first, .., last] = seconds[..] else { return (seconds.len(), 0) };
    (seconds.len(), last - first + 1 - seconds.len() as u64)
}

async fn serve(data: &str) -> (Process, Client, Socket) {
    let module = format!("scheduled={}", guest("scheduled").display());
    let process = Process::serve(TIDEGATE, &["--data-dir", data, "--module", &module]).await;
    let (client, watch) =
        (Client::new(process.address), Socket::open(process.address, "/watch").await);
    (process, client, watch)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_moment_comes_once_though_the_host_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    for round in 1..=2 {
        let (process, client, mut watch) = serve(data).await;
        wait_for(&mut watch, 3).await;
        // Those between the processes come late, not never.
        must("no second is missing", async {
            while !matches!(seconds(&client).await, (count, 0) if count >= 3 * round) {}
        })
        .await;
        process.signal("KILL").await;
        assert_eq!(process.wait().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_goes_and_comes_with_its_version_and_is_listed_with_its_next_moment() {
    let host = Host::builder().guest("scheduled").compiler(TIDEGATE).start().await;
    let mut watch = host.websocket("/watch").await;
    watch.text().await;
    drop(watch);
    let schedules = async || {
        let routes = host.admin().done("GET", "routes", "").await;
        let routes = routes["routes"].as_array().unwrap().clone().into_iter();
        let of = |route: serde_json::Value| {
            (route["consumer"].as_str().unwrap().to_owned(), route["schedule"].clone())
        };
        routes.map(of).filter(|(_, schedule)| !schedule.is_null()).collect::<BTreeMap<_, _>>()
    };
    let listed = schedules().await;
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["tick", "yearly"]);
    assert_eq!(listed["tick"]["expression"], "* * * * * *");
    assert_eq!(listed["tick"]["zone"], "Europe/Berlin");
    let next = listed["yearly"]["next"].as_str().unwrap();
    assert!(next.ends_with("-01-01T00:00:00Z"), "{next}");
    let other = std::fs::read(guest("hold")).unwrap();
    host.admin().done("PUT", "modules/scheduled", other).await;
    assert!(schedules().await.is_empty());
    host.admin().done("POST", "modules/scheduled/rollback", "{}").await;
    assert_eq!(schedules().await.len(), 2);
    let mut watch = host.websocket("/watch").await;
    watch.text().await;
    drop(watch);
    host.stop().await;
}

/// The moments of a schedule that were done, in seconds, in the order in which they were.
fn done(frames: &[String], schedule: &str) -> Vec<u64> {
    let of = frames.iter().filter_map(|frame| frame.strip_prefix(schedule));
    of.map(|second| second.trim().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_is_not_over_the_next_moment_is_left_out_or_waits_as_declared() {
    let host = Host::builder().section("[layer]\nretry_pause = '20ms'").guest("overlapping");
    let host = host.compiler(TIDEGATE).start().await;
    let mut watch = host.websocket("/watch").await;
    assert_eq!(host.post("/held/true").await.status, 200);
    let mut frames = Vec::new();
    // Some moments go by while no run is done.
    while frames.iter().filter(|frame| *frame == "clock").count() < 4 {
        frames.push(watch.text().await);
    }
    assert_eq!(host.post("/held/false").await.status, 200);
    let first = frames.len();
    let is_over = |frames: &[String]| {
        let since = frames.get(first..).unwrap_or_default();
        done(since, "queue ").len() >= 5 && done(since, "skip ").len() >= 2
    };
    while !is_over(&frames) {
        frames.push(watch.text().await);
    }
    let (skipped, queued) = (done(&frames, "skip "), done(&frames, "queue "));
    let distances = |done: &[u64]| -> Vec<u64> {
        done.windows(2).map(|pair| pair.last().unwrap() - pair.first().unwrap()).collect()
    };
    assert!(distances(&queued).iter().all(|seconds| *seconds == 1), "in order: {frames:?}");
    assert!(distances(&skipped).iter().any(|seconds| *seconds > 1), "{frames:?}");
    assert!(distances(&skipped).iter().all(|seconds| *seconds > 0), "{frames:?}");
    let by = tidegate::telemetry::ByModule { module: "overlapping".to_owned() };
    assert!(host.app().metrics().schedule_moments_skipped.get_or_create(&by).get() >= 2);
    host.stop().await;
}
