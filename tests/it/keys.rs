//! Keys of tokens that come from a URL or a file, and change while the host serves.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tests::{
    Host, HostBuilder, Issuer, Outside, Process, Socket, Stub, auth_section, guest, must, token,
    token_for,
};
use tidegate::{config::Layers, telemetry::ByReason};

use crate::TIDEGATE;

fn section(more: &str) -> String {
    format!("[auth.web]\nalgorithms = [\"EdDSA\"]\naudience = []\n{more}")
}

fn builder(url: &str) -> HostBuilder {
    let section = section(&format!("jwks_url = {url:?}"));
    Host::builder().guest("users").section(&section).compiler(TIDEGATE)
}

/// A source of keys that answers what it holds.
async fn source(first: (u16, String)) -> (Stub, Arc<Mutex<(u16, String)>>) {
    let answer = Arc::new(Mutex::new(first));
    let held = Arc::clone(&answer);
    let stub = Stub::start(move |_| held.lock().unwrap().clone()).await;
    (stub, answer)
}

async fn me(host: &Host, token: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let reply = host.client().request("GET", "/me", &[("authorization", &*bearer)], "").await;
    if reply.status == 503 {
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert_eq!(reply.header("www-authenticate"), None);
    }
    (reply.status, reply.text().to_owned())
}

