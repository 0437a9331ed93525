//! Lines of a guest in the record of its invocation.

use std::sync::Arc;

use tests::Host;

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
