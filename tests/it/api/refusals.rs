//! Bad input: each has a status and a message of its own, and changes nothing.

use tests::{Admin, Host, example, guest, must};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{state, versioned};

/// Method, path, body; status, code, and a part of what is said.
type Case = (&'static str, &'static str, Vec<u8>, u16, &'static str, &'static str);

pub(super) async fn host() -> (Host, Admin) {
    let host = Host::builder().set("[upload]\nbytes = '1MiB'").start().await;
    let api = host.admin();
    api.deploy("hello", &example("hello")).await;
    for number in 1..=3 {
        api.done("PUT", "modules/v", versioned("versioned", number)).await;
    }
    api.done("DELETE", "modules/v/versions/1", "").await;
    host.prove("v", "/version").await;
    (host, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_a_status_and_a_code_says_the_fix_and_changes_nothing() {
    let (host, api) = host().await;
    let hello = std::fs::read(example("hello")).unwrap();
    let before = state(&api).await;
    let cwasm = b"\x7fELF\x02\x01\x01".to_vec();
    let core = b"\0asm\x01\0\0\0".to_vec();
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    let broken = [&component[..], &[0xff, 0xff]].concat();
    let text = |text: &str| text.as_bytes().to_vec();
    let looping = std::fs::read(guest("spin-at-start")).unwrap();
    let table: Vec<Case> = vec![
        ("PUT", "modules/A", hello.clone(), 400, "name", "a-z 0-9 -"),
        ("PUT", "modules/..%2Fa", hello.clone(), 400, "name", "a-z 0-9 -"),
        ("PUT", "modules/v", text("hello"), 422, "not-wasm", "`tidegate build` makes"),
        ("PUT", "modules/v", Vec::new(), 422, "not-wasm", "`tidegate build` makes"),
        ("PUT", "modules/v", cwasm, 422, "compiled-code", "give the .wasm file"),
        ("PUT", "modules/v", core, 422, "exports", "export!"),
        ("PUT", "modules/v", component, 422, "exports", "it exports: nothing"),
        ("PUT", "modules/v", broken, 422, "invalid", "not a valid component"),
        ("PUT", "modules/v", looping, 422, "routes", "look for a loop without end"),
        ("PUT", "modules/v", vec![0; 2 << 20], 413, "too-large", "upload.bytes"),
        ("PUT", "modules/v", hello, 409, "route-conflict", "module hello"),
        ("POST", "modules/v/activate", text(r#"{"version":9}"#), 404, "no-such-version", "is 3"),
        ("POST", "modules/v/activate", text(r#"{"version":1}"#), 410, "version-deleted", "deploy"),
        ("POST", "modules/v/activate", text("{}"), 422, "body", "version"),
        ("POST", "modules/v/activate", text(r#"{"versoin":2}"#), 422, "body", "versoin"),
        ("POST", "modules/v/activate", text("{"), 400, "body", "EOF"),
        ("POST", "modules/hello/rollback", text("{}"), 409, "nothing-before", "name one"),
        ("POST", "modules/v/rollback", text(r#"{"version":1}"#), 410, "version-deleted", "again"),
        ("POST", "modules/v/rollback", text(r#"{"version":9}"#), 404, "no-such-version", "is 3"),
        ("DELETE", "modules/v/versions/3", Vec::new(), 409, "active", "activate another"),
        ("DELETE", "modules/v/versions/x", Vec::new(), 400, "version", "from 1"),
        ("DELETE", "modules/nobody", Vec::new(), 404, "no-such-module", "tidegate modules"),
        ("PUT", "modules/v/settings", text(r#"{"reuze":2}"#), 422, "settings", "`reuse`?"),
        ("PUT", "modules/v/settings", text(r#"{"reuse":0}"#), 422, "settings", "at least 1"),
        (
            "PUT",
            "modules/v/settings",
            text(r#"{"connections_per_user":0}"#),
            422,
            "settings",
            "nonzero",
        ),
        ("PUT", "modules/v/settings", text(r#"{"file":"a"}"#), 422, "settings", "PUT the file"),
        ("PUT", "modules/v/settings", text("[]"), 422, "settings", ""),
        ("PUT", "modules/v/settings", vec![b' '; 70_000], 413, "too-large", "65536"),
        (
            "PUT",
            "modules/v/settings",
            text(r#"{"limits":{"fuel":1}}"#),
            409,
            "unlivable",
            "cannot live with these settings",
        ),
        ("GET", "records?limit=0", Vec::new(), 400, "limit", "1 to 1000"),
        ("GET", "records?since=yesterday", Vec::new(), 400, "time", "2026-01-31T12:00:00Z"),
        ("GET", "records?modul=v", Vec::new(), 400, "query", "`module`?"),
        ("GET", "nothing", Vec::new(), 404, "not-found", "openapi.json"),
        ("PATCH", "modules/v", Vec::new(), 405, "method", "GET, PUT, DELETE"),
    ];
    for (method, path, body, status, code, fix) in table {
        let (found, word, detail) = api.refused(method, path, body).await;
        assert_eq!((found, &*word), (status, code), "{method} {path}: {detail}");
        assert!(detail.contains(fix), "{method} {path}: {detail}");
        assert_eq!(state(&api).await, before, "{method} {path}");
    }
    assert_eq!(host.get("/version").await.text(), "3");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_nothing_is_told_and_failures_are_throttled() {
    let (host, api) = host().await;
    let before = state(&api).await;
    let ask = async |token: Option<&str>| {
        let headers: Vec<_> = token.iter().map(|token| ("authorization", *token)).collect();
        api.client().request("DELETE", "/api/v1/modules/v", &headers, "").await
    };
    for (token, code, fix) in [
        (None, "no-token", "there is no token"),
        (Some("Bearer nothing"), "token", "it is not a token of this host"),
        (Some("Basic x"), "token", "it is not a token of this host"),
    ] {
        let reply = ask(token).await;
        assert!(reply.text().contains(&format!(r#""code":"{code}""#)), "{}", reply.text());
        assert!(reply.text().contains(fix), "{}", reply.text());
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
        assert!(reply.text().contains("admin-token"), "{}", reply.text());
    }
    let unknown = api.client().request("GET", "/api/v1/nothing", &[], "").await;
    assert_eq!(unknown.status, 401, "a stranger does not learn what there is");
    let throttled = must("a 429", async {
        loop {
            let reply = ask(Some("Bearer guess")).await;
            if reply.status == 429 {
                return reply;
            }
            assert_eq!(reply.status, 401);
        }
    })
    .await;
    assert!(throttled.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(ask(None).await.status, 401, "nothing is guessed");
    assert_eq!(state(&api).await, before, "who has the token is not locked out");
    let document = api.client().get("/api/v1/openapi.json").await;
    assert_eq!(document.status, 200);
    assert_eq!(document.header("access-control-allow-origin"), None);
    host.stop().await;
}

/// More than the sockets between them hold, so that it is refused while it is being sent.
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_whole_upload_before_reading_learns_why_it_is_refused() {
    const BYTES: usize = 16 << 20;
    let (host, api) = host().await;
    let right = api.authorization();
    for (authorization, status, code) in
        [("Bearer nothing", "401 Unauthorized", "token"), (&right, "413", "too-large")]
    {
        let mut socket = TcpStream::connect(host.app().admin_address()).await.unwrap();
        let head = format!(
            "PUT /api/v1/modules/v HTTP/1.1\r\nhost: a\r\nauthorization: {authorization}\r\n\
             content-length: {BYTES}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        must("all is read", socket.write_all(&vec![0; BYTES])).await.unwrap();
        let mut answer = String::new();
        must("an answer", socket.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(&format!("{code:?}")), "{answer}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_deployments_at_once_one_is_told_and_one_that_is_cut_off_changes_nothing() {
    let (host, api) = host().await;
    let before = state(&api).await;
    let wasm = versioned("versioned", 4);
    let mut slow = TcpStream::connect(host.app().admin_address()).await.unwrap();
    let head = format!(
        "PUT /api/v1/modules/v HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n",
        api.authorization(),
        wasm.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&wasm[..1_000]).await.unwrap();
    must("the module is busy", async {
        while api.ask("PUT", "modules/v", wasm.clone()).await.status != 409 {
            // The slow one has not begun yet: what was deployed instead is taken back.
            api.done("POST", "modules/v/rollback", r#"{"version":3}"#).await;
            api.done("DELETE", "modules/v/versions/4", "").await;
        }
    })
    .await;
    let (status, code, text) = api.refused("PUT", "modules/v", wasm.clone()).await;
    assert_eq!((status, &*code), (409, "busy"));
    assert!(text.contains("wait until that is over"), "{text}");
    assert_eq!(api.deploy("other", &guest("scope")).await["version"], 1);
    drop(slow);
    must("the module is free again", async {
        while api.ask("POST", "modules/v/activate", r#"{"version":3}"#).await.status == 409 {}
    })
    .await;
    api.done("DELETE", "modules/other", "").await;
    assert_eq!(state(&api).await, before);
    host.stop().await;
}
