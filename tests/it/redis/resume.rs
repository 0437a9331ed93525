//! Clients that come back where several processes share a Redis.

use tests::{auth_section, guest};

use super::Site;
use crate::resume::Client;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_where_it_was_and_begins_anew_elsewhere() {
    let site = Site::new(&[("resume", guest("resume"))]);
    site.set(&auth_section(""));
    let (one, other) = (site.node().await, site.node().await);
    let mut client = Client::open(one.address, "/long").await;
    client.says("hi", "hi 1").await;
    let lost = client.lose();
    let elsewhere = tests::Client::new(other.address);
    assert_eq!(elsewhere.request("POST", "/say/long/storm", &[], "").await.status, 200);
    drop(Client::begins(other.address, "/long", &lost.entry()).await);
    let mut client = Client::back(one.address, "/long", &lost).await;
    assert_eq!(client.text().await, "storm");
    client.says("hi", "hi 2").await;
}
