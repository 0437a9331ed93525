//! Proxies before the host, and other ways to it than a TCP port.

use std::process::Stdio;

use tests::{Host, Socket, Wire, must};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use crate::TIDEGATE;

const TRUSTED: &str = "[interface]\ntrusted_proxies = ['127.0.0.1', 'unix']";
const GET: &str = "GET /scope HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_and_its_request_id_comes_back() {
    let host = Host::builder().guest("scope").section(TRUSTED).start().await;
    let id = "0123456789abcdef0123456789abcdef";
    let headers = [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-prefix", "/shop"),
        ("x-request-id", id),
    ];
    let reply = host.client().request("GET", "/scope", &headers, "").await;
    assert_eq!(
        reply.text(),
        "1.1 https 198.51.100.7:0 path=/shop/scope root=/shop host=shop.example \
         forwarded=198.51.100.7"
    );
    assert_eq!(reply.header("x-request-id"), Some(id));
    // The page is of the host that the client sees, over TLS.
    let page = |origin| [headers.as_slice(), &[("origin", origin)]].concat();
    let open = async |origin| Socket::try_open(host.address(), "/scope", &page(origin)).await;
    drop(open("https://shop.example").await.unwrap());
    assert_eq!(open("http://shop.example").await.unwrap_err().status().as_u16(), 403);
    assert_eq!(host.refused("origin", "refused"), 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_says_of_himself_does_not_reach_a_consumer() {
    let host = Host::builder().guest("scope").guest("mirror").start().await;
    let headers = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "0123456789abcdef0123456789abcdef"),
    ];
    let reply = host.client().request("GET", "/scope", &headers, "").await;
    assert!(reply.text().starts_with("1.1 http 127.0.0.1:"), "{}", reply.text());
    assert!(reply.text().ends_with("forwarded=-"), "{}", reply.text());
    let id = reply.header("x-request-id").unwrap();
    assert!(id.len() == 32 && id != headers[2].1, "{id}");
    assert_eq!(host.refused("forwarded_header", "ignored"), 1);
    let headers = [("x-request-id", headers[2].1), ("x-real-ip", "10.0.0.1"), ("x-other", "a")];
    let seen = host.client().request("GET", "/mirror", &headers, "").await;
    assert!(seen.text().contains("x-other: a"), "{}", seen.text());
    assert!(!seen.text().contains("x-re"), "{}", seen.text());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_proxy_share_the_connection_and_not_the_limit() {
    let settings = format!("{TRUSTED}\nconnections_per_address = 1");
    let host = Host::builder().guest("scope").section(&settings).start().await;
    let open = async |client| {
        let headers = [("x-forwarded-for", client)];
        Socket::try_open(host.address(), "/scope", &headers).await
    };
    let first = open("198.51.100.1").await.unwrap();
    let refused = open("198.51.100.1").await.unwrap_err();
    assert_eq!(refused.status().as_u16(), 429);
    drop(open("198.51.100.2").await.unwrap());
    first.close(1000).await;
    let again = Box::pin(async { while open("198.51.100.1").await.is_err() {} });
    must("room again", again).await;
    assert!(host.refused("connections_per_address", "refused") >= 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_protocol_says_who_the_client_is_and_must_be_spoken() {
    let settings = format!("{TRUSTED}\nproxy_protocol = true");
    let host = Host::builder().guest("scope").section(&settings).start().await;
    let version_2 = {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        header.extend([198, 51, 100, 9, 192, 0, 2, 1, 0x10, 0x92, 0, 80]);
        header
    };
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0".to_vec();
    for (header, client) in [
        (b"PROXY TCP4 198.51.100.8 192.0.2.1 4711 80\r\n".to_vec(), "198.51.100.8:4711"),
        (b"PROXY TCP6 2001:db8::8 2001:db8::1 4711 80\r\n".to_vec(), "2001:db8::8:4711"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1:"),
        (version_2, "198.51.100.9:4242"),
        (local, "127.0.0.1:"),
    ] {
        let mut wire = Wire::connect(host.address()).await;
        wire.send([&header, GET.as_bytes()].concat()).await.unwrap();
        let text = String::from_utf8(wire.rest().await.to_vec()).unwrap();
        assert!(text.contains(&format!("1.1 http {client}")), "{client}: {text}");
    }
    let refused = [GET.as_bytes(), b"PROXY TCP4 nonsense\r\n", &[b'x'; 5_000], b"PROXY TCP4 1"];
    for (number, header) in refused.iter().enumerate() {
        let mut wire = Wire::connect(host.address()).await;
        // The host may have closed before all was sent.
        drop(wire.send(header).await);
        wire.finish().await;
        assert!(wire.rest().await.is_empty());
        assert_eq!(host.refused("proxy_header", "refused"), number as u64 + 1);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_stand_below_the_root_path() {
    let host =
        Host::builder().guest("scope").section("[interface]\nroot_path = '/app'").start().await;
    let reply = host.get("/app/scope").await;
    assert!(reply.text().contains("path=/app/scope root=/app"), "{}", reply.text());
    for outside in ["/scope", "/application/scope", "/", "/app"] {
        assert_eq!(host.get(outside).await.status, 404, "{outside}");
    }
    drop(Socket::open(host.address(), "/app/scope").await);
    let denied = Socket::try_open(host.address(), "/scope", &[]).await.unwrap_err();
    assert_eq!(denied.status().as_u16(), 403);
    host.stop().await;
}

async fn over_unix(path: &std::path::Path, request: &str) -> String {
    let mut socket = UnixStream::connect(path).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    must("a response", socket.read_to_string(&mut response)).await.unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_served_and_one_that_was_left_behind_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    // A process that was killed leaves the file.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let place = format!("unix:{}", path.display());
    let host = Host::builder()
        .listen(&["127.0.0.1:0", &place])
        .guest("scope")
        .section(TRUSTED)
        .start()
        .await;
    assert!(over_unix(&path, GET).await.contains("1.1 http 127.0.0.1:0 "));
    let forwarded = GET.replace("host:", "x-forwarded-for: 198.51.100.7\r\nhost:");
    assert!(over_unix(&path, &forwarded).await.contains("1.1 http 198.51.100.7:0 "));
    host.stop().await;
    assert!(!path.exists(), "it goes with the host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_has_the_mode_and_owner_that_are_set() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let own = std::fs::metadata(directory.path()).unwrap();
    let settings =
        format!("[interface]\nunix_mode = '0606'\nunix_owner = '{}:{}'", own.uid(), own.gid());
    let place = format!("unix:{}", path.display());
    let host = Host::builder()
        .listen(&["127.0.0.1:0", &place])
        .guest("scope")
        .section(&settings)
        .start()
        .await;
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!((file.mode() & 0o777, file.uid(), file.gid()), (0o606, own.uid(), own.gid()));
    assert!(over_unix(&path, GET).await.contains("1.1 http 127.0.0.1:0 "));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_was_passed_as_systemd_does_is_served() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (module, data) = (tests::guest("scope"), tempfile::tempdir().unwrap());
    // LISTEN_PID is that of the process itself, which only a shell that becomes it can know.
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", script, TIDEGATE, "serve", "--listen", "fd:3", "--admin", "127.0.0.1:0"])
        .args(["--data-dir", data.path().to_str().unwrap()])
        .args(["--module", &format!("scope={}", module.display())])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = must("an address", lines.next_line()).await.unwrap().unwrap();
    assert_eq!(line, format!("serving http://{address}"));
    assert_eq!(tests::Client::new(address).get("/scope").await.status, 200);
    child.kill().await.unwrap();
}
