//! TLS: what is spoken over it, a certificate that changes, and certificates that cannot be used.

use futures_util::{SinkExt as _, StreamExt as _};
use tests::{Certificate, Host, Http2, Process, must, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::TIDEGATE;

/// As `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521` makes it.
const P_521_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBl8m2NZObTKZ1AW/3
8T+O/jHeCuQHH/IYDSW9hGGlethtQBCnPEO4FeI4XyPmAY3aPH1DsJsD1sSeZJt8
ekvTfN6hgYkDgYYABAE+jXdaQDQMBFN87q6dvZaGkZXOjwzsR0R9K/ol5HVVR4uN
jgfAjn35AskSi2xKP1BYdT1o8yqHDscgfSZsjBE5QAGSSlBL9J0RaT77RIrsVkqx
sEiWXM15AwaSi9hvuC5NPO8ZaIDD8WJXsuJsGaZJIYsbCy0DQBgt63rDhD750I0k
mA==
-----END PRIVATE KEY-----
";

/// The response to a `GET` of `/scope` over HTTP/1.1, as bytes.
async fn get_scope(address: std::net::SocketAddr, certificate: &Certificate) -> String {
    let mut stream = certificate.connect(address, &[]).await.unwrap();
    let request = b"GET /scope HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    must("a response", stream.read_to_string(&mut response)).await.unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_and_websocket_are_spoken_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let host = Host::builder()
        .listen(&["https://127.0.0.1:0", "127.0.0.1:0"])
        .section(&certificate.write(directory.path()))
        .guest("scope")
        .start()
        .await;
    let address = host.address();
    let text = get_scope(address, &certificate).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("1.1 https "), "{text}");
    let http2 = Http2::connect_tls(address, &certificate).await;
    let (status, text) = http2.get("/scope").await;
    assert!(status == 200 && text.starts_with("2 https 127.0.0.1:"), "{text}");
    let mut socket = http2.websocket("/scope").await.unwrap();
    socket.send(Message::Text("over TLS".into())).await.unwrap();
    let echo = must("an echo", socket.next()).await.unwrap().unwrap();
    assert_eq!(echo, Message::Text("over TLS".into()));
    // The other listener has no TLS.
    let plain = host.app().endpoints()[1].address().unwrap();
    assert!(tests::Client::new(plain).get("/scope").await.text().starts_with("1.1 http "));
    // A client that speaks no TLS, or trusts nobody, is counted and hurts nobody.
    let mut wire = tests::Wire::connect(address).await;
    wire.send("GET / HTTP/1.1\r\n\r\n").await.unwrap();
    wire.rest().await;
    assert!(Certificate::new().connect(address, &[]).await.is_err(), "it trusts another one");
    assert!(get_scope(address, &certificate).await.contains("https"));
    assert_eq!(host.refused("tls", "refused"), 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_up_at_sighup_or_when_it_is_seen_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Certificate::new(), Certificate::new());
    old.write(directory.path());
    let (certificate, key) = Certificate::files(directory.path());
    let module = format!("scope={}", tests::guest("scope").display());
    let host = Process::serve_with(
        "127.0.0.1:0".parse().unwrap(),
        TIDEGATE,
        &["--listen", "https://127.0.0.1:0", "--module", &module],
        &[
            ("TIDEGATE_TLS_CERTIFICATE", certificate.to_str().unwrap()),
            ("TIDEGATE_TLS_KEY", key.to_str().unwrap()),
        ],
    )
    .await;
    let address = host.others[0];
    assert!(get_scope(address, &old).await.contains("200 OK"));
    new.write(directory.path());
    host.signal("HUP").await;
    must("the new certificate", async { while new.connect(address, &[]).await.is_err() {} }).await;
    assert!(old.connect(address, &[]).await.is_err());
    std::fs::write(&certificate, "no certificate").unwrap();
    host.signal("HUP").await;
    for _ in 0..20 {
        assert!(get_scope(address, &new).await.contains("200 OK"), "it stays in use");
    }
    // A change is seen without a signal, too.
    old.write(directory.path());
    must("the old certificate", async { while old.connect(address, &[]).await.is_err() {} }).await;
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_before_certificate_and_key_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let section = certificate.write(directory.path());
    let (file, key) = Certificate::files(directory.path());
    for path in [file, key] {
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [b"\xef\xbb\xbf", &text[..]].concat()).unwrap();
    }
    let host = Host::builder()
        .listen(&["https://127.0.0.1:0"])
        .section(&section)
        .guest("scope")
        .start()
        .await;
    assert!(get_scope(host.address(), &certificate).await.contains("200 OK"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = Certificate::files(directory.path());
    let serve = async |expected: &str| {
        let settings = format!(
            "listen = 'https://127.0.0.1:0'\nadmin = '127.0.0.1:0'\n\
             [tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"
        );
        std::fs::write(directory.path().join("tidegate.toml"), settings).unwrap();
        let output = run(TIDEGATE, directory.path(), &["serve"]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.contains(expected), "{expected}: {error}");
    };
    serve("cannot read").await;
    Certificate::until(2001).write(directory.path());
    serve("is valid from Jan  1 00:00:00 1999").await;
    Certificate::new().write(directory.path());
    let other = std::fs::read(&certificate).unwrap();
    Certificate::new().write(directory.path());
    std::fs::write(&certificate, other).unwrap();
    serve("does not fit the certificate").await;
    for text in ["-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "Proc-Type: 4,ENCRYPTED\n"] {
        std::fs::write(&key, text).unwrap();
        serve("is encrypted, and nobody is there to give its passphrase").await;
    }
    std::fs::write(&key, "nothing").unwrap();
    serve("has no private key").await;
    std::fs::write(&key, P_521_KEY).unwrap();
    serve("ECDSA on P-256 or P-384").await;
    std::fs::write(&certificate, "nothing").unwrap();
    serve("has no certificate").await;
}
