//! Lines of a guest in the record of its invocation, and in the log of the host.

use std::sync::Arc;

use tests::{Client, Host, Process, guest};

use crate::TIDEGATE;

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_log_and_tracing_are_in_the_record_with_level_and_target() {
    let host = Host::builder().guest("bridges").start().await;
    assert_eq!(host.get("/run").await.text(), "logged");
    let records = Arc::clone(host.app().records());
    host.stop().await;
    let latest = records.latest();
    let [record] = latest.as_slice() else { panic!("{latest:?}") };
    let lines: Vec<_> = record.log.text.lines().collect();
    assert_eq!(lines, ["warn bridges: from log", "error bridges: from tracing level=7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_writes_a_beginning_of_what_it_logged_to_the_log_of_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let module = format!("flood={}", guest("log-flood").display());
    let host = Process::serve_logged(&log, TIDEGATE, &["--module", &module]).await;
    let client = Client::new(host.address);
    for path in ["/many", "/much"] {
        assert_eq!(client.get(path).await.text(), "logged");
    }
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    let of = |consumer: &str| {
        let field = format!("consumer={consumer} ");
        let lines = log.lines().filter(|line| line.contains("tidegate::guest"));
        lines.filter(|line| line.contains(&field)).collect::<Vec<_>>()
    };
    // 8,192 lines of `info x`.
    let many = of("many");
    assert_eq!(many.len(), 101, "{log}");
    assert!(many[100].contains("lines_left_out=8092 bytes_left_out=56644"), "{}", many[100]);
    // 64 KiB in lines of 1,005 bytes and the end of each.
    let much = of("much");
    let (last, shown) = much.split_last().unwrap();
    let shown: usize = shown.iter().map(|line| line.matches('x').count()).sum();
    assert!((15_000..=16_384).contains(&shown), "{shown}");
    assert!(last.contains("left_out"), "{last}");
}
