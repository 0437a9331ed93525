//! Requests that a run makes itself, by `wasi:http`: granted, guarded, cut by the deadline, made once.

use std::net::Ipv4Addr;

use tests::{Certificate, Client, Host, HostBuilder, Outside, background, guest, must};

fn reaching(hosts: &[&str]) -> HostBuilder {
    Host::builder().guest("outgoing").with(&format!("grants.http = {hosts:?}"))
}

/// Has a run make a request. The first line of what it asks is the URL.
async fn ask(client: &Client, query: &str, asked: String) -> (u16, String) {
    let reply = client.request("POST", &format!("/ask{query}"), &[], asked).await;
    (reply.status, reply.text().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_makes_requests_is_refused_without_a_server_that_it_may_reach() {
    let host = Host::builder().guest("hold").start().await;
    let refused = host.try_deploy("outgoing", &guest("outgoing")).await.unwrap_err().to_string();
    assert!(refused.contains("wasi:http/outgoing-handler"), "{refused}");
    assert!(refused.contains("modules.NAME.grants.http = [\"api.example.com\"]"), "{refused}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reads_the_answer_of_a_server() {
    let outside = Outside::start().await;
    let address = outside.address.to_string();
    let host = reaching(&[&address]).start().await;
    let client = host.client();
    for (path, body, expected) in [
        ("/ok", "", "200 GET /ok"),
        ("/echo", "hello", "200 hello"),
        ("/status/404", "", "404 as asked"),
        ("/to?/ok", "", "302 "),
    ] {
        let told = ask(&client, "", format!("{}\n{body}", outside.url(path))).await;
        assert_eq!(told, (200, expected.to_owned()), "{path}");
    }
    let [first, ..] = &outside.asked()[..] else { panic!("requests") };
    let hosts: Vec<_> = first.head.lines().filter(|line| line.starts_with("host:")).collect();
    assert_eq!(hosts, [format!("host: {address}")]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_refused_with_the_setting_and_what_fails_is_a_code() {
    let outside = Outside::start().await;
    let closed = Outside::start().await.address.to_string();
    let grants = [&*outside.address.to_string(), &closed];
    let host = reaching(&grants).start().await;
    let client = host.client();
    for (url, expected) in [
        (
            "http://api.example/".to_owned(),
            "refused: no entry of the grants names the host of \"http://api.example\"",
        ),
        ("http://169.254.169.254/latest/".to_owned(), "metadata"),
        (format!("http://0x7f000002:{}/ok", outside.address.port()), "loopback"),
        (format!("http://{closed}/"), "connect: "),
        (outside.url("/closes"), "broken: "),
        (outside.url("/http09"), "broken: "),
        (outside.url("/cut"), "broken: "),
    ] {
        let (status, told) = ask(&client, "", url.clone()).await;
        assert!(status == 200 && told.contains(expected), "{url}: {status} {told}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_certificates_of_trusted_authorities_count() {
    let directory = tempfile::tempdir().unwrap();
    let (good, unknown) = (Certificate::new(), Certificate::new());
    let authorities = directory.path().join("authorities.pem");
    std::fs::write(&authorities, good.pem()).unwrap();
    let right = Outside::secure(Ipv4Addr::LOCALHOST, &good).await;
    let wrong = Outside::secure(Ipv4Addr::LOCALHOST, &unknown).await;
    let grants = [&right, &wrong].map(|server| format!("https://{}", server.address));
    let host = reaching(&[&grants[0], &grants[1]]);
    let host = host.section(&format!("[fetch]\nauthorities = {authorities:?}")).start().await;
    let client = host.client();
    assert_eq!(ask(&client, "", format!("{}/ok", grants[0])).await.1, "200 GET /ok");
    let (_, told) = ask(&client, "", format!("{}/ok", grants[1])).await;
    assert!(told.starts_with("tls: "), "{told}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_cuts_a_request_that_a_run_waits_for() {
    let outside = Outside::start().await;
    let host = reaching(&[&outside.address.to_string()]);
    let host = host.with("limits.deadline = '300ms'").start().await;
    for path in ["/never", "/stalls"] {
        let (status, _) = ask(&host.client(), "", outside.url(path)).await;
        assert_eq!(status, 500, "{path}");
    }
    assert_eq!(host.invocations("outgoing", "deadline"), 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_request_is_refused_is_told_whatever_its_body() {
    let outside = Outside::start().await;
    let host = reaching(&[&outside.address.to_string()]).start().await;
    let body = "x".repeat(100_000);
    let (_, told) = ask(&host.client(), "", format!("http://api.example/\n{body}")).await;
    assert!(told.starts_with("refused: ") && told.contains("api.example"), "{told}");
    let (_, told) = ask(&host.client(), "", format!("{}\n{body}", outside.url("/echo"))).await;
    assert_eq!(told, format!("200 {body}"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_made_a_request_is_not_made_again() {
    let outside = Outside::start().await;
    let host = reaching(&[&outside.address.to_string()]).start().await;
    let (client, url) = (host.client(), outside.url("/hold"));
    let waiting = background(async move { ask(&client, "?counts", url).await });
    outside.until("/hold", 1).await;
    // It has read what this one changes.
    assert_eq!(ask(&host.client(), "", outside.url("/ok")).await.0, 200);
    outside.release();
    assert_eq!(must("its end", waiting).await.unwrap().0, 500);
    assert_eq!(host.invocations("outgoing", "conflict"), 1);
    assert_eq!(outside.count("/hold"), 1);
    host.stop().await;
}
