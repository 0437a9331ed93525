//! Connections of users: reached, counted, limited and closed, in one process.

use serde_json::json;
use tests::{Host, HostBuilder, Reply, Socket, auth_section, token};
use tidegate::message::{GroupName, ModuleName};

use crate::TIDEGATE;

/// The host of the tests, with settings of the module.
fn builder(settings: &str) -> HostBuilder {
    let host = Host::builder().guest("online").with(settings);
    host.section(&auth_section("")).compiler(TIDEGATE)
}

fn bearer(user: &str) -> String {
    format!("Bearer {}", token(user, &json!({})))
}

async fn open(host: &Host, user: &str, path: &str) -> Result<Socket, u16> {
    let opened = Socket::try_open(host.address(), path, &[("authorization", &bearer(user))]).await;
    opened.map_err(|response| response.status().as_u16())
}

async fn post(host: &Host, path: &str) -> (u16, String) {
    let reply = host.post(path).await;
    (reply.status, reply.text().to_owned())
}

async fn count(host: &Host, user: &str) -> String {
    host.get(&format!("/count/{user}")).await.text().to_owned()
}

/// Waits until a user has so many connections.
async fn until_count(host: &Host, user: &str, expected: &str) {
    tests::must("the count", async { while count(host, user).await != expected {} }).await;
}

