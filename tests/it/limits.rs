//! Each limit's default, met and exceeded, with the numbers that the record gives.

use std::time::Duration;

use tests::Host;
use tidegate::engine::Fault;

/// The fault that a request to a guest ends with.
async fn fault(host: &Host, path: &str) -> Fault {
    let reply = host.get(path).await;
    host.record_of(reply.text()).fault().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_ends_at_1e9() {
    // A machine that is busy otherwise gives a long run little time.
    let patient = "[modules.spin.limits]\ndeadline = '60s'";
    let host = Host::builder().guest("spin").with(patient).start().await;
    let Fault::Fuel { used, limit } = fault(&host, "/run").await else { panic!() };
    assert_eq!(limit, 1_000_000_000);
    assert!(used >= limit - 1_000_000 && used <= limit, "{used}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_5_seconds_waits_included() {
    let host = Host::builder().guest("sleep").start().await;
    let Fault::Deadline { used, limit } = fault(&host, "/run").await else { panic!() };
    assert_eq!(limit, Duration::from_secs(5));
    assert!(used >= limit, "{used:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_ends_at_64_mib() {
    let host = Host::builder().guest("grow").start().await;
    let reply = host.get("/run").await;
    let record = host.record_of(reply.text());
    let Some(&Fault::Memory { used, limit }) = record.fault() else { panic!("{record:?}") };
    assert_eq!(limit, 64 * 1024 * 1024);
    assert!(used > limit && record.usage.memory_peak <= limit);
    assert!(record.usage.memory_peak > limit / 2, "{}", record.usage.memory_peak);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_holds_1000_messages_and_8_mib() {
    let host = Host::builder().guest("send-flood").start().await;
    assert_eq!(host.get("/limit").await.text(), "sent");
    let Fault::OutboxMessages { used, limit } = fault(&host, "/run").await else { panic!() };
    assert_eq!((used, limit), (1_001, 1_000));
    let Fault::OutboxBytes { used, limit } = fault(&host, "/large").await else { panic!() };
    assert_eq!(limit, 8 * 1024 * 1024);
    assert!(used > limit && used < limit + 2 * 1024 * 1024);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_calls_the_host_10_000_times_at_most() {
    let host = Host::builder().guest("call-flood").start().await;
    let Fault::HostCalls { used, limit } = fault(&host, "/run").await else { panic!() };
    assert_eq!((used, limit), (10_001, 10_000));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_keeps_64_kib_of_log_and_says_how_much_is_missing() {
    let host = Host::builder().guest("log-flood").start().await;
    assert_eq!(host.get("/much").await.text(), "logged");
    let records = host.app().records().latest();
    let log = &records.last().unwrap().log;
    assert_eq!(log.text.len(), 64 * 1024);
    // 100 lines of a level, a space and 1,000 characters, and a line feed for each that fits.
    let written = 100 * "info ".len() + 100 * 1_000;
    let kept = log.text.len() - log.text.matches('\n').count();
    assert_eq!(log.truncated_bytes, written - kept);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_is_copied_or_filled_costs_as_much_fuel_as_an_instruction() {
    const BYTES: u64 = 100 * 60_000;
    let host = Host::builder().guest("copy").start().await;
    let fuel = async |path: &str| {
        assert_eq!(host.get(path).await.status, 200);
        host.app().records().latest().last().unwrap().usage.fuel
    };
    let without = fuel("/neither").await;
    for path in ["/copies", "/fills"] {
        let cost = fuel(path).await - without;
        assert!((BYTES..BYTES + BYTES / 100).contains(&cost), "{path}: {cost}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_1_mib_passes_and_one_byte_more_does_not() {
    let host = Host::builder().guest("hold").start().await;
    let post =
        async |bytes: usize| host.client().request("POST", "/body", &[], vec![b'x'; bytes]).await;
    let mib = 1024 * 1024;
    assert_eq!(post(mib).await.text(), "1048576");
    let refused = post(mib + 1).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert!(refused.text().contains("the body is larger than 1048576 bytes\nid: "));
    assert_eq!(host.get("/ok").await.text(), "ok");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_1_mib_passes_and_one_byte_more_closes_with_1009() {
    let host = Host::builder().example("echo").start().await;
    let mut socket = host.websocket("/echo").await;
    let mib = 1024 * 1024 - 1024;
    socket.send_bytes(vec![7; mib]).await;
    assert_eq!(socket.bytes().await.len(), mib);
    socket.send_bytes(vec![7; 1024 * 1024 + 1]).await;
    assert_eq!(socket.closed().await.0, 1009);
    assert_eq!(host.closes("1009"), 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_holds_half_the_slots_at_most() {
    let host = Host::builder().set("slots = 4").guest("spin").start().await;
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    let third = async {
        for _ in 0..3 {
            assert_eq!(watch.text().await, "running");
        }
        // Two slots are free all the time, and still the third waits for one of the others.
        let records = host.app().records().latest();
        let ended = records.iter().filter(|record| record.fault().is_some()).count();
        assert!(ended >= 1, "three ran at the same time");
    };
    let run = async || client.get("/run").await.status;
    let (a, b, c, ()) = tokio::join!(run(), run(), run(), third);
    assert_eq!([a, b, c], [500, 500, 500]);
    host.stop().await;
}

/// Writes the start of a request and reads what the host says before it closes.
async fn stalled(host: &Host, start: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut socket = tokio::net::TcpStream::connect(host.address()).await.unwrap();
    socket.write_all(start.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    tests::must("the host closes", socket.read_to_end(&mut said)).await.unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_stalls_is_ended_and_the_host_goes_on() {
    let host = Host::builder()
        .guest("hold")
        .section("[interface]\nheader_timeout = '50ms'\nbody_timeout = '50ms'")
        .start()
        .await;
    let said = stalled(&host, "GET /ok HTTP/1.1\r\nhost: a\r\nx-a: ").await;
    assert!(!said.contains("200"), "{said}");
    let said = stalled(&host, "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("the body did not come in time"), "{said}");
    assert_eq!(host.get("/ok").await.text(), "ok");
    host.stop().await;
}
