//! Connections to the admin listener that send too slowly, break off, or are too many.

use std::time::Duration;

use tests::{Admin, Host, background, must};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::{refusals::host, state};

/// Begins to upload a file in chunks.
async fn begun(api: &Admin, host: &Host) -> TcpStream {
    let mut socket = TcpStream::connect(host.app().admin_address()).await.unwrap();
    let head = format!(
        "PUT /api/v1/modules/v HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        api.authorization()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn answer(socket: &mut TcpStream) -> String {
    let mut answer = vec![0; 4_096];
    let read = socket.read(&mut answer).await.unwrap();
    answer.truncate(read);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_with_408() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let began = Instant::now();
    let mut silent = begun(&api, &host).await;
    let said = answer(&mut silent).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(said.contains("no data arrived for 30s; send it again"), "{said}");
    assert!(began.elapsed() >= Duration::from_secs(30));
    // One that says something in time is never silent.
    let began = Instant::now();
    let mut slow = begun(&api, &host).await;
    let said = loop {
        tokio::select! {
            said = answer(&mut slow) => break said,
            () = sleep_until(Instant::now() + Duration::from_secs(20)) => {
                slow.write_all(b"1\r\nx\r\n").await.unwrap();
            }
        }
    };
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(said.contains("the upload did not finish within 600s"), "{said}");
    assert!(began.elapsed() >= Duration::from_secs(600));
    drop(host);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_in_the_middle_of_a_chunk_is_answered_with_400() {
    let (host, api) = host().await;
    let before = state(&api).await;
    let mut broken = begun(&api, &host).await;
    broken.write_all(b"5\r\nhello\r\nno length\r\n").await.unwrap();
    let said = must("an answer", answer(&mut broken)).await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    assert!(said.contains(r#""code":"cut-off""#) && said.contains("send it again"), "{said}");
    assert_eq!(state(&api).await, before);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_take_every_descriptor_at_the_admin_listener() {
    let (host, api) = host().await;
    let connect = || TcpStream::connect(host.app().admin_address());
    // One that was answered was accepted.
    let mut held = Vec::new();
    for _ in 0..256 {
        let mut socket = connect().await.unwrap();
        socket.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200"));
        held.push(socket);
    }
    let waiting = background({
        let client = api.client();
        async move { client.get("/livez").await.status }
    });
    assert_eq!(host.get("/version").await.text(), "3");
    assert!(!waiting.is_finished(), "one more is not accepted");
    held.pop();
    assert_eq!(must("a place", waiting).await.unwrap(), 200);
    drop(held);
    host.stop().await;
}
