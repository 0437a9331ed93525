//! Slow consumers slow their own sockets down, slow clients are let go, and neither costs memory.

use tests::{Host, Process, Socket};
use tidegate::telemetry::DropReason;

use crate::TIDEGATE;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_pushes_100_mib_at_a_slow_consumer_costs_under_4_mib() {
    let module = format!("slow={}", tests::guest("slow").display());
    let host = Process::serve(TIDEGATE, &["--module", &module, "--slots", "2"]).await;
    let mut socket = Socket::open(host.address, "/slow").await;
    let part = vec![0; 64 * 1024];
    // What running a consumer takes for the first time does not count.
    for _ in 0..20 {
        socket.send_bytes(part.clone()).await;
    }
    socket.send("how many?").await;
    assert_eq!(socket.text().await, format!("20 frames, {} bytes", 20 * part.len()));
    let before = host.peak_memory();
    let parts = 100 * 1024 * 1024 / part.len();
    for _ in 0..parts {
        socket.send_bytes(part.clone()).await;
    }
    socket.send("how many?").await;
    let all = parts + 20;
    assert_eq!(socket.text().await, format!("{all} frames, {} bytes", all * part.len()));
    let grown = host.peak_memory() - before;
    assert!(grown < 4 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_closed_with_1013_and_others_are_served() {
    let host =
        Host::builder().guest("slow").section("[interface]\nclose_timeout = '100ms'").start().await;
    let mut watch = host.websocket("/watch").await;
    let stuck = host.websocket("/flooded").await;
    let mut flood = host.websocket("/flood").await;
    let closed = loop {
        flood.send("more").await;
        assert_eq!(flood.text().await, "sent");
        if host.dropped(DropReason::ClientTooSlow) > 0 {
            break watch.text().await;
        }
    };
    assert_eq!(closed, "closed 1013");
    assert_eq!(host.closes("1013"), 1);
    // Nobody is left in the group.
    flood.send("more").await;
    assert_eq!(flood.text().await, "sent");
    drop((stuck, watch, flood));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_may_wait_of_one_run_reaches_a_client_that_reads() {
    let host = Host::builder().guest("large").start().await;
    let mut socket = host.websocket("/burst").await;
    // 4 MiB and another 4 MiB, where 1 MiB may wait.
    for _ in 0..2 {
        socket.feed("64").await;
    }
    socket.flush().await;
    for number in 0..128 {
        assert_eq!(socket.bytes().await.len(), 64 * 1024, "message {number}");
    }
    assert_eq!((host.closes("1013"), host.dropped(DropReason::ClientTooSlow)), (0, 0));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_wait_in_line_for_a_full_channel_and_lose_nothing() {
    let host = Host::builder()
        .set("slots = 2")
        .guest("counter")
        .section("[layer.capacities]\n'websocket.receive.*' = 1")
        .start()
        .await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(host.websocket("/count").await);
    }
    for socket in &mut sockets {
        for number in 0..20 {
            socket.feed(number.to_string()).await;
        }
        socket.flush().await;
    }
    for socket in &mut sockets {
        for number in 0..20 {
            assert_eq!(socket.text().await, format!("1:{number}:{}", number + 1));
        }
    }
    assert_eq!(host.dropped(DropReason::ChannelFull), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_module_does_not_starve_a_quiet_one() {
    let host = Host::builder().set("slots = 2").example("hello").guest("counter").start().await;
    let mut busy = Vec::new();
    for _ in 0..10 {
        let mut socket = host.websocket("/count").await;
        for number in 0..50 {
            socket.feed(number.to_string()).await;
        }
        socket.flush().await;
        busy.push(socket);
    }
    assert_eq!(host.get("/hello/quiet").await.status, 200);
    let served = host.invocations("counter", "ok");
    assert!(served < 510, "all {served} events of the busy module went first");
    for socket in &mut busy {
        for _ in 0..50 {
            socket.text().await;
        }
    }
    host.stop().await;
}
