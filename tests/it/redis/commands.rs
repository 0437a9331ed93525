//! `tidegate send` and `group-send`: for scripts and cron.

use std::path::Path;

use tests::{RedisServer, Socket, example, must, run};

use super::Site;
use crate::TIDEGATE;

async fn tidegate(arguments: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let output = run(TIDEGATE, Path::new(directory.path()), arguments).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sends_to_a_channel_and_to_a_group() {
    let site = Site::new(&[("jobs", example("jobs")), ("chat", example("chat"))]);
    let (interface, _worker) = (site.interface().await, site.worker(&[]).await);
    let mut watcher = Socket::open(interface.address, "/jobs/watch").await;
    let job = r#"{"id":"cron","below":10,"next":"jobs.report"}"#;
    let sent = tidegate(&["send", "jobs.count", job, "--layer", &site.layer]).await;
    assert_eq!(sent, (0, "sent to jobs.count".to_owned(), String::new()));
    let mut last = String::new();
    while !last.contains("\"done\"") {
        last = must("the result", watcher.text()).await;
    }
    assert!(last.contains("\"cron\"") && last.contains("\"primes\":4"), "{last}");
    let frame = r#"{"text":"hello from cron"}"#;
    let sent = tidegate(&["group-send", "jobs.watchers", frame, "--layer", &site.layer]).await;
    let told = "sent to 1 nodes and channels of jobs.watchers; 0 were full";
    assert_eq!(sent, (0, told.to_owned(), String::new()));
    assert_eq!(watcher.text().await, "hello from cron");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_and_unreachable_have_statuses_of_their_own() {
    let redis = RedisServer::start();
    for _ in 0..100 {
        let sent = tidegate(&["send", "a", "{}", "--layer", &redis.url()]).await;
        assert_eq!(sent.0, 0, "{sent:?}");
    }
    let (status, _, told) = tidegate(&["send", "a", "{}", "--layer", &redis.url()]).await;
    assert_eq!((status, told.as_str()), (11, "error: channel a is full"));
    let gone = format!("redis://127.0.0.1:{}/0", RedisServer::start().port());
    let (status, _, told) = tidegate(&["send", "a", "{}", "--layer", &gone]).await;
    assert_eq!(status, 10, "{told}");
    assert!(told.contains(&gone), "{told}");
    let url = redis.url();
    for (arguments, expected) in [
        (&["send", "a b", "{}", "--layer", &url][..], "' ' at byte 1 is not one of"),
        (&["send", "a", "[]", "--layer", &url], "the message is an object"),
        (&["send", "a", "{", "--layer", &url], "the message is an object"),
        (&["group-send", "a!b", "{}", "--layer", &url], "is not one of"),
        (&["send", "a", "{}", "--layer", "memory"], "memory is that of one process"),
        (&["send", "a", "{}", "--layer", "http://a"], "is not a valid Redis URL"),
    ] {
        let (status, out, told) = tidegate(arguments).await;
        assert_eq!((status, out.as_str()), (3, ""), "{arguments:?}: {told}");
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}
