//! Clients that lose their line and come back to the same connection.

use std::{net::SocketAddr, sync::Arc};

use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use tests::{Host, HostBuilder, Socket, auth_section, must, token_for};

use tidegate::telemetry::{ByCode, ByResult};

use crate::TIDEGATE;

fn builder() -> HostBuilder {
    let host = Host::builder().guest("resume").section(&auth_section("leeway = \"3s\""));
    host.set("interface.close_timeout = '100ms'").compiler(TIDEGATE)
}

/// A client that can come back, and counts what it gets.
pub(crate) struct Client {
    socket: Socket,
    token: Option<String>,
    got: u64,
    /// The client's messages that the host had read when it let the client in.
    read: u64,
}

/// The first frame.
#[derive(Deserialize)]
struct Greeting {
    tidegate: String,
    resumed: bool,
    received: u64,
    token: Option<String>,
}

/// What a client that was lost has.
#[derive(Clone)]
pub(crate) struct Lost {
    token: String,
    got: u64,
}

impl Lost {
    pub(crate) fn entry(&self) -> String {
        format!("tidegate.resume.{}.{}", self.token, self.got)
    }
}

impl Client {
    /// Connects with an entry about coming back; returns whether it has its connection again.
    async fn connect(
        at: SocketAddr,
        path: &str,
        entry: &str,
        fields: &[(&str, &str)],
    ) -> (Self, bool) {
        let offered = format!("chat, {entry}");
        let mut fields = fields.to_vec();
        fields.push(("sec-websocket-protocol", &offered));
        let mut socket = Socket::try_open(at, path, &fields).await.unwrap();
        let chosen = socket.response.headers().get("sec-websocket-protocol");
        assert_eq!(chosen.unwrap(), "chat", "one that comes back has what it had");
        let Greeting { tidegate, resumed, received, token } =
            serde_json::from_str(&socket.text().await).unwrap();
        assert_eq!(tidegate, "connection");
        (Self { socket, token, got: 0, read: received }, resumed)
    }

    /// A new connection.
    pub(crate) async fn open(at: SocketAddr, path: &str) -> Self {
        let (mut client, resumed) = Self::connect(at, path, "tidegate.resume", &[]).await;
        assert!(!resumed);
        assert_eq!(client.text().await, "offered chat", "the consumer sees its own alone");
        client
    }

    /// Comes back to its connection.
    pub(crate) async fn back(at: SocketAddr, path: &str, lost: &Lost) -> Self {
        let (client, resumed) = Self::connect(at, path, &lost.entry(), &[]).await;
        assert!(resumed);
        Self { got: lost.got, ..client }
    }

    /// Comes back, and finds that another connection has begun.
    pub(crate) async fn begins(at: SocketAddr, path: &str, entry: &str) -> Self {
        let (client, resumed) = Self::connect(at, path, entry, &[]).await;
        assert!(!resumed, "{entry}");
        client
    }

