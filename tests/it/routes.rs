//! Guards, prefixes and what consumers take from requests, over real sockets.

use tests::{Host, Socket};

async fn host() -> Host {
    Host::builder().guest("routed").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_choose_among_consumers_of_one_path() {
    let host = host().await;
    for (headers, expected) in [
        (&[][..], "here"),
        (&[("x-version", "1")], "here"),
        (&[("X-Version", "2")], "here, second"),
    ] {
        let reply = host.client().request("GET", "/guarded", headers, "").await;
        assert_eq!((reply.status, reply.text()), (200, expected), "{headers:?}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_guard_holds_nothing_is_found_and_405_names_only_methods_that_hold() {
    let host = host().await;
    for (method, headers, status, allow) in [
        ("GET", &[][..], 404, None),
        ("DELETE", &[], 404, None),
        ("GET", &[("x-version", "2")], 405, Some("DELETE, OPTIONS")),
        ("DELETE", &[("x-version", "2")], 200, None),
    ] {
        let reply = host.client().request(method, "/elsewhere", headers, "").await;
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{method} {headers:?}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_whose_guards_do_not_hold_is_denied() {
    let host = host().await;
    let open = async |version| {
        Socket::try_open(host.address(), "/in/deep/ws", &[("x-version", version)]).await
    };
    assert_eq!(open("2").await.unwrap().text().await, "second");
    assert_eq!(open("3").await.unwrap_err().status(), 403);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_queries_and_cookies_are_read_in_wasm_as_they_are_natively() {
    let host = host().await;
    let parts = "--x\r\ncontent-disposition: form-data; name=a\r\n\r\n12345\r\n--x--\r\n";
    let large = format!("--x\r\ncontent-disposition: form-data; name=a\r\n\r\n{parts:>1100}");
    let form = "application/x-www-form-urlencoded";
    let mixed = "multipart/form-data; boundary=x";
    for (path, field, value, body, status, expected) in [
        (
            "/in/form?q=1",
            "content-type",
            form,
            "a=b+c",
            200,
            r#"{"q": "1"} {"a": "b c"} under /in"#,
        ),
        ("/in/form", "content-type", "text/plain", "a=b", 415, ""),
        ("/form", "content-type", form, "a=b", 404, ""),
        ("/in/json", "content-type", "application/json", r#"{"name":"Ann"}"#, 200, "Ann"),
        (
            "/in/json",
            "content-type",
            "application/json",
            "{}",
            422,
            r#"{"has":0,"status":422,"title":"A name is needed"}"#,
        ),
        ("/in/deep/parts", "content-type", mixed, parts, 200, "a 5;"),
        ("/in/deep/parts", "content-type", mixed, &parts[..40], 400, ""),
        (
            "/in/deep/parts",
            "content-type",
            mixed,
            &large,
            413,
            "body: part `a` is over 1000 bytes\n",
        ),
        ("/in/deep/login", "cookie", "user=ann", "", 200, "ann"),
        ("/in/deep/login", "cookie", "other=ann", "", 400, "who are you?"),
    ] {
        let reply = host.client().request("POST", path, &[(field, value)], body.to_owned()).await;
        assert_eq!(reply.status, status, "{path} {value} {}", reply.text());
        assert!(reply.text() == expected || expected.is_empty(), "{path} {}", reply.text());
        if status == 200 && field == "cookie" {
            let set = "user=ann; HttpOnly; SameSite=Lax; Secure; Path=/";
            assert_eq!(reply.header("set-cookie"), Some(set));
        }
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_nearly_right_is_answered_with_a_hint() {
    let host = Host::builder().guest("scope").start().await;
    let reply = host.get("/join").await;
    assert_eq!((reply.status, reply.header("upgrade")), (426, Some("websocket")));
    assert!(reply.text().contains("has a WebSocket"), "{}", reply.text());
    let over_http2 = tests::Http2::connect(host.address()).await.get("/join").await;
    assert_eq!(over_http2.0, 426, "{}", over_http2.1);
    for path in ["/scope/", "/join/"] {
        let reply = host.get(path).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains("without a slash at its end"), "{path}: {}", reply.text());
    }
    for path in ["/", "/scopes", "/scope//", "/nowhere/"] {
        let reply = host.get(path).await;
        assert_eq!(reply.status, 404);
        assert!(
            reply.text().contains("no consumer serves this path\n"),
            "{path}: {}",
            reply.text()
        );
    }
    host.stop().await;
}
