//! Many WebSockets at once: what each costs, idle and after traffic, and that all are served.

use tests::{Process, Socket, must};
use tokio::task::JoinSet;

use crate::TIDEGATE;

/// Handshakes at the same time: as many as wait for a channel at most.
const HANDSHAKES: usize = 50;
/// Memory of a socket in a build without optimization, whose tasks are larger.
const SOCKET_BYTES: u64 = 12 * 1024;

async fn serve(modules: &[&str]) -> Process {
    tests::raise_descriptor_limit();
    let variables = [
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
        ("TIDEGATE_LOG", "error"),
    ];
    let flags: Vec<_> = modules.iter().flat_map(|module| ["--module", *module]).collect();
    Process::serve_with("127.0.0.1:0".parse().unwrap(), TIDEGATE, &flags, &variables).await
}

async fn open(host: &Process, path: &str, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let some = HANDSHAKES.min(count - sockets.len());
        let some = (0..some).map(|_| Socket::open(host.address, path));
        sockets.extend(futures_util::future::join_all(some).await);
    }
    sockets
}

/// Sends a text through all sockets at once, and waits until each has it back.
async fn echo(sockets: Vec<Socket>, text: &str) -> Vec<Socket> {
    let mut echoing = JoinSet::new();
    for mut socket in sockets {
        let text = text.to_owned();
        echoing.spawn(async move {
            socket.send(text.clone()).await;
            assert_eq!(socket.text().await, text);
            socket
        });
    }
    must("all are answered", echoing.join_all()).await
}

fn each(host: &Process, before: u64, sockets: usize) -> u64 {
    host.memory().saturating_sub(before) / sockets as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sockets_that_send_at_once_are_all_answered_and_keep_little_memory() {
    const SOCKETS: usize = 10_000;
    let host = serve(&[&format!("echo={}", tests::example("echo").display())]).await;
    // What the first ones set up is not theirs.
    let first = echo(open(&host, "/echo", 500).await, "first").await;
    let before = host.memory();
    let sockets = open(&host, "/echo", SOCKETS).await;
    let idle = each(&host, before, SOCKETS);
    assert!(idle < SOCKET_BYTES, "an idle socket costs {idle} bytes");
    let sockets = echo(sockets, "at once").await;
    let after = each(&host, before, SOCKETS);
    assert!(after < SOCKET_BYTES, "a socket that has said something costs {after} bytes");
    drop((first, sockets));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_leaves_no_memory_with_its_socket() {
    const SOCKETS: usize = 500;
    const LARGE_BYTES: usize = 200_000;
    let host = serve(&[&format!("echo={}", tests::example("echo").display())]).await;
    let large = "x".repeat(LARGE_BYTES);
    let mut sockets = open(&host, "/echo", SOCKETS).await;
    let before = host.memory();
    // One after the other: what many need at the same time, the allocator may keep.
    for socket in &mut sockets {
        socket.send(large.clone()).await;
        assert_eq!(socket.text().await.len(), large.len());
    }
    // Each thread of the host may keep what it needed for one of them.
    let grown = each(&host, before, SOCKETS);
    let most = LARGE_BYTES as u64 / 10;
    assert!(grown < most, "each socket kept {grown} bytes of a message that it is done with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_in_a_group_keeps_little_memory_after_a_message_of_the_group() {
    const SOCKETS: usize = 2_000;
    let host = serve(&[&format!("actor={}", tests::guest("actor").display())]).await;
    let mut sender = Socket::open(host.address, "/actor").await;
    let mut first = open(&host, "/watch", 500).await;
    let before = host.memory();
    let mut sockets = open(&host, "/watch", SOCKETS).await;
    for round in 0..3 {
        sender.send(format!("publish watch {round}")).await;
        sender.text().await;
        for socket in first.iter_mut().chain(&mut sockets) {
            assert_eq!(socket.text().await, format!("published {round}"));
        }
    }
    let kept = each(&host, before, SOCKETS);
    assert!(kept < SOCKET_BYTES, "a member costs {kept} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_group_come_whole_and_in_order_whatever_their_size_and_kind() {
    let host = serve(&[&format!("actor={}", tests::guest("actor").display())]).await;
    let mut members = open(&host, "/watch", 50).await;
    let mut sender = Socket::open(host.address, "/actor").await;
    let sizes = [0, 1, 100, 126, 70_000, 5, 20_000, 65_536, 2];
    let text = |size: usize, at: usize| format!("{at}{}", "x".repeat(size));
    for (at, size) in sizes.into_iter().enumerate() {
        sender.feed(format!("publish watch {}", text(size, at))).await;
    }
    sender.flush().await;
    for member in &mut members {
        for (at, size) in sizes.into_iter().enumerate() {
            let came = member.text().await;
            assert!(came == format!("published {}", text(size, at)), "{} bytes", came.len());
        }
    }
}