    /// The next message. Pings are answered and do not count.
    pub(crate) async fn text(&mut self) -> String {
        self.got += 1;
        loop {
            match self.socket.next().await {
                Some(Message::Text(text)) => return text.as_str().to_owned(),
                Some(Message::Ping(_)) => {}
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }

    /// Has the consumer answer.
    pub(crate) async fn says(&mut self, text: &str, answer: &str) {
        self.socket.send(text).await;
        assert_eq!(self.text().await, answer);
    }

    /// Loses its line, without a word.
    pub(crate) fn lose(self) -> Lost {
        Lost { token: self.token.unwrap(), got: self.got }
    }
}

async fn post(host: &Host, path: &str) {
    assert_eq!(host.post(path).await.status, 200);
}

fn lost_clients(host: &Host) -> i64 {
    host.app().metrics().lost_clients.get()
}

async fn until_lost(host: &Host, clients: i64) {
    host.until("the loss is seen", |host| lost_clients(host) == clients).await;
}

fn resumes(host: &Host, result: &'static str) -> u64 {
    let by = ByResult { result };
    host.app().metrics().resumes.get_or_create(&by).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_gets_what_was_missed_in_order_and_once_and_keeps_state_and_groups() {
    let host = builder().start().await;
    let mut watch = host.websocket("/long").await;
    assert_eq!(watch.text().await, "offered ");
    let mut client = Client::open(host.address(), "/long").await;
    client.says("one", "one 1").await;
    let mut lost = client.lose();
    for turn in 0..3 {
        until_lost(&host, 1).await;
        for number in 0..5 {
            post(&host, &format!("/say/long/{turn}.{number}")).await;
        }
        let mut client = Client::back(host.address(), "/long", &lost).await;
        assert_eq!(lost_clients(&host), 0);
        for number in 0..5 {
            assert_eq!(client.text().await, format!("{turn}.{number}"));
        }
        client.says("more", &format!("more {}", turn + 2)).await;
        assert_eq!(client.read, turn + 1);
        lost = client.lose();
    }
    let client = Client::back(host.address(), "/long", &lost).await;
    client.socket.close(1000).await;
    // What the group was told, and nothing of losses.
    for turn in 0..3 {
        for number in 0..5 {
            assert_eq!(watch.text().await, format!("{turn}.{number}"));
        }
    }
    assert_eq!(watch.text().await, "left 1000 after 4");
    assert_eq!(resumes(&host, "resumed"), 4);
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_received_is_sent_again_from_the_count_on() {
    let host = builder().start().await;
    let mut client = Client::open(host.address(), "/long").await;
    // Fewer bytes than those of which the host asks whether the client has them.
    client.socket.send("many 20").await;
    client.socket.send("last").await;
    for number in 0..10 {
        assert!(client.text().await.starts_with(&format!("{number} x")));
    }
    let got = client.got;
    // All has left the host: the answer to the last message came after the others.
    for _ in 10..20 {
        client.text().await;
    }
    assert_eq!(client.text().await, "last 2");
    let lost = Lost { got, ..client.lose() };
    let mut client = Client::back(host.address(), "/long", &lost).await;
    for number in 10..20 {
        assert!(client.text().await.starts_with(&format!("{number} x")));
    }
    assert_eq!(client.text().await, "last 2");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_is_not_kept_so_that_much_may_pass_before_it_is_lost() {
    let host = builder().start().await;
    let mut client = Client::open(host.address(), "/long").await;
    // More than is kept: its answers to pings say what it has.
    for round in 1..=10 {
        client.socket.send("many 30").await;
        for number in 0..30 {
            assert!(client.text().await.starts_with(&format!("{number} x")));
        }
        client.says("end", &format!("end {}", 2 * round)).await;
    }
    let lost = client.lose();
    until_lost(&host, 1).await;
    post(&host, "/say/long/after").await;
    let mut client = Client::back(host.address(), "/long", &lost).await;
    assert_eq!(client.text().await, "after");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_until_its_client_has_the_next_one() {
    let host = builder().start().await;
    let first = Client::open(host.address(), "/long").await.lose();
    // The client is lost again before it has read anything.
    let unread = Client::back(host.address(), "/long", &first).await;
    drop(unread);
    until_lost(&host, 1).await;
    let mut client = Client::back(host.address(), "/long", &first).await;
    // It answers the ping behind the token.
    client.says("hi", "hi 1").await;
    client.says("hi", "hi 2").await;
    let second = client.lose();
    assert_ne!(first.token, second.token);
    until_lost(&host, 1).await;
    drop(Client::begins(host.address(), "/long", &first.entry()).await);
    assert_eq!(resumes(&host, "wrong_token"), 1);
    let mut client = Client::back(host.address(), "/long", &second).await;
    client.says("hi", "hi 3").await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_a_connection_and_each_gets_a_new_one() {
    let host = builder().start().await;
    let lost = Client::open(host.address(), "/long").await.lose();
    until_lost(&host, 1).await;
    let flipped = |at: usize| {
        let mut token = lost.token.clone().into_bytes();
        token[at] = if token[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(token).unwrap()
    };
    let Lost { token, got } = &lost;
    let end = token.len() - 1;
    for (path, entry, why) in [
        ("/long", format!("{}.{got}", flipped(end)), Some("wrong_token")),
        ("/long", format!("{}.{got}", flipped(0)), Some("gone")),
        ("/short", format!("{token}.{got}"), Some("wrong_client")),
        ("/plain", format!("{token}.{got}"), Some("wrong_client")),
        ("/long", format!("{token}.{got}.1"), None),
        ("/long", format!("{token}."), None),
        ("/long", "x".to_owned(), None),
    ] {
        let before = why.map(|why| resumes(&host, why));
        let client =
            Client::begins(host.address(), path, &format!("tidegate.resume.{entry}")).await;
        assert_eq!(client.token.is_some(), path != "/plain", "{path} {entry}");
        assert_eq!(why.map(|why| resumes(&host, why)), before.map(|count| count + 1), "{entry}");
        client.socket.close(1000).await;
    }
    // It is still there for its own client.
    let mut client = Client::back(host.address(), "/long", &lost).await;
    client.socket.send("hi").await;
    while client.text().await != "hi 1" {}
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_same_user_comes_back_and_with_a_fresh_token_after_the_old_one_has_expired() {
    let host = builder().start().await;
    let bearer = |user: &str, left| format!("Bearer {}", token_for(user, &json!({}), left));
    let (ada, soon) = (bearer("ada", 3_600), bearer("ada", 0));
    let as_user = |bearer: &str| [("authorization", bearer.to_owned())];
    let connect = async |entry: &str, bearer: &str| {
        let fields = as_user(bearer);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        Client::connect(host.address(), "/mine", entry, &fields).await
    };
    let (mut client, _) = connect("tidegate.resume", &soon).await;
    assert_eq!(client.text().await, "offered chat");
    // Closed since the token has expired, and kept: its user comes back with another one.
    assert_eq!(client.socket.closed().await.0, 4401);
    let lost = client.lose();
    post(&host, "/say/mine/meanwhile").await;
    let (eve, resumed) = connect(&lost.entry(), &bearer("eve", 3_600)).await;
    assert!(!resumed);
    eve.socket.close(1000).await;
    let promoted = format!("Bearer {}", token_for("ada", &json!({ "role": "admin" }), 3_600));
    let (other, resumed) = connect(&lost.entry(), &promoted).await;
    assert!(!resumed, "the consumer decides anew by other claims");
    other.socket.close(1000).await;
    let (mut client, resumed) = connect(&lost.entry(), &ada).await;
    assert!(resumed);
    client.got = lost.got;
    assert_eq!(client.text().await, "meanwhile");
    for _ in ["eve", "promoted"] {
        assert_eq!(client.text().await, "left 1000 after 0");
    }
    assert_eq!(resumes(&host, "wrong_client"), 2);
    client.says("hi", "hi 1").await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_hears_of_the_end_when_the_time_is_over_and_at_once_after_a_close() {
    let host = builder().start().await;
    let mut watch = host.websocket("/short").await;
    assert_eq!(watch.text().await, "offered ");
    let mut client = Client::open(host.address(), "/short").await;
    client.says("hi", "hi 1").await;
    let lost = client.lose();
    assert_eq!(watch.text().await, "left 1006 after 1");
    host.until("it is gone", |host| lost_clients(host) == 0).await;
    let client = Client::begins(host.address(), "/short", &lost.entry()).await;
    assert_eq!(resumes(&host, "gone"), 1);
    client.socket.close(1000).await;
    assert_eq!(watch.text().await, "left 1000 after 0");
    // The page is left: nobody will come back.
    Client::open(host.address(), "/short").await.socket.close(1001).await;
    assert_eq!(watch.text().await, "left 1001 after 0");
    // The JavaScript client has heard nothing for too long, and comes back.
    let client = Client::open(host.address(), "/short").await;
    let lost = Lost { token: client.token.clone().unwrap(), got: client.got };
    client.socket.close(4408).await;
    let mut client = Client::back(host.address(), "/short", &lost).await;
    client.says("hi", "hi 1").await;
    // The consumer closes.
    client.socket.send("close 4000").await;
    assert_eq!(client.socket.closed().await.0, 4000);
    assert_eq!(watch.text().await, "left 4000 after 2");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_ask_or_whose_consumer_does_not_keep_it_ends_at_once() {
    let host = builder().start().await;
    for path in ["/long", "/plain"] {
        let mut watch = host.websocket(path).await;
        watch.text().await;
        drop(host.websocket(path).await);
        assert_eq!(watch.text().await, "left 1006 after 0", "{path}");
    }
    let mut watch = host.websocket("/plain").await;
    watch.text().await;
    let client = Client::open(host.address(), "/plain").await;
    assert_eq!(client.token, None, "there is nothing to come back to");
    drop(client);
    assert_eq!(watch.text().await, "left 1006 after 0");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_only_seems_open_is_replaced() {
    let host = builder().start().await;
    let mut client = Client::open(host.address(), "/long").await;
    client.says("hi", "hi 1").await;
    let lost = Lost { token: client.token.clone().unwrap(), got: client.got };
    // Nothing has told the host that the line is dead.
    let mut back = Client::back(host.address(), "/long", &lost).await;
    back.says("hi", "hi 2").await;
    let closed = client.socket.closed().await;
    assert_eq!(closed, (1000, "the client has come back on another connection".to_owned()));
    back.says("hi", "hi 3").await;
    assert_eq!(lost_clients(&host), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_when_more_waits_than_is_kept() {
    let host = builder().start().await;
    let mut watch = host.websocket("/long").await;
    watch.text().await;
    let lost = Client::open(host.address(), "/long").await.lose();
    until_lost(&host, 1).await;
    for _ in 0..3 {
        post(&host, "/fill/long/30000").await;
        watch.text().await;
    }
    assert_eq!(watch.text().await, "left 1013 after 0");
    Client::begins(host.address(), "/long", &lost.entry()).await.socket.close(1000).await;
    assert_eq!(watch.text().await, "left 1000 after 0");
    // A client that is there is closed for what it does not take, not for what it may have lost.
    let mut client = Client::open(host.address(), "/long").await;
    for _ in 0..5 {
        post(&host, "/fill/long/30000").await;
        assert_eq!(client.text().await.len(), 30_000);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lacks_what_is_not_kept_ends_its_connection_and_begins_another() {
    let host = builder().start().await;
    let mut watch = host.websocket("/long").await;
    watch.text().await;
    for count in ["1000", "18446744073709551615"] {
        let lost = Client::open(host.address(), "/long").await.lose();
        let entry = format!("tidegate.resume.{}.{count}", lost.token);
        let client = Client::begins(host.address(), "/long", &entry).await;
        assert_eq!(watch.text().await, "left 1013 after 0", "nobody can go on with it");
        client.socket.close(1000).await;
        assert_eq!(watch.text().await, "left 1000 after 0");
    }
    assert_eq!(resumes(&host, "behind"), 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_comes_back_to_what_it_did_not_read() {
    let host = builder().set("interface.ping_interval = '1s'\ninterface.ping_timeout = '1s'");
    let host = host.set("interface.websocket_unsent = 100_000").start().await;
    let mut client = Client::open(host.address(), "/long").await;
    for turn in 1..=3 {
        // It reads nothing, and so answers nothing.
        until_lost(&host, 1).await;
        for number in 0..3 {
            post(&host, &format!("/fill/long/{}", 15_000 + number)).await;
        }
        let lost = client.lose();
        client = Client::back(host.address(), "/long", &lost).await;
        for number in 0..3 {
            assert_eq!(client.text().await.len(), 15_000 + number);
        }
        client.says("hi", &format!("hi {turn}")).await;
    }
    assert_eq!(host.refused("ping_time", "refused"), 3);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_a_lost_client_has_one_share_of_its_address() {
    let host = builder().set("interface.trusted_proxies = '127.0.0.1'");
    let host = host.set("interface.connections_per_address = 2").start().await;
    let from = [("x-forwarded-for", "192.0.2.7")];
    let open = async |entry: &str| Client::connect(host.address(), "/long", entry, &from).await;
    let (mut client, _) = open("tidegate.resume").await;
    client.text().await;
    // With more than one share for each, the third time there would be no room.
    for turn in 1..=3 {
        let lost = client.lose();
        until_lost(&host, 1).await;
        let (back, resumed) = open(&lost.entry()).await;
        assert!(resumed, "turn {turn}");
        client = Client { got: lost.got, ..back };
        client.says("hi", &format!("hi {turn}")).await;
    }
    let (_other, _) = open("tidegate.resume").await;
    client.says("hi", "hi 4").await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sent_before_it_was_lost_is_served_and_counted() {
    let host = builder().start().await;
    let mut watch = host.websocket("/long").await;
    watch.text().await;
    let mut client = Client::open(host.address(), "/long").await;
    for number in 0..5 {
        client.socket.feed(format!("say {number}")).await;
    }
    client.socket.flush().await;
    let mut lost = client.lose();
    for number in 0..5 {
        assert_eq!(watch.text().await, number.to_string());
    }
    lost.got = 1;
    let mut client = Client::back(host.address(), "/long", &lost).await;
    assert_eq!(client.read, 5, "the client knows that nothing is to be sent again");
    for number in 0..5 {
        assert_eq!(client.text().await, number.to_string());
    }
    client.says("hi", "hi 6").await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_serves_a_connection_that_was_lost_meanwhile() {
    let host = builder().start().await;
    let mut client = Client::open(host.address(), "/long").await;
    client.says("hi", "hi 1").await;
    let lost = client.lose();
    until_lost(&host, 1).await;
    let file = tests::guest("resume");
    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("resume.wasm");
    std::fs::write(&other, tests::numbered(&file, 2)).unwrap();
    host.activate("resume", &other).await;
    let mut client = Client::back(host.address(), "/long", &lost).await;
    client.says("hi", "hi 2").await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_lost_clients_count_among_all_and_end_with_the_process() {
    let host = builder().set("interface.connections = 3").start().await;
    let mut watch = host.websocket("/long").await;
    watch.text().await;
    drop(Client::open(host.address(), "/long").await);
    // Nobody else may take its place meanwhile, not even to ask.
    must("the loss", async {
        while lost_clients(&host) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let next = async || Socket::open_if_let_in(host.address(), "/long", &[]).await;
    let third = must("the end of the line that was lost", async {
        loop {
            if let Some(socket) = next().await {
                return socket;
            }
        }
    })
    .await;
    assert!(next().await.is_none(), "one watches, one is kept, one is open");
    third.close(1000).await;
    drop(watch);
    let metrics = Arc::clone(host.app().metrics());
    assert_eq!(must("the end", host.stop()).await, 0, "nothing was left");
    assert_eq!(metrics.closes.get_or_create(&ByCode { code: "1001" }).get(), 1);
    assert_eq!(metrics.lost_clients.get(), 0);
}