fn refusals(host: &Host, reason: &'static str) -> u64 {
    host.app().metrics().auth_refusals.get_or_create(&ByReason { reason }).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_once_for_all_and_a_made_up_one_asks_nobody() {
    let issuer = Issuer::new("one");
    let (stub, _) = source((200, issuer.jwks())).await;
    let host = builder(&format!("http://{}/keys?tenant=7", stub.address)).start().await;
    let token = issuer.token("ada", &json!({ "role": "owner" }));
    for _ in 0..3 {
        assert_eq!(me(&host, &token).await, (200, "ada owner true".to_owned()));
    }
    let bearer = format!("Bearer {token}");
    let room = Socket::try_open(host.address(), "/room", &[("authorization", &bearer)]).await;
    assert!(room.is_ok());
    for number in 0..20 {
        let made_up = Issuer::new(&format!("made-up-{number}")).token("eve", &json!({}));
        assert_eq!(me(&host, &made_up).await.0, 401);
    }
    assert_eq!(refusals(&host, "key"), 20);
    let asked = stub.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].line, "GET /keys?tenant=7");
    assert!(asked[0].head.contains("accept: application/json"), "{}", asked[0].head);
    drop(room);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_there_were_never_keys_a_token_gets_503_and_anybody_else_what_he_ever_gets() {
    let issuer = Issuer::new("one");
    let (stub, answer) = source((500, "{}".to_owned())).await;
    let host = builder(&format!("http://{}/", stub.address)).start().await;
    let token = issuer.token("ada", &json!({}));
    assert_eq!(me(&host, &token).await.0, 503);
    let entry = format!("tidegate.token.{token}");
    let fields = [("sec-websocket-protocol", &*entry)];
    let refused = Socket::try_open(host.address(), "/room", &fields).await.unwrap_err();
    assert_eq!(refused.status().as_u16(), 503);
    // Nobody becomes anonymous by it, on pages for everybody neither.
    let bearer = format!("Bearer {token}");
    let home = host.client().request("GET", "/home", &[("authorization", &*bearer)], "").await;
    assert_eq!(home.status, 503);
    assert_eq!(host.get("/home").await.status, 200);
    assert_eq!(host.get("/me").await.status, 401, "without a token");
    assert_eq!(me(&host, "x.y.z").await.0, 401, "what is no token needs no key");
    assert_eq!(host.get("/open").await.status, 200);
    assert_eq!(refusals(&host, "keys_away"), 3);
    *answer.lock().unwrap() = (200, issuer.jwks());
    must("the source is asked again", async { while me(&host, &token).await.0 != 200 {} }).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_set_of_public_keys_lets_nobody_in() {
    let issuer = Issuer::new("one");
    let token = issuer.token("ada", &json!({}));
    let mut private = issuer.jwk();
    private["d"] = "AA".into();
    let unknown = json!({ "kty": "EC", "crv": "secp256k1", "kid": "one", "x": "AA", "y": "AA" });
    for (status, body) in [
        (200, String::new()),
        (200, "<html>".to_owned()),
        (200, json!({ "keys": [] }).to_string()),
        (200, json!({ "keys": [private] }).to_string()),
        (200, json!({ "keys": [unknown] }).to_string()),
        (200, json!({ "keys": vec![issuer.jwk(); 17] }).to_string()),
        (404, issuer.jwks()),
    ] {
        let (stub, answer) = source((status, body.clone())).await;
        let host = builder(&format!("http://{}/", stub.address)).start().await;
        assert_eq!(me(&host, &token).await.0, 503, "{status} {body}");
        *answer.lock().unwrap() = (200, issuer.jwks());
        must("it is asked again", async { while me(&host, &token).await.0 != 200 {} }).await;
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_never_answers_or_never_ends_or_leads_elsewhere_holds_nobody_up() {
    let issuer = Issuer::new("one");
    let token = issuer.token("ada", &json!({}));
    let (outside, elsewhere) = (Outside::start().await, Outside::start().await);
    let led = format!("/to?http://{}/ok", elsewhere.address);
    for path in ["/never", "/stalls", "/large", "/cut", "/http09", &led] {
        let host = builder(&format!("http://{}{path}", outside.address)).start().await;
        assert_eq!(me(&host, &token).await.0, 503, "{path}");
        assert_eq!(host.get("/open").await.status, 200, "{path}");
        host.stop().await;
    }
    assert!(elsewhere.asked().is_empty(), "the guard names one server");
}

#[test]
fn each_setting_of_a_url_that_would_trust_anybody_is_refused() {
    for (more, rule) in [
        ("jwks_url = \"http://login.example.com/keys\"", "write https"),
        ("jwks_url = \"https://user:word@login.example.com/\"", "user name or a password"),
        ("jwks_url = \"keys\"", "jwks_url"),
        ("jwks_url = \"https://a.example/\"\njwks_refresh = \"1s\"", "from 1m to 24h"),
        ("jwks_url = \"https://a.example/\"\njwks_refresh = \"25h\"", "from 1m to 24h"),
        ("jwks_refresh = \"5m\"", "there is no `jwks_url`"),
        ("jwks_grants = [\"10.0.0.0/8\"]", "there is no `jwks_url`"),
        ("jwks_url = \"https://a.example/\"\njwks_grants = [\"http:/\"]", "jwks_url"),
    ] {
        let mut layers = Layers::default();
        layers.add_file("tidegate.toml", &section(more)).unwrap();
        let error = layers.finish().unwrap_err().to_string();
        assert!(error.contains(rule), "{more}: {error}");
    }
    let mut layers = Layers::default();
    let section = "[auth.web]\nalgorithms = [\"HS256\"]\njwks_url = \"https://a.example/\"\n";
    layers.add_file("tidegate.toml", section).unwrap();
    let error = layers.finish().unwrap_err().to_string();
    assert!(error.contains("`jwks_url` for the others"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_file_are_read_again_at_sighup_and_bad_ones_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (keys, settings) = (directory.path().join("keys.json"), directory.path().join("t.toml"));
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    std::fs::write(&keys, old.jwks()).unwrap();
    let file = format!("jwks = {{ file = {:?} }}", keys.display().to_string());
    std::fs::write(&settings, section(&file)).unwrap();
    let module = format!("users={}", guest("users").display());
    let settings = settings.display().to_string();
    let process = Process::serve(TIDEGATE, &["--config", &settings, "--module", &module]).await;
    let [before, after] = [&old, &new].map(|it| format!("Bearer {}", it.token("ada", &json!({}))));
    let client = tests::Client::new(process.address);
    let status = async |bearer: &str| {
        client.request("GET", "/me", &[("authorization", bearer)], "").await.status
    };
    assert_eq!((status(&before).await, status(&after).await), (200, 401));
    std::fs::write(&keys, "{").unwrap();
    process.signal("HUP").await;
    std::fs::write(&keys, new.jwks()).unwrap();
    process.signal("HUP").await;
    must("the new key counts", async { while status(&after).await != 200 {} }).await;
    assert_eq!(status(&before).await, 401, "a token of the old key is forgotten");
    std::fs::write(&keys, "{").unwrap();
    process.signal("HUP").await;
    assert_eq!((status(&before).await, status(&after).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_in_no_log_line_and_in_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let (log, settings) = (directory.path().join("log"), directory.path().join("t.toml"));
    let section = auth_section("query = \"token\"");
    std::fs::write(&settings, format!("log = \"trace\"\n{section}")).unwrap();
    let module = format!("users={}", guest("users").display());
    let settings = settings.display().to_string();
    let arguments = ["--config", &settings, "--module", &module];
    let process = Process::serve_logged(&log, TIDEGATE, &arguments).await;
    let good = token("ada", &json!({}));
    let (old, forged) = (token_for("ada", &json!({}), -3_600), format!("{good}forged"));
    let client = tests::Client::new(process.address);
    for (path, status) in [
        (format!("/home?a=1&token={good}"), 200),
        (format!("/me?token={good}"), 200),
        (format!("/me?token={old}"), 401),
        (format!("/me?token={forged}"), 401),
        (format!("/me?token={good}&token={old}"), 401),
        (format!("/close?token={good}"), 405),
        (format!("/nowhere?token={good}"), 404),
        (format!("/%ff?token={good}"), 400),
        // A route that asks for nobody: what stands there is taken out of its query all the same.
        (format!("/open?token={good}"), 200),
    ] {
        let reply = client.get(&path).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(!reply.text().contains(&good[..40]), "{}", reply.text());
    }
    for (token, status) in [(&good, 101), (&old, 401), (&forged, 401)] {
        let path = format!("/room?token={token}");
        let opened = Socket::try_open(process.address, &path, &[]).await;
        let found = opened.as_ref().map_or_else(|it| it.status().as_u16(), |_| 101);
        assert_eq!(found, status, "{path}");
    }
    let records = process.api().done("GET", "records", "").await.to_string();
    assert!(records.contains("users"), "{records}");
    process.signal("TERM").await;
    assert_eq!(process.wait().await, Some(0));
    let lines = std::fs::read_to_string(&log).unwrap();
    assert!(
        lines.contains("/home") && lines.contains("a token or a session is refused"),
        "the log is there"
    );
    for token in [&good, &old, &forged] {
        // Neither a token nor its claims or signature.
        for part in token.split('.').skip(1) {
            assert!(!lines.contains(part), "the log has a part of a token");
            assert!(!records.contains(part), "a record has a part of a token");
        }
    }
}
