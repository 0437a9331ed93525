//! Sessions: who signs in stays signed in, until somebody ends it.

mod cookies;
mod processes;

use std::collections::BTreeSet;

use tests::{Host, Reply, Socket, auth_section, must, sessions_section, token};
use tidegate::telemetry::{ByCode, ByReason};

use crate::TIDEGATE;

/// A browser: it keeps one cookie.
#[derive(Clone, Debug, Default)]
struct Browser {
    cookie: Option<String>,
}

impl Browser {
    /// Sends a request, and keeps the cookie that comes back.
    async fn send(&mut self, host: &Host, method: &str, path: &str) -> Reply {
        let mut fields = vec![("user-agent", "Firefox"), ("sec-fetch-site", "same-origin")];
        fields.extend(self.cookie.as_deref().map(|cookie| ("cookie", cookie)));
        let reply = host.client().request(method, path, &fields, "").await;
        if let Some(set) = reply.header("set-cookie") {
            let (pair, rest) = set.split_once(';').unwrap();
            self.cookie = (!rest.contains("Max-Age=0;")).then(|| pair.to_owned());
        }
        reply
    }

    async fn text(&mut self, host: &Host, path: &str) -> String {
        let reply = self.send(host, "GET", path).await;
        format!("{} {}", reply.status, reply.text())
    }

    /// One in which somebody has signed in.
    async fn signed_in(host: &Host, user: &str) -> Self {
        let mut browser = Self::default();
        let reply = browser.send(host, "POST", &format!("/login/{user}/member")).await;
        assert_eq!((reply.status, reply.text()), (200, "done"));
        browser
    }

    async fn open(&self, host: &Host) -> Socket {
        let fields: Vec<_> = self.cookie.as_deref().map(|it| ("cookie", it)).into_iter().collect();
        Socket::try_open(host.address(), "/room", &fields).await.unwrap()
    }
}

async fn host() -> Host {
    host_with("").await
}

async fn host_with(more: &str) -> Host {
    let host = Host::builder().guest("sessions").with("grants.sessions = true");
    host.section(&sessions_section(more)).compiler(TIDEGATE).start().await
}

