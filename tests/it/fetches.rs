//! Requests to servers outside: made after the commit, answered once, refused where nothing grants them.

use std::{net::Ipv4Addr, path::Path};

use serde_json::{Value, json};
use tests::{Certificate, Client, Host, HostBuilder, Outside, Process, Socket, guest, must};

use crate::TIDEGATE;

/// Serves the guest, and lets it reach hosts.
fn reaching(hosts: &[&str]) -> HostBuilder {
    let grant = format!("grants.http = {hosts:?}\nfetch.timeout = '2s'");
    Host::builder().guest("fetches").with(&grant)
}

async fn ask(client: &Client, asked: &Value) -> (u16, String) {
    let fields = [("content-type", "application/json")];
    let reply = client.request("POST", "/fetch", &fields, asked.to_string()).await;
    (reply.status, reply.text().to_owned())
}

/// Asks for a request and waits for its result.
async fn fetched(client: &Client, watch: &mut Socket, asked: Value) -> Value {
    let (status, text) = ask(client, &asked).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&watch.text().await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_as_a_message_with_the_value_of_the_request() {
    let outside = Outside::start().await;
    let address = outside.address.to_string();
    let host = reaching(&[&address]).start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    let asked = json!({
        "method": "POST", "url": outside.url("/echo"), "value": "mine", "body": "hello",
        "headers": [["x-mine", "yes"]],
    });
    let told = fetched(&client, &mut watch, asked).await;
    let expected = json!({
        "value": "mine", "attempts": 1, "status": 200, "kind": "text/plain", "body": "hello",
        "failure": null, "message": null,
    });
    assert_eq!(told, expected);
    let [asked] = &outside.asked()[..] else { panic!("one request") };
    assert_eq!(asked.line, "POST /echo");
    for field in
        ["x-mine: yes", &format!("host: {address}"), "traceparent: 00-", "user-agent: tidegate/"]
    {
        assert!(asked.head.contains(field), "{field}: {}", asked.head);
    }
    let unpacked = fetched(&client, &mut watch, json!({"url": outside.url("/gzip")})).await;
    assert_eq!(unpacked["body"], "unpacked");
    let lost = fetched(&client, &mut watch, json!({"url": outside.url("/status/404")})).await;
    assert_eq!((&lost["status"], &lost["failure"]), (&json!(404), &Value::Null));
    assert_eq!(host.get("/results/mine").await.text().split_once(' ').unwrap().0, "1");
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_makes_no_request() {
    let outside = Outside::start().await;
    let host = reaching(&[&outside.address.to_string()]).start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    let asked = json!({"url": outside.url("/ok"), "fails": true});
    assert_eq!(ask(&client, &asked).await.0, 500);
    // What comes after it is made.
    fetched(&client, &mut watch, json!({"url": outside.url("/after")})).await;
    assert_eq!((outside.count("/ok"), outside.count("/after")), (0, 1));
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_reason() {
    let outside = Outside::start().await;
    let closed = {
        // Nobody listens there when it is dropped.
        let other = Outside::start().await;
        other.address.port()
    };
    let closed = format!("127.0.0.1:{closed}");
    let grants = [&*outside.address.to_string(), &closed, "nowhere.invalid", "localhost"];
    let host = reaching(&grants).with("fetch.response_bytes = '100KiB'").start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    for (url, reason, text) in [
        (outside.url("/never"), "timeout", "longer than 2s"),
        (outside.url("/stalls"), "timeout", "longer than 2s"),
        (outside.url("/drip"), "timeout", "longer than 2s"),
        (outside.url("/cut"), "broken", ""),
        (outside.url("/closes"), "broken", ""),
        (outside.url("/http09"), "broken", ""),
        (outside.url("/field"), "broken", ""),
        (outside.url("/large"), "too_large", "at most 102400 bytes"),
        (outside.url("/again/11"), "redirects", "more than 10 redirects"),
        (outside.url("/to?http://10.1.2.3/"), "refused", "10.1.2.3"),
        (outside.url("/to?ftp://127.0.0.1/"), "refused", "scheme"),
        (format!("http://{closed}/"), "connect", "refused"),
    ] {
        let told = fetched(&client, &mut watch, json!({"url": url})).await;
        assert_eq!(told["failure"], reason, "{url}: {told}");
        assert!(told["message"].as_str().unwrap().contains(text), "{url}: {told}");
        assert_eq!(told["attempts"], 1, "{url}");
    }
    // A machine whose servers of names do not answer is late instead.
    let told = fetched(&client, &mut watch, json!({"url": "http://nowhere.invalid/"})).await;
    assert!(told["failure"] == "resolve" || told["failure"] == "timeout", "{told}");
    let again = fetched(&client, &mut watch, json!({"url": outside.url("/again/10")})).await;
    assert_eq!(again["status"], 200);
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_refused_in_the_run_with_the_fix() {
    let host = reaching(&["api.example", "https://pay.example:8443", "10.0.0.0/8"]).start().await;
    let client = host.client();
    let asks = |url: &str| json!({"url": url});
    let keyless = json!({"url": "http://api.example/", "method": "POST", "retries": 1});
    for (asked, text) in [
        (asks("http://other.example/"), "modules.fetches.grants.http"),
        (asks("http://api.example:81/"), "port 81"),
        (asks("http://pay.example:8443/"), "the other scheme"),
        (asks("ftp://api.example/"), "scheme"),
        (asks("http://me@api.example/"), "user name"),
        (asks("http://127.0.0.1/"), "loopback"),
        (asks("http://0x7f.1/"), "loopback"),
        (asks("http://169.254.169.254/latest/"), "metadata"),
        (asks("not a url"), "not valid"),
        (keyless, "idempotency-key"),
        (json!({"url": "http://api.example/", "method": "CONNECT"}), "not a method"),
        (json!({"url": "http://api.example/", "retries": 11}), "10 times at most"),
        (json!({"url": "http://api.example/", "timeout": 0}), "at least 1 ms"),
        (json!({"url": "http://api.example/", "headers": [["host", "x"]]}), "written by the host"),
        (json!({"url": "http://api.example/", "headers": [["a", "1\r\nb: 2"]]}), "header field"),
        (json!({"url": "http://api.example/", "then": "other.work"}), "declare a consumer of it"),
        (json!({"url": "http://api.example/", "then": "node!1"}), "is a reply channel"),
        (
            json!({"url": "http://api.example/", "then": "http.request.fetches"}),
            "declare a consumer",
        ),
        (json!({"url": "http://api.example/", "then": ""}), "goes nowhere"),
    ] {
        let (status, told) = ask(&client, &asked).await;
        assert!(status == 400 && told.contains(text), "{asked}: {status} {told}");
    }
    // The SDK refuses the last one itself.
    assert_eq!(host.sends_refused("fetches"), 18);
    let refused = |reason| host.outside_refusals("fetches", reason, "refused");
    let reasons = ["url", "scheme", "credentials", "host", "port", "address"];
    assert_eq!(reasons.map(refused), [1, 2, 1, 1, 1, 3]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_makes_requests_that_no_entry_allows_but_to_addresses_that_are_not_public() {
    let outside = Outside::start().await;
    let grants = "grants.http = ['127.0.0.1:1']\nfetch.timeout = '2s'\nfetch.dry_run = true";
    let host = Host::builder().guest("fetches").with(grants).start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    let told = fetched(&client, &mut watch, json!({"url": "http://name.invalid/"})).await;
    // A machine without a server of names may wait for one.
    let failure = told["failure"].as_str().unwrap();
    assert!(["resolve", "timeout"].contains(&failure), "{told}");
    assert_eq!(host.outside_refusals("fetches", "host", "dry_run"), 1);
    let port = outside.address.port();
    for (url, text) in [
        (outside.url("/ok"), "no entry of the grants names it"),
        ("http://10.0.0.1/".to_owned(), "no entry of the grants names it"),
        (format!("http://localhost:{port}/ok"), "no entry of the grants names the host"),
    ] {
        let (status, told) = ask(&client, &json!({"url": url})).await;
        assert!(status == 400 && told.contains(text), "{url}: {told}");
    }
    assert_eq!(host.outside_refusals("fetches", "address", "refused"), 2);
    assert!(outside.asked().is_empty());
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_private_address_is_refused_and_localhost_is_what_it_says() {
    let outside = Outside::start().await;
    let port = outside.address.port();
    // The name of this machine is one of the loopback, too, but does not say so.
    let name = format!("localhost:{port}");
    let host = reaching(&[&name]).start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    let told = fetched(&client, &mut watch, json!({"url": format!("http://{name}/ok")})).await;
    assert_eq!(told["body"], "GET /ok");
    let (status, text) = ask(&client, &json!({"url": outside.url("/ok")})).await;
    assert!(status == 400 && text.contains("loopback"), "{text}");
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_retries_is_made_again_while_the_server_is_busy() {
    let outside = Outside::start().await;
    let host = reaching(&[&outside.address.to_string()]);
    let host = host.section("[layer]\nretry_pause = '10ms'").start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    let asked = |path: &str, retries| json!({"url": outside.url(path), "retries": retries});
    let told = fetched(&client, &mut watch, asked("/busy/2", 3)).await;
    assert_eq!((&told["status"], &told["attempts"]), (&json!(200), &json!(3)));
    let told = fetched(&client, &mut watch, asked("/busy/9", 1)).await;
    assert_eq!((&told["status"], &told["attempts"]), (&json!(503), &json!(2)));
    let told = fetched(&client, &mut watch, asked("/closes", 2)).await;
    assert_eq!((&told["failure"], &told["attempts"]), (&json!("broken"), &json!(3)));
    assert_eq!(outside.count("/closes"), 3);
    let told = fetched(&client, &mut watch, asked("/status/500", 3)).await;
    assert_eq!((&told["status"], &told["attempts"]), (&json!(500), &json!(1)));
    let told = fetched(&client, &mut watch, asked("/busy/1", 0)).await;
    assert_eq!((&told["status"], outside.count("/busy/1")), (&json!(503), 1));
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_waits_for_a_slow_server() {
    let outside = Outside::start().await;
    let grant = format!("grants.http = ['{}']", outside.address);
    let host = Host::builder().set("slots = 1").guest("fetches").with(&grant).start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    let asked = json!({"url": outside.url("/hold"), "count": 100});
    assert_eq!(ask(&client, &asked).await.0, 200);
    outside.until("/hold", 100).await;
    // The only slot is free.
    assert_eq!(host.get("/results/none").await.text(), "0 ");
    assert_eq!(host.app().metrics().fetches_in_flight.get(), 100);
    outside.release();
    for _ in 0..100 {
        assert!(watch.text().await.contains("released"));
    }
    host.until("none is in flight", |host| host.app().metrics().fetches_in_flight.get() == 0).await;
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_in_flight_to_a_server_than_may_be() {
    let outside = Outside::start().await;
    let other = Outside::start().await;
    let grants = format!("grants.http = ['{}', '{}']", outside.address, other.address);
    let host = Host::builder().guest("fetches").with(&grants);
    let host = host.section("[fetch]\nin_flight_per_server = 2").start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    assert_eq!(ask(&client, &json!({"url": outside.url("/hold"), "count": 3})).await.0, 200);
    outside.until("/hold", 2).await;
    // Another server is not held up.
    let told = fetched(&client, &mut watch, json!({"url": other.url("/ok")})).await;
    assert_eq!(told["status"], 200);
    assert_eq!(outside.count("/hold"), 2);
    outside.release();
    outside.until("/hold", 3).await;
    outside.release();
    for _ in 0..3 {
        assert!(watch.text().await.contains("released"));
    }
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_certificates_of_trusted_authorities_count() {
    let directory = tempfile::tempdir().unwrap();
    let (good, expired, unknown) =
        (Certificate::new(), Certificate::until(2001), Certificate::new());
    let authorities = directory.path().join("authorities.pem");
    std::fs::write(&authorities, good.pem().to_owned() + expired.pem()).unwrap();
    let [here, there] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    let right = Outside::secure(here, &good).await;
    let of_another_name = Outside::secure(there, &good).await;
    let too_old = Outside::secure(here, &expired).await;
    let unheard_of = Outside::secure(here, &unknown).await;
    let servers = [&right, &of_another_name, &too_old, &unheard_of];
    let grants = servers.map(|server| format!("https://{}", server.address));
    let name = format!("localhost:{}", right.address.port());
    let grants: Vec<_> = grants.iter().chain([&name]).map(String::as_str).collect();
    let host = reaching(&grants).section(&format!("[fetch]\nauthorities = {authorities:?}"));
    let host = host.start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    for (server, status, text) in [
        (right.address.to_string(), json!(200), ""),
        (name.clone(), json!(200), ""),
        (of_another_name.address.to_string(), Value::Null, "not valid for name"),
        (too_old.address.to_string(), Value::Null, "expired"),
        (unheard_of.address.to_string(), Value::Null, "invalid peer certificate"),
    ] {
        let url = format!("https://{server}/ok");
        let told = fetched(&client, &mut watch, json!({"url": url})).await;
        assert_eq!(told["status"], status, "{url}: {told}");
        if status.is_null() {
            assert_eq!(told["failure"], "tls", "{url}: {told}");
            assert!(told["message"].as_str().unwrap().contains(text), "{url}: {told}");
        }
    }
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_for_no_more_than_it_may_write() {
    let outside = Outside::start().await;
    let host = reaching(&[&outside.address.to_string()]).start().await;
    let client = host.client();
    let large = json!({"url": outside.url("/ok"), "method": "PUT", "body": "x".repeat(900_000), "count": 30});
    let many = json!({"url": outside.url("/ok"), "count": 4_097});
    for (asked, text) in
        [(large, "at most 16777216 bytes"), (many, "at most 4096 keys, timers and requests")]
    {
        let (status, told) = ask(&client, &asked).await;
        assert!(status == 400 && told.contains(text), "{status} {told}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_waits_for_no_request_that_waits_for_its_turn() {
    let (data, outside) = (tempfile::tempdir().unwrap(), Outside::start().await);
    let (process, client) =
        serve_with(data.path(), &outside, "[fetch]\nin_flight_per_server = 1\n").await;
    let asked = json!({"url": outside.url("/never"), "value": "once", "count": 5});
    assert_eq!(ask(&client, &asked).await.0, 200);
    outside.until("/never", 1).await;
    process.signal("TERM").await;
    assert_eq!(process.wait().await, Some(0));
    assert_eq!(outside.count("/never"), 1);
    // Those that were not begun are made by the next process.
    let (_process, _) = serve_with(data.path(), &outside, "").await;
    outside.until("/never", 5).await;
}

async fn serve(data: &Path, outside: &Outside) -> (Process, Client) {
    serve_with(data, outside, "").await
}

async fn serve_with(data: &Path, outside: &Outside, more: &str) -> (Process, Client) {
    let settings = format!(
        "{more}[modules.fetches]\nfile = {:?}\ngrants.http = [\"{}\"]\n",
        guest("fetches"),
        outside.address
    );
    let file = data.join("tidegate.toml");
    std::fs::write(&file, settings).unwrap();
    let (data, file) = (data.join("data"), file.display().to_string());
    let arguments = ["--config", &file, "--data-dir", data.to_str().unwrap()];
    let process = Process::serve(TIDEGATE, &arguments).await;
    let client = Client::new(process.address);
    (process, client)
}

async fn result(client: &Client, value: &str) -> String {
    must("the result", async {
        loop {
            let text = client.get(&format!("/results/{value}")).await.text().to_owned();
            if !text.starts_with('0') {
                return text;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_process_that_is_killed_has_one_result() {
    let (data, outside) = (tempfile::tempdir().unwrap(), Outside::start().await);
    let (process, client) = serve(data.path(), &outside).await;
    for (value, retries) in [("once", 0), ("again", 1)] {
        let asked = json!({"url": outside.url("/hold"), "value": value, "retries": retries});
        assert_eq!(ask(&client, &asked).await.0, 200);
    }
    outside.until("/hold", 2).await;
    process.signal("KILL").await;
    assert_eq!(process.wait().await, None);
    let (_process, client) = serve(data.path(), &outside).await;
    let unknown = result(&client, "once").await;
    assert!(unknown.starts_with("1 ") && unknown.contains("unknown"), "{unknown}");
    outside.until("/hold", 3).await;
    outside.release();
    let answered = result(&client, "again").await;
    assert!(answered.starts_with("1 ") && answered.contains("released"), "{answered}");
    assert_eq!(outside.count("/hold"), 3, "one was made again, the other one not");
    assert_eq!(result(&client, "once").await, unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_in_order_says_what_it_does_not_know() {
    let (data, outside) = (tempfile::tempdir().unwrap(), Outside::start().await);
    let (process, client) = serve(data.path(), &outside).await;
    let asked = json!({"url": outside.url("/never"), "value": "once"});
    assert_eq!(ask(&client, &asked).await.0, 200);
    outside.until("/never", 1).await;
    process.signal("TERM").await;
    assert_eq!(process.wait().await, Some(0));
    let (_process, client) = serve(data.path(), &outside).await;
    let unknown = result(&client, "once").await;
    assert!(unknown.starts_with("1 ") && unknown.contains("unknown"), "{unknown}");
    assert_eq!(outside.count("/never"), 1);
}
