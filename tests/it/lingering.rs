//! Answers after which nothing more is read, to clients that are still sending.

use std::time::Instant;

use tests::{Host, Wire, answers, must};

/// Far more than the buffers of two sockets take.
const BODY: usize = 20 * 1024 * 1024;

async fn host(settings: &str) -> Host {
    let section = format!("[interface]\n{settings}");
    Host::builder().guest("mirror").guest("scope").section(&section).start().await
}

fn post(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a.example\r\n{fields}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_all_before_it_reads_reads_its_answer() {
    let host = host("").await;
    let length = format!("content-length: {BODY}\r\n");
    let chunked = "transfer-encoding: chunked\r\n";
    let field = format!("x-a: {}", "a".repeat(BODY));
    let (body, chunk) = ("b".repeat(BODY), format!("{BODY:x}\r\n{}\r\n", "b".repeat(BODY)));
    for (what, head, rest, status) in [
        ("a length beyond the limit", post("/mirror", &length), &body, 413),
        ("a body beyond the limit", post("/mirror", chunked), &chunk, 413),
        ("a path of nobody", post("/nobody", &length), &body, 404),
        ("a method of nobody", post("/scope", &length), &body, 405),
        ("two hosts", post("/mirror", &format!("host: b\r\n{length}")), &body, 400),
        ("an unknown coding", post("/mirror", "transfer-encoding: gzip\r\n"), &body, 400),
        ("a head beyond the limit", post("/mirror", &field), &body, 431),
        ("no HTTP", "what\r\n\r\n".to_owned(), &body, 400),
    ] {
        let mut wire = Wire::connect(host.address()).await;
        wire.send(head).await.unwrap();
        wire.send(rest).await.expect(what);
        let answers = answers(&wire.rest().await);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status], "{what}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_late_is_answered_408_and_what_then_comes_is_no_harm() {
    let host = host("body_timeout = '300ms'").await;
    let mut wire = Wire::connect(host.address()).await;
    wire.send(post("/mirror", "content-length: 900000\r\n")).await.unwrap();
    let mut answer = wire.until("\r\n\r\n").await.to_vec();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
    // A socket that is reset would not take this, nor give the rest.
    wire.send("b".repeat(900_000)).await.unwrap();
    answer.extend(wire.rest().await);
    assert!(answer.ends_with(b"\n"), "{answer:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_closes_is_counted_and_let_go() {
    for (what, settings, drips) in [
        ("silent", "close_timeout = '400ms'", false),
        ("dripping", "close_timeout = '30s'\nbody_timeout = '400ms'", true),
    ] {
        let host = host(&format!("connections = 1\n{settings}")).await;
        let mut stays = Wire::connect(host.address()).await;
        let since = Instant::now();
        stays.send(post("/mirror", "content-length: 9000000\r\n")).await.unwrap();
        let answer = stays.rest().await;
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{what}: {answer:?}");
        if drips {
            must("a reset", async { while stays.send("b").await.is_ok() {} }).await;
        }
        let served = async {
            loop {
                let mut other = Wire::connect(host.address()).await;
                let get = "GET /scope HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
                drop(other.send(get).await);
                if other.rest().await.starts_with(b"HTTP/1.1 200") {
                    return;
                }
            }
        };
        must("a place", served).await;
        assert!(since.elapsed().as_millis() >= 400, "{what}");
        assert!(host.refused("connections", "refused") > 0 || drips, "{what}: it was counted");
        host.stop().await;
    }
}
