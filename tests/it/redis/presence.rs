//! Presence over several processes.

use serde_json::json;
use tests::{Client, Socket, guest, must};
use tokio_tungstenite::tungstenite::Message;

use super::Site;
use crate::presence::{told, until};

fn site() -> Site {
    let site = Site::new(&[("presence", guest("presence"))]);
    site.set("[layer]\nlease = \"2s\"\n");
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_tabs_on_two_nodes_is_one_and_a_killed_node_leaves_no_ghost() {
    let site = site();
    let (one, two) = (site.interface().await, site.interface().await);
    let _workers = (site.worker(&[]).await, site.worker(&[]).await);
    let mut watcher = Socket::open(two.address, "/room/told/watcher").await;
    let mut seen = told(&mut watcher).await["members"].clone();
    let mut changes = Socket::open(two.address, "/watch").await;
    let _tabs = [
        Socket::open(one.address, "/room/told/ada").await,
        Socket::open(one.address, "/room/told/ada").await,
        Socket::open(one.address, "/room/told/bob").await,
    ];
    let ada = Socket::open(two.address, "/room/told/ada").await;
    until(&mut watcher, &mut seen, &json!({ "ada": {}, "bob": {}, "watcher": {} })).await;
    // Any process announces; what one was about to announce as it is killed comes later, with what has changed meanwhile.
    must("all is announced", async {
        while site.redis.keys().iter().any(|key| key.contains("presence:taken:")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    one.signal("KILL").await;
    until(&mut watcher, &mut seen, &json!({ "ada": {}, "watcher": {} })).await;
    ada.close(1000).await;
    until(&mut watcher, &mut seen, &json!({ "watcher": {} })).await;
    // Each of those who left is told once to the channel.
    let mut left = Vec::new();
    while left.len() < 2 {
        let change: serde_json::Value = serde_json::from_str(&changes.text().await).unwrap();
        left.extend(change["left"].as_array().unwrap().iter().cloned());
    }
    assert_eq!(left, [json!("bob"), json!("ada")]);
    let reply = Client::new(two.address).get("/members/told").await;
    assert_eq!(reply.text(), r#"{"watcher":{}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_presence_is_left_when_all_have_left() {
    let site = site();
    let (interface, _worker) = (site.interface().await, site.worker(&[]).await);
    let ada = Socket::open(interface.address, "/room/told/ada").await;
    let is_kept = || site.redis.keys().iter().any(|key| key.contains("presence:members:"));
    must("ada is there", async {
        while !is_kept() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ada.close(1000).await;
    must("nothing is left", async {
        while site.redis.keys().iter().any(|key| key.contains("presence:group:")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let left: Vec<_> =
        site.redis.keys().into_iter().filter(|key| key.contains("presence")).collect();
    assert!(
        left.iter().all(|key| key.ends_with(":presence") || key.ends_with(":presence:seen")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_has_no_ghosts_and_who_comes_back_gets_a_list() {
    let site = site();
    let (interface, _worker) = (site.interface().await, site.worker(&[]).await);
    let mut watcher = Socket::open(interface.address, "/room/told/watcher").await;
    let version = told(&mut watcher).await["version"].as_u64();
    let mut ada = Socket::open(interface.address, "/room/told/ada").await;
    told(&mut ada).await;
    site.redis.run(&["FLUSHALL"]);
    // Messages to a group may be missing, so its members are closed.
    for socket in [&mut watcher, &mut ada] {
        let code = loop {
            match socket.next().await {
                Some(Message::Close(Some(close))) => break u16::from(close.code),
                Some(Message::Text(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code, 1012);
    }
    let mut watcher = Socket::open(interface.address, "/room/told/watcher").await;
    let mut list = told(&mut watcher).await;
    // What the closed ones left behind goes by its own time.
    until(&mut watcher, &mut list["members"], &json!({ "watcher": {} })).await;
    assert!(list["version"].as_u64() > version, "a client takes it: {list}");
}
