//! Connections of users over several processes.

use serde_json::json;
use tests::{Client, Process, Socket, auth_section, guest, must, token};

use super::Site;

fn bearer(user: &str) -> String {
    format!("Bearer {}", token(user, &json!({})))
}

fn site(settings: &str) -> Site {
    let site = Site::new(&[("online", guest("online"))]);
    site.set(&format!("[modules.online]\n{settings}\n{}", auth_section("")));
    site
}

async fn open(process: &Process, user: &str) -> Result<Socket, u16> {
    let fields = [("authorization", &*bearer(user))];
    let opened = Socket::try_open(process.address, "/room", &fields).await;
    opened.map_err(|response| response.status().as_u16())
}

async fn count(process: &Process, user: &str) -> String {
    Client::new(process.address).get(&format!("/count/{user}")).await.text().to_owned()
}

async fn until_count(process: &Process, user: &str, expected: &str) {
    must("the count", async { while count(process, user).await != expected {} }).await;
}

async fn post(process: &Process, path: &str) -> u16 {
    Client::new(process.address).request("POST", path, &[], "").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_reached_counted_and_closed_on_every_node() {
    let site = site("");
    let nodes = [site.interface().await, site.interface().await, site.node().await];
    let mut sockets = Vec::new();
    for node in &nodes {
        sockets.push(open(node, "ada").await.unwrap());
        sockets.push(open(node, "bob").await.unwrap());
    }
    for node in &nodes {
        assert_eq!((count(node, "ada").await, count(node, "bob").await), ("3".into(), "3".into()));
    }
    assert_eq!(post(&nodes[0], "/tell/ada/storm").await, 200);
    for hers in [0, 2, 4] {
        assert_eq!(sockets[hers].text().await, "storm");
    }
    assert_eq!(post(&nodes[1], "/close/bob/4001").await, 200);
    for his in [1, 3, 5] {
        assert_eq!(sockets[his].closed().await, (4001, "by request".to_owned()));
    }
    until_count(&nodes[2], "bob", "0").await;
    assert_eq!(count(&nodes[2], "ada").await, "3");
    drop(sockets);
    until_count(&nodes[0], "ada", "0").await;
    let left = site.redis.keys().into_iter().filter(|key| key.contains("_user.")).count();
    assert_eq!(left, 0, "nothing is left of users who are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_counts_connections_of_all_nodes_also_at_the_same_time() {
    let site = site("connections_per_user = 4");
    let nodes = [site.node().await, site.interface().await, site.interface().await];
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..24 {
        let (address, bearer) = (nodes[number % 3].address, bearer("ada"));
        opening.spawn(async move {
            Socket::try_open(address, "/room", &[("authorization", &bearer)]).await
        });
    }
    let opened = must("all answers", opening.join_all()).await;
    let (open, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert_eq!(open.len(), 4);
    assert!(refused.iter().all(|it| it.as_ref().is_err_and(|it| it.status() == 429)));
    assert_eq!(count(&nodes[1], "ada").await, "4");
    drop(open);
    until_count(&nodes[1], "ada", "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_connection_is_closed_on_whichever_node_it_is() {
    let site = site("connections_per_user = 2\nconnections_beyond = \"close_oldest\"");
    let nodes = [site.node().await, site.interface().await, site.interface().await];
    let mut first = open(&nodes[1], "ada").await.unwrap();
    let second = open(&nodes[2], "ada").await.unwrap();
    let third = open(&nodes[0], "ada").await.unwrap();
    assert_eq!(first.closed().await.0, 4429);
    assert_eq!(count(&nodes[0], "ada").await, "2");
    drop((first, second, third));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_killed_node_count_until_its_lease_is_over() {
    let site = site("connections_per_user = 3\n[layer]\nlease = '2s'");
    let (node, doomed) = (site.node().await, site.interface().await);
    let mut stays = open(&node, "ada").await.unwrap();
    let _gone = (open(&doomed, "ada").await.unwrap(), open(&doomed, "ada").await.unwrap());
    assert_eq!(count(&node, "ada").await, "3");
    assert_eq!(open(&node, "ada").await.unwrap_err(), 429);
    doomed.signal("KILL").await;
    until_count(&node, "ada", "1").await;
    let again = open(&node, "ada").await.unwrap();
    stays.send("still here").await;
    assert_eq!(stays.text().await, "still here");
    drop((stays, again));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_while_it_cannot_be_noted_whose_connection_it_is() {
    let site = site("");
    let node = site.node().await;
    let mut before = open(&node, "ada").await.unwrap();
    site.redis.freeze();
    let refused = open(&node, "ada").await.unwrap_err();
    site.redis.thaw();
    assert_eq!(refused, 503);
    must("it is let in again", async { while open(&node, "bob").await.is_err() {} }).await;
    before.send("still here").await;
    drop(before);
    // What was begun while Redis stood still leaves nothing behind.
    until_count(&node, "ada", "0").await;
}