fn refusals(host: &Host, reason: &'static str) -> u64 {
    host.app().metrics().auth_refusals.get_or_create(&ByReason { reason }).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_is_known_until_signing_out() {
    let host = host().await;
    let mut ada = Browser::default();
    assert_eq!(ada.text(&host, "/home").await, "200 nobody None");
    assert_eq!(ada.cookie, None, "looking begins no session");
    let reply = ada.send(&host, "POST", "/login/ada/owner").await;
    let set = reply.header("set-cookie").unwrap().to_owned();
    let attributes: BTreeSet<&str> = set.split("; ").skip(1).collect();
    let expected = ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax", "Secure"];
    assert_eq!(attributes, BTreeSet::from(expected));
    assert!(set.starts_with("__Host-session="), "{set}");
    assert_eq!(ada.text(&host, "/me").await, "200 ada owner");
    // No consumer sees the cookie, whether it asks for a user or not.
    let cookie = ada.cookie.clone().unwrap();
    let both = format!("a=1; {cookie}; b=2");
    let fields = [("cookie", &*both)];
    for path in ["/open", "/home"] {
        let seen = host.client().request("GET", path, &fields, "").await;
        assert!(seen.text().ends_with("Some(\"a=1; b=2\")"), "{}", seen.text());
        let seen = ada.text(&host, path).await;
        assert!(seen.ends_with("None"), "{seen}");
    }
    let reply = ada.send(&host, "POST", "/logout").await;
    assert!(reply.header("set-cookie").unwrap().starts_with("__Host-session=; "));
    assert_eq!(ada.cookie, None);
    ada.cookie = Some(cookie);
    assert!(ada.text(&host, "/me").await.starts_with("401 "), "the cookie counts no longer");
    assert_eq!(refusals(&host, "session_ended"), 1);
    assert_eq!(host.app().metrics().session_changes.get(), 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_gives_another_id_and_keeps_what_the_session_has() {
    let host = host().await;
    let mut browser = Browser::default();
    browser.send(&host, "POST", "/basket/buoy").await;
    let before = browser.clone();
    assert!(before.cookie.is_some(), "a basket begins a session");
    assert_eq!(browser.text(&host, "/home").await, "200 nobody None");
    browser.send(&host, "POST", "/login/ada/member").await;
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(browser.text(&host, "/basket").await, "200 buoy");
    // Who knew the id before, because he gave it to the browser, is not signed in and has nothing.
    assert_eq!(before.clone().text(&host, "/home").await, "200 nobody None");
    assert_eq!(before.clone().text(&host, "/basket").await, "200 ");
    // Another user on the same browser does not get the basket.
    browser.send(&host, "POST", "/login/bob/member").await;
    assert_eq!(browser.text(&host, "/me").await, "200 bob member");
    assert_eq!(browser.text(&host, "/basket").await, "200 ");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_session_do_not_lose_writes_of_each_other() {
    let host = host().await;
    let browser = Browser::signed_in(&host, "ada").await;
    let puts = (0..20).map(|number| {
        let (mut browser, host) = (browser.clone(), &host);
        async move { browser.send(host, "POST", &format!("/basket/{number}")).await.status }
    });
    let statuses = futures_util::future::join_all(puts).await;
    let done = statuses.iter().filter(|status| **status == 200).count();
    let basket = browser.clone().text(&host, "/basket").await;
    assert_eq!(basket.split(',').count(), done, "{statuses:?} {basket}");
    assert!(done > 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_in_by_a_run_that_fails_or_does_not_answer() {
    let host = host().await;
    for (path, status) in [("/fail/ada", 500), ("/mute/ada", 500)] {
        let mut browser = Browser::default();
        let reply = browser.send(&host, "POST", path).await;
        assert_eq!((reply.status, browser.cookie), (status, None), "{path}");
    }
    assert_eq!(host.app().metrics().session_changes.get(), 0);
    // Nor has the data of those runs been written.
    let usage = host.admin().done("GET", "modules/sessions/data/usage", "").await;
    assert_eq!(usage["keys"], 0, "{usage}");
    let flush = async |when: &str| {
        let reply = Browser::default().send(&host, "POST", &format!("/flush/{when}")).await;
        (reply.text().to_owned(), reply.header("set-cookie").is_some())
    };
    assert_eq!(flush("after").await, ("entered refused".to_owned(), true));
    assert_eq!(flush("before").await, ("invalid flushed".to_owned(), false));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_guard_grant_or_own_page_nobody_signs_in() {
    let host = host().await;
    let client = host.client();
    let reply = client.request("POST", "/bare/ada", &[], "").await;
    assert!(reply.text().starts_with("no-session: no session is looked for here"), "{reply:?}");
    // A page of another site would sign its visitor in as somebody else.
    for fields in [[("sec-fetch-site", "cross-site")], [("origin", "https://evil.example")]] {
        let reply = client.request("POST", "/login/ada/member", &fields, "").await;
        assert!(reply.text().starts_with("no-session: "), "{reply:?}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    host.stop().await;
    let host = Host::builder().guest("sessions").section(&sessions_section(""));
    let host = host.compiler(TIDEGATE).start().await;
    for path in ["/login/ada/member", "/end/ada/all"] {
        let reply = Browser::default().send(&host, "POST", path).await;
        let granted = "modules.sessions.grants.sessions = true";
        assert!(reply.text().starts_with("forbidden: "), "{reply:?}");
        assert!(reply.text().ends_with(granted), "{reply:?}");
    }
    // To keep something, and to leave, takes no grant.
    let mut browser = Browser::default();
    assert_eq!(browser.send(&host, "POST", "/basket/buoy").await.status, 200);
    assert_eq!(browser.send(&host, "POST", "/logout").await.status, 200);
    assert_eq!(browser.cookie, None);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_keeps_no_sessions_says_so_and_tokens_have_none() {
    let host = Host::builder().guest("sessions").with("grants.sessions = true");
    let host = host.section(&auth_section("")).compiler(TIDEGATE).start().await;
    let reply = host.post("/login/ada/member").await;
    assert!(reply.text().starts_with("no-session: this host keeps no sessions"), "{reply:?}");
    host.stop().await;
    let both = format!("{}\n{}", auth_section(""), sessions_section(""));
    let host = Host::builder().guest("sessions").with("grants.sessions = true").section(&both);
    let host = host.compiler(TIDEGATE).start().await;
    let bearer = format!("Bearer {}", token("ada", &serde_json::json!({})));
    let fields = [("authorization", &*bearer)];
    let reply = host.client().request("POST", "/basket/buoy", &fields, "").await;
    assert!(reply.text().starts_with("no-session: no session is looked for here"), "{reply:?}");
    // The token counts, and not the cookie beside it.
    let bob = Browser::signed_in(&host, "bob").await;
    let fields = [("authorization", &*bearer), ("cookie", bob.cookie.as_deref().unwrap())];
    let reply = host.client().request("GET", "/me", &fields, "").await;
    assert_eq!(reply.text(), "ada ");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_user_are_listed_and_ended_one_by_one_and_all_at_once() {
    let host = host().await;
    let mut first = Browser::signed_in(&host, "ada").await;
    let mut second = Browser::signed_in(&host, "ada").await;
    let mut third = Browser::signed_in(&host, "ada").await;
    let mut bob = Browser::signed_in(&host, "bob").await;
    let listed = async |browser: &mut Browser, user: &str| {
        let text = browser.text(&host, &format!("/list/{user}")).await;
        let lines = text.strip_prefix("200 ").unwrap().lines();
        lines
            .map(|line| line.split_once(' ').unwrap())
            .map(|(id, rest)| (id.to_owned(), rest.to_owned()))
            .collect::<Vec<_>>()
    };
    let of_ada = listed(&mut first, "ada").await;
    assert_eq!(of_ada.len(), 3);
    let own: Vec<_> = of_ada.iter().filter(|(_, rest)| rest.starts_with("own ")).collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].1, "own 127.0.0.1 Firefox");
    let (of_second, _) = listed(&mut second, "ada")
        .await
        .into_iter()
        .find(|(_, rest)| rest.starts_with("own "))
        .unwrap();
    // By the name of another user it is nobody's.
    first.send(&host, "POST", &format!("/end/bob/{of_second}")).await;
    assert_eq!(second.text(&host, "/me").await, "200 ada member");
    first.send(&host, "POST", &format!("/end/ada/{of_second}")).await;
    assert!(second.text(&host, "/me").await.starts_with("401 "));
    let wrong = first.send(&host, "POST", "/end/ada/x").await;
    assert!(wrong.text().starts_with("invalid: "), "{wrong:?}");
    first.send(&host, "POST", "/end/ada/others").await;
    assert_eq!(first.text(&host, "/me").await, "200 ada member");
    assert!(third.text(&host, "/me").await.starts_with("401 "));
    // A message of a channel ends sessions, too.
    bob.send(&host, "POST", "/ban/ada").await;
    host.until("the ban", |host| host.app().metrics().session_changes.get() == 8).await;
    assert!(first.text(&host, "/me").await.starts_with("401 "));
    assert_eq!(bob.text(&host, "/me").await, "200 bob member");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_the_session_of_its_handshake_and_ends_with_it() {
    let host = host().await;
    let mut watch = Socket::open(host.address(), "/watch").await;
    let mut ada = Browser::signed_in(&host, "ada").await;
    let other = Browser::signed_in(&host, "ada").await;
    ada.send(&host, "POST", "/basket/buoy").await;
    let (mut own, mut second, mut of_other) =
        (ada.open(&host).await, ada.open(&host).await, other.open(&host).await);
    own.send("put rope").await;
    assert_eq!(own.text().await, "put");
    second.send("hi").await;
    assert_eq!(second.text().await, "ada member: hi [buoy,rope]");
    ada.send(&host, "POST", "/logout").await;
    let ended = || (4401, "the session has ended".to_owned());
    assert_eq!((own.closed().await, second.closed().await), (ended(), ended()));
    for _ in 0..2 {
        assert_eq!(watch.text().await, "ada member left with 4401");
    }
    of_other.send("here").await;
    assert_eq!(of_other.text().await, "ada member: here []");
    // From within a socket.
    of_other.send("bye").await;
    assert_eq!(of_other.closed().await, ended());
    let cookie = other.cookie.as_deref().unwrap();
    let again = Socket::try_open(host.address(), "/room", &[("cookie", cookie)]).await;
    // The room lets anybody in, and nobody is signed in there any more.
    let mut again = again.unwrap();
    again.send("who").await;
    assert_eq!(again.text().await, "nobody : who []".replace(" :", ":"));
    again.send("put rope").await;
    assert_eq!(again.text().await, "no-session", "an open socket takes no cookie");
    drop((watch, again));
    assert_eq!(host.app().metrics().closes.get_or_create(&ByCode { code: "4401" }).get(), 3);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_signs_in_with_its_answer() {
    let host = host().await;
    let opened = Socket::try_open(host.address(), "/room", &[("x-user", "ada")]).await.unwrap();
    let set = opened.response.headers().get("set-cookie").unwrap().to_str().unwrap();
    let cookie = set.split(';').next().unwrap().to_owned();
    assert!(opened.response.headers().get("cookie").is_none());
    let mut browser = Browser { cookie: Some(cookie) };
    assert_eq!(browser.text(&host, "/me").await, "200 ada ");
    drop(opened);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_closes_the_sockets_of_the_former_id() {
    let host = host().await;
    let mut browser = Browser::signed_in(&host, "ada").await;
    let mut socket = browser.open(&host).await;
    browser.send(&host, "POST", "/login/ada/owner").await;
    assert_eq!(socket.closed().await.0, 4401);
    let mut socket = browser.open(&host).await;
    socket.send("hi").await;
    assert_eq!(socket.text().await, "ada owner: hi []", "the claims as they are now");
    drop(socket);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let start = || {
        let host = Host::builder().data_dir(data.path()).guest("sessions");
        let host = host.with("grants.sessions = true").section(&sessions_section(""));
        host.compiler(TIDEGATE).start()
    };
    let host = start().await;
    let mut ada = Browser::signed_in(&host, "ada").await;
    host.stop().await;
    let host = must("another start", start()).await;
    assert_eq!(ada.text(&host, "/me").await, "200 ada member");
    host.stop().await;
}
