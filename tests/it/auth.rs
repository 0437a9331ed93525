//! Users: who is let in, and whom a consumer sees.

use std::sync::Arc;

use serde_json::{Value, json};
use tests::{Host, SECRET, Socket, auth_section, guest, must, sessions_section, token, token_for};
use tidegate::{
    config::Layers,
    message::{
        ChannelName, Close, Content, Event, EventKind, Frame, Outcome, Protocol, Reply, User,
    },
    registry::DeployError,
    telemetry::ByReason,
};
use tokio::sync::Semaphore;

use crate::{TIDEGATE, unrouted::Peer};

const COOKIE: &str = "cookie = \"id\"\nquery = \"token\"\n";

async fn host() -> Host {
    Host::builder().guest("users").section(&auth_section(COOKIE)).compiler(TIDEGATE).start().await
}

fn refusals(host: &Host, reason: &'static str) -> u64 {
    host.app().metrics().auth_refusals.get_or_create(&ByReason { reason }).get()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The status and the text of a request.
async fn ask(host: &Host, method: &str, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let reply = host.client().request(method, path, fields, "").await;
    let text = reply.text().to_owned();
    match reply.status {
        401 => {
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            // The same for each reason.
            assert!(text.starts_with("401 Unauthorized: sign in first\nid: "), "{text}");
        }
        403 => {
            assert!(text.starts_with("403 Forbidden: this user may not do that\nid: "), "{text}")
        }
        _ => assert_eq!(reply.header("www-authenticate"), None),
    }
    (reply.status, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_its_consumer_with_the_user_that_the_route_asks_for() {
    let host = host().await;
    let ada = bearer(&token("ada", &json!({ "role": "owner" })));
    let bob = bearer(&token("bob", &json!({ "role": "reader" })));
    let old = bearer(&token_for("ada", &json!({}), -3_600));
    for (method, path, authorization, expected) in [
        ("GET", "/me", Some(&*ada), (200, "ada owner true")),
        ("GET", "/me", Some(&*ada), (200, "ada owner true")),
        ("HEAD", "/me", Some(&*ada), (200, "")),
        ("GET", "/home", Some(&*bob), (200, "bob reader true \"\"")),
        ("GET", "/home", None, (200, "nobody \"\"")),
        ("POST", "/close", Some(&*ada), (200, "closed by ada")),
        // A route without a guard looks for no token, so it minds none.
        ("GET", "/open", Some(&*ada), (200, "nobody")),
        ("GET", "/open", Some(&*old), (200, "nobody")),
    ] {
        let fields: Vec<_> = authorization.map(|it| ("authorization", it)).into_iter().collect();
        let (status, text) = ask(&host, method, path, &fields).await;
        assert_eq!((status, &*text), expected, "{method} {path}");
    }
    let runs = host.invocations("users", "ok");
    let forged = format!("{ada}x");
    for (method, path, authorization, status, reason) in [
        ("GET", "/me", None, 401, "missing"),
        ("GET", "/me", Some("Basic YTpi"), 401, "missing"),
        ("GET", "/me", Some(&*old), 401, "expired"),
        ("GET", "/me", Some(&*forged), 401, "signature"),
        ("GET", "/me", Some("Bearer x"), 401, "form"),
        ("GET", "/home", Some(&*old), 401, "expired"),
        ("POST", "/close", None, 401, "missing"),
        ("POST", "/close", Some(&*bob), 403, "claims"),
    ] {
        let before = refusals(&host, reason);
        let fields: Vec<_> = authorization.map(|it| ("authorization", it)).into_iter().collect();
        assert_eq!(ask(&host, method, path, &fields).await.0, status, "{path} {authorization:?}");
        assert_eq!(refusals(&host, reason), before + 1, "{reason}");
    }
    assert_eq!(host.invocations("users", "ok"), runs, "nothing runs for who is refused");
    let twice = [("authorization", &*ada), ("authorization", &*ada)];
    assert_eq!(ask(&host, "GET", "/me", &twice).await.0, 401);
    assert_eq!(refusals(&host, "several"), 1);
    // An extractor without a guard lets nobody in.
    let reply = host.client().request("GET", "/forgotten", &[("authorization", &ada)], "").await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_counts_for_pages_of_this_site_and_never_bars_a_public_page() {
    let host = host().await;
    let good = format!("x=1; id={}", token("ada", &json!({})));
    let old = format!("id={}", token_for("ada", &json!({}), -3_600));
    let here = format!("http://{}", host.address());
    let site = |value| ("sec-fetch-site", value);
    for (method, path, fields, expected) in [
        ("GET", "/me", vec![("cookie", &*good)], (200, "ada  true")),
        ("GET", "/me", vec![("cookie", &good), site("cross-site")], (200, "ada  true")),
        ("POST", "/me", vec![("cookie", &good)], (200, "ada  true")),
        ("POST", "/me", vec![("cookie", &good), site("same-origin")], (200, "ada  true")),
        ("POST", "/me", vec![("cookie", &good), site("none")], (200, "ada  true")),
        ("POST", "/me", vec![("cookie", &good), ("origin", &here)], (200, "ada  true")),
        ("POST", "/home", vec![("cookie", &good), site("cross-site")], (200, "nobody \"\"")),
        ("GET", "/home", vec![("cookie", &old)], (200, "nobody \"\"")),
    ] {
        let (status, text) = ask(&host, method, path, &fields).await;
        assert_eq!((status, &*text), expected, "{method} {path} {fields:?}");
    }
    for (fields, status) in [
        (vec![("cookie", &*good), site("cross-site")], 403),
        (vec![("cookie", &good), site("same-site")], 403),
        (vec![("cookie", &good), ("origin", "https://evil.example")], 403),
        (vec![("cookie", &good), ("origin", "null")], 403),
        (vec![("cookie", &old)], 401),
        (vec![("cookie", &good), ("cookie", &good)], 401),
    ] {
        assert_eq!(ask(&host, "POST", "/me", &fields).await.0, status, "{fields:?}");
    }
    assert_eq!(refusals(&host, "cross_site"), 5);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_taken_out_of_it() {
    let host = host().await;
    let token = token("ada", &json!({}));
    let target = format!("/home?a=1&token={token}&b=2");
    let reply = host.get(&target).await;
    assert_eq!((reply.status, reply.text()), (200, "ada  true \"a=1&b=2\""));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_the_user_of_its_handshake_until_its_end() {
    let host = host().await;
    let address = host.address();
    let token = token("ada", &json!({ "role": "owner" }));
    let mut watch = Socket::open(address, "/watch").await;
    let entry = format!("tidegate.token.{token}");
    let with_chat = format!("chat, {entry}");
    let with_own = format!("{entry}, tidegate");
    let bearer = bearer(&token);
    for (fields, chosen, seen) in [
        (vec![("authorization", &*bearer)], None, "[] \"\""),
        (vec![("sec-websocket-protocol", &*with_chat)], Some("chat"), "[\"chat\"] \"chat\""),
        (
            vec![("sec-websocket-protocol", &with_own)],
            Some("tidegate"),
            "[\"tidegate\"] \"tidegate\"",
        ),
        (
            vec![("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", &entry)],
            Some("chat"),
            "[\"chat\"] \"chat\"",
        ),
    ] {
        let mut socket = Socket::try_open(address, "/room", &fields).await.unwrap();
        let found = socket.response.headers().get("sec-websocket-protocol");
        assert_eq!(found.map(|it| it.to_str().unwrap()), chosen);
        socket.send("hi").await;
        assert_eq!(socket.text().await, format!("ada owner true: hi {seen}"));
        socket.close(1000).await;
        assert_eq!(watch.text().await, "ada owner true left");
    }
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_closed_when_its_token_no_longer_counts() {
    let section = auth_section("leeway = \"3s\"");
    let host = Host::builder().guest("users").section(&section).compiler(TIDEGATE).start().await;
    let mut watch = host.websocket("/watch").await;
    // It has expired, and the leeway lets it in for a moment.
    let bearer = bearer(&token_for("ada", &json!({}), 0));
    let opened = Socket::try_open(host.address(), "/room", &[("authorization", &bearer)]).await;
    let mut socket = opened.unwrap();
    assert_eq!(socket.closed().await, (4401, "the token has expired".to_owned()));
    drop(socket);
    assert_eq!(watch.text().await, "ada  true left");
    drop(watch);
    assert_eq!(host.closes("4401"), 1);
    // It is closed somewhat before the token no longer counts.
    let again =
        async || Socket::try_open(host.address(), "/room", &[("authorization", &bearer)]).await;
    let refused = must("the end of the leeway", async {
        loop {
            if let Err(refused) = again().await {
                return refused;
            }
        }
    });
    assert_eq!(refused.await.status().as_u16(), 401);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sockets_whose_tokens_end_together_all_come_back_and_none_is_lost() {
    let section = auth_section("leeway = \"5s\"");
    let host = Host::builder().guest("users").section(&section).compiler(TIDEGATE).start().await;
    let address = host.address();
    let end = token_for("ada", &json!({}), 0);
    // As many events as a channel has room for wait for a slot.
    let handshakes = Arc::new(Semaphore::new(50));
    let mut sockets = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (first, handshakes) = (bearer(&end), Arc::clone(&handshakes));
        let open = async move |authorization: String| {
            let _permit = handshakes.acquire().await.unwrap();
            let fields = [("authorization", &*authorization)];
            Socket::try_open(address, "/room", &fields).await.unwrap()
        };
        sockets.spawn(async move {
            let mut socket = open(first).await;
            assert_eq!(socket.closed().await.0, 4401);
            let mut socket = open(bearer(&token_for("ada", &json!({}), 3_600))).await;
            socket.send(format!("{number}")).await;
            assert!(socket.text().await.starts_with(&format!("ada  true: {number} ")));
        });
    }
    must("all are back", sockets.join_all()).await;
    assert_eq!(host.closes("4401"), 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_without_a_valid_token_is_refused_before_a_run() {
    let host = host().await;
    let old = format!("tidegate.token.{}", token_for("ada", &json!({}), -3_600));
    let good = format!("tidegate.token.{}", token("ada", &json!({})));
    let two = format!("{good}, tidegate.token.{}", token("bob", &json!({})));
    for fields in [
        vec![],
        vec![("authorization", "Bearer x")],
        vec![("sec-websocket-protocol", &*old)],
        vec![("sec-websocket-protocol", &two)],
        vec![("sec-websocket-protocol", "chat, tidegate.token.")],
    ] {
        let response = Socket::try_open(host.address(), "/room", &fields).await.unwrap_err();
        assert_eq!(response.status().as_u16(), 401, "{fields:?}");
        assert_eq!(response.headers().get("www-authenticate").unwrap(), "Bearer");
        assert!(response.headers().get("sec-websocket-protocol").is_none());
    }
    assert_eq!(host.invocations("users", "ok"), 0);
    host.stop().await;
}

/// An interface server that does not know of users sends events without one: to the channels of events that are to
/// be routed, or to those of the module. Router and slot refuse them.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_the_user_is_refused_by_the_worker_too() {
    let peer = Peer::beside(host().await, true).await;
    let user = |claims: Value| {
        let claims = Content::from_json(claims.as_object().unwrap()).unwrap();
        Some(Arc::new(User::new("ada", claims, None).unwrap()))
    };
    let request = || EventKind::HttpRequest("".into());
    let text = || EventKind::WebsocketReceive(Frame::Text("hi".to_owned()));
    let gone = || EventKind::WebsocketDisconnect(Close::new(1000, ""));
    let close = || vec![Reply::Close(Close::new(1008, "the route asks for another user"))];
    for module in ["", ".users"] {
        let runs = peer.host.invocations("users", "ok");
        for (consumer, target, kind, user, expected) in [
            ("me", "/me", request(), None, Err(401)),
            ("close", "/close", request(), None, Err(401)),
            ("close", "/close", request(), user(json!({})), Err(403)),
            ("Room", "/room", EventKind::WebsocketConnect, None, Ok(vec![Reply::Deny])),
            ("Room", "/room", text(), None, Ok(close())),
            ("Room", "/room", gone(), None, Ok(vec![])),
        ] {
            let method = if consumer == "close" { "POST" } else { "GET" };
            let mut scope = peer.scope(kind.protocol(), method, target);
            scope.user = user;
            let channel = ChannelName::parse(&format!("{}{module}", kind.channel())).unwrap();
            let event = Event { consumer: consumer.into(), ..peer.event(&scope, 3, kind) };
            peer.send_to(&channel, event).await;
            let (replies, done) = peer.end_of(3).await;
            assert_eq!(done.unwrap().outcome, Outcome::Ok, "{channel}");
            match (&replies[..], expected) {
                ([Reply::Respond(response)], Err(status)) => {
                    assert_eq!(response.head.status.as_u16(), status, "{channel}");
                    let asks =
                        response.head.headers.iter().any(|(name, _)| name == "www-authenticate");
                    assert_eq!(asks, status == 401);
                }
                (replies, expected) => assert_eq!(Ok(replies.to_vec()), expected, "{channel}"),
            }
        }
        assert_eq!(peer.host.invocations("users", "ok"), runs);
        let mut scope = peer.scope(Protocol::Http, "GET", "/me");
        scope.user = user(json!({ "role": "reader" }));
        let channel = ChannelName::parse(&format!("http.request{module}")).unwrap();
        let event = Event { consumer: "me".into(), ..peer.event(&scope, 4, request()) };
        peer.send_to(&channel, event).await;
        let (replies, _) = peer.end_of(4).await;
        let [Reply::Respond(response)] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(response.body, "ada reader false");
    }
    assert_eq!(refusals(&peer.host, "event_without_user"), 10);
    assert_eq!(refusals(&peer.host, "event_claims"), 2);
    peer.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_asks_for_users_is_refused_by_a_host_that_checks_no_tokens() {
    let host = Host::builder().compiler(TIDEGATE).start().await;
    let Err(DeployError::Load { error, .. }) = host.try_deploy("users", &guest("users")).await
    else {
        panic!("it is refused");
    };
    assert_eq!(error.code(), "auth");
    assert_eq!(
        error.to_string(),
        "its consumer Room asks for a user, and this host checks no tokens and keeps no sessions; add a section such as \
         [auth.web] with algorithms = [\"EdDSA\"] and public_keys = { file = \"public.pem\" }, or [sessions], to \
         tidegate.toml"
    );
    assert_eq!(host.get("/me").await.status, 404);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_module_is_open_to_nobody_when_the_section_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let with = Host::builder().data_dir(data.path()).section(&auth_section("")).compiler(TIDEGATE);
    let host = with.start().await;
    host.admin().deploy("users", &guest("users")).await;
    assert_eq!(host.get("/me").await.status, 401);
    host.stop().await;
    let host = Host::builder().data_dir(data.path()).compiler(TIDEGATE).start().await;
    let status = must("an answer", host.get("/me")).await.status;
    assert!(matches!(status, 404 | 503), "{status}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guards_are_listed_with_the_routes() {
    let host = host().await;
    let routes = host.admin().done("GET", "routes", "").await;
    let guards = |consumer: &str| {
        let mut all = routes["routes"].as_array().unwrap().iter();
        all.find(|route| route["consumer"] == consumer).unwrap()["guards"].clone()
    };
    assert_eq!(guards("Room"), json!(["user"]));
    assert_eq!(guards("home"), json!(["user=optional"]));
    assert_eq!(guards("close"), json!(["user role=\"admin\"|\"owner\""]));
    assert_eq!(guards("open"), json!([]));
    host.stop().await;
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    let read = |text: &str| {
        let mut layers = Layers::default();
        layers.add_file("tidegate.toml", text)?;
        layers.finish().map(drop)
    };
    // A process that only works knows no sections.
    assert!(read("[modules.a]\nauth = [\"web\"]").is_ok());
    assert!(read(&format!("{}[modules.a]\nauth = [\"sessions\"]", auth_section(""))).is_ok());
    assert!(read(&auth_section("leeway = \"5m\"\naudience = \"app\"\nissuer = \"me\"")).is_ok());
    for (text, rule) in [
        (auth_section("leeway = \"6m\""), "auth.web.leeway: it is at most 5m"),
        (auth_section("cookie = \"a b\""), "auth.web.cookie: it is a name of letters"),
        (auth_section("key = \"x\""), "there is no setting `key`"),
        (format!("{}[auth.other]\n", auth_section("")), "auth.other: `algorithms` names none"),
        (
            format!("{}{}", auth_section(""), auth_section("").replace("web", "other")),
            "auth.other: `issuer` is missing",
        ),
        (auth_section("user_prefix = \"a\\n\""), "auth.web: `user_prefix` is a text"),
        (auth_section("django_age = \"1h\""), "auth.web: `django_secrets` is missing"),
        (
            auth_section("django_secrets = \"short\""),
            "auth.web: a secret of `django_secrets` has 5",
        ),
        (
            format!("{}[auth.sessions]\n", auth_section("")),
            "auth.sessions: this name stands for the sessions of the host",
        ),
        (
            auth_section(&format!("cookie = \"sessionid\"\ndjango_secrets = {SECRET:?}")),
            "auth.web.django_cookie: the cookie \"sessionid\" is that of auth.web.cookie, too",
        ),
        (
            format!(
                "{}{}",
                auth_section("cookie = \"id\"\n"),
                sessions_section("secure = false\ncookie = \"id\"")
            ),
            "sessions.cookie: the cookie \"id\" is that of auth.web.cookie, too",
        ),
        (
            format!("{}[modules.a]\nauth = [\"wob\"]\n", auth_section("")),
            "modules.a.auth: there is no section `auth.wob`; name some of web, and sessions",
        ),
        ("[auth.web]\n".to_owned(), "auth.web: `algorithms` names none"),
        ("[auth.web]\nalgorithms = [\"HS256\"]\n".to_owned(), "auth.web: there is no key"),
        ("[auth.web]\nalgorithms = [\"none\"]\n".to_owned(), "\"none\" is not one of HS256, HS384"),
        (
            "[auth.web]\nalgorithms = [\"HS256\"]\nsecret = \"short\"\n".to_owned(),
            "auth.web: the secret has 5 bytes, and HS256 needs 32",
        ),
        (
            "[auth.web]\nalgorithms = [\"HS256\"]\nsecret = { file = \"/nowhere/secret\" }\n"
                .to_owned(),
            "auth.web.secret: /nowhere/secret: cannot be read",
        ),
        (
            "[auth.web]\nalgorithms = [\"HS256\"]\nsecret = 7\n".to_owned(),
            "a text in quotes, or { file = \"PATH\" }",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(rule), "{rule}: {error}");
    }
}