/// A request of a user that the host holds.
async fn held(host: &Host, user: &str, path: &'static str) -> tokio::task::JoinHandle<Reply> {
    let before = host.app().metrics().holds.get();
    let (client, bearer) = (host.client(), bearer(user));
    let held = tests::background(async move {
        client.request("GET", path, &[("authorization", &bearer)], "").await
    });
    host.until("the request is held", |host| host.app().metrics().holds.get() > before).await;
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_of_a_user_are_reached_and_no_other() {
    let host = builder("").start().await;
    let mut ada = open(&host, "ada", "/room").await.unwrap();
    let mut tab = open(&host, "ada", "/room?greet").await.unwrap();
    assert_eq!(ada.text().await, "hello");
    assert_eq!(tab.text().await, "hello", "one that is being opened is one of them");
    let mut bob = open(&host, "bob", "/room").await.unwrap();
    let mut nobody = open(&host, "ada", "/open").await.unwrap();
    assert_eq!(count(&host, "ada").await, "2");
    assert_eq!(post(&host, "/tell/ada/storm").await, (200, "told".to_owned()));
    assert_eq!((ada.text().await, tab.text().await), ("storm".to_owned(), "storm".to_owned()));
    // Who is not meant gets the next message first.
    for socket in [&mut bob, &mut nobody] {
        socket.send("mine").await;
        assert_eq!(socket.text().await, "mine");
    }
    tab.close(1000).await;
    until_count(&host, "ada", "1").await;
    assert_eq!(count(&host, "eve").await, "0");
    assert_eq!(post(&host, "/tell/eve/storm").await.0, 200, "nobody is no error");
    drop((ada, bob, nobody));
    until_count(&host, "ada", "0").await;
    until_count(&host, "bob", "0").await;
    assert_eq!(host.app().layer().statistics().await.unwrap().groups, 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_of_a_user_are_closed_with_a_code_after_what_was_sent_before() {
    let host = builder("").start().await;
    let mut sockets =
        [open(&host, "ada", "/room").await, open(&host, "ada", "/room").await].map(Result::unwrap);
    let mut bob = open(&host, "bob", "/room").await.unwrap();
    let (with_fallback, without) =
        (held(&host, "ada", "/hold").await, held(&host, "ada", "/wait").await);
    let stream = held(&host, "ada", "/stream").await;
    until_count(&host, "ada", "5").await;
    assert_eq!(post(&host, "/close/ada/4000").await, (200, "closed".to_owned()));
    for socket in &mut sockets {
        assert_eq!(socket.text().await, "bye");
        assert_eq!(socket.closed().await, (4000, "by request".to_owned()));
    }
    let (with_fallback, without) = (with_fallback.await.unwrap(), without.await.unwrap());
    assert_eq!((with_fallback.status, with_fallback.text()), (200, "nothing"));
    assert_eq!(without.status, 504);
    assert_eq!(stream.await.unwrap().text(), "ada:", "a stream ends");
    until_count(&host, "ada", "0").await;
    bob.send("still here").await;
    assert_eq!(bob.text().await, "still here");
    assert_eq!(host.closes("application"), 2);
    drop((sockets, bob));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_hold_is_answered_by_a_message_to_its_user() {
    let host = builder("").start().await;
    let (ada, bob) = (held(&host, "ada", "/wait").await, held(&host, "bob", "/wait").await);
    assert_eq!(count(&host, "ada").await, "1");
    assert_eq!(post(&host, "/answer/ada/news").await.0, 200);
    assert_eq!(ada.await.unwrap().text(), "news");
    until_count(&host, "ada", "0").await;
    assert_eq!(count(&host, "bob").await, "1");
    assert_eq!(post(&host, "/answer/bob/other").await.0, 200);
    assert_eq!(bob.await.unwrap().text(), "other");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_connection_beyond_the_limit_is_refused_before_a_run() {
    let host = builder("connections_per_user = 2").start().await;
    let one = open(&host, "ada", "/room").await.unwrap();
    let _two = open(&host, "ada", "/room").await.unwrap();
    let runs = host.invocations("online", "ok");
    assert_eq!(open(&host, "ada", "/room").await.unwrap_err(), 429);
    assert_eq!(host.invocations("online", "ok"), runs, "nothing runs");
    assert_eq!(host.refused("user_connections", "refused"), 1);
    // A request that is to be held counts, too; one that is answered does not.
    let bearer = bearer("ada");
    let reply = host.client().request("GET", "/wait", &[("authorization", &*bearer)], "").await;
    assert_eq!(reply.status, 429);
    assert_eq!(count(&host, "ada").await, "2");
    let bob = open(&host, "bob", "/room").await.unwrap();
    let nobody = open(&host, "ada", "/open").await.unwrap();
    one.close(1000).await;
    until_count(&host, "ada", "1").await;
    let again = open(&host, "ada", "/room").await.unwrap();
    drop((again, bob, nobody));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_at_the_same_time_do_not_pass_the_limit() {
    let host = builder("connections_per_user = 3").start().await;
    let (address, bearer) = (host.address(), bearer("ada"));
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let bearer = bearer.clone();
        opening.spawn(async move {
            Socket::try_open(address, "/room", &[("authorization", &bearer)]).await
        });
    }
    let opened = tests::must("all answers", opening.join_all()).await;
    let (open, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert_eq!(open.len(), 3);
    assert!(refused.iter().all(|it| it.as_ref().is_err_and(|it| it.status() == 429)));
    assert_eq!(count(&host, "ada").await, "3");
    drop(open);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_connection_makes_room_for_the_newest_where_the_module_says_so() {
    let settings = "connections_per_user = 2\nconnections_beyond = \"close_oldest\"";
    let host = builder(settings).start().await;
    let mut first = open(&host, "ada", "/room").await.unwrap();
    let held = held(&host, "ada", "/hold").await;
    let mut third = open(&host, "ada", "/room").await.unwrap();
    let text = "the user has opened another connection";
    assert_eq!(first.closed().await, (4429, text.to_owned()));
    assert_eq!(count(&host, "ada").await, "2");
    let fourth = open(&host, "ada", "/room").await.unwrap();
    assert_eq!(held.await.unwrap().text(), "nothing", "a hold ends as if its time were over");
    assert_eq!(count(&host, "ada").await, "2");
    third.send("still here").await;
    assert_eq!(third.text().await, "still here");
    assert_eq!(host.refused("user_connections", "refused"), 2);
    drop((first, third, fourth));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_connections_beyond_the_limit_and_lets_them_in() {
    let host =
        builder("connections_per_user = 1").section("[interface]\ndry_run = true").start().await;
    let one = open(&host, "ada", "/room").await.unwrap();
    let two = open(&host, "ada", "/room").await.unwrap();
    assert_eq!(host.refused("user_connections", "allowed"), 1);
    assert_eq!(count(&host, "ada").await, "2");
    drop((one, two));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_users_are_the_hosts_and_ids_and_codes_have_rules() {
    let host = builder("").start().await;
    let mut ada = open(&host, "ada", "/room").await.unwrap();
    let group = GroupName::of_user(&ModuleName::parse("online").unwrap(), "ada");
    let refused = post(&host, &format!("/trespass/{group}")).await.1;
    assert_eq!(refused.lines().count(), 3);
    for line in refused.lines() {
        let rule = "is one of the host's own; `online` reaches the connections of a user";
        assert_eq!(line, format!("group {group} {rule}"));
    }
    let forged = json!({ "type": "websocket.send", "text": "forged" }).to_string();
    let refused = host.admin().refused("POST", &format!("groups/{group}/messages"), forged).await;
    assert_eq!((refused.0, &*refused.1), (403, "reserved"), "{}", refused.2);
    let granted = json!({ "grants": { "groups": ["_user.*"] } }).to_string();
    let refused = host.admin().refused("PATCH", "modules/online/settings", granted).await;
    assert_eq!((refused.0, &*refused.1), (422, "settings"));
    assert!(
        refused.2.contains("groups of users and of sessions are granted to nobody"),
        "{}",
        refused.2
    );
    for (path, rule) in [
        ("/tell/%01/x", "the id of a user has 1 to 256 bytes and no control characters"),
        ("/count/%01", "the id of a user has 1 to 256 bytes and no control characters"),
        ("/close/ada/1001", "close code 1001 is not 1000 or from 3000 to 4999"),
    ] {
        let reply = match path.starts_with("/count") {
            true => host.get(path).await,
            false => host.post(path).await,
        };
        assert_eq!((reply.status, reply.text()), (400, rule), "{path}");
    }
    ada.send("nothing else came").await;
    // What the run sent before the call that was refused.
    assert_eq!(ada.text().await, "bye");
    assert_eq!(ada.text().await, "nothing else came");
    drop(ada);
    host.stop().await;
}
