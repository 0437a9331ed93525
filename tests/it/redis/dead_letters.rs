//! Dead letters of processes that share Redis.

use serde_json::json;
use tests::{Client, guest};

use super::Site;
use crate::api::dead_letters::{dead, until_posted};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_one_process_is_run_again_through_another() {
    let site = Site::new(&[("letters", guest("letters"))]);
    site.set("[layer]\nretry_pause = '20ms'\npartitions = 3\n");
    let (one, other) = (site.node().await, site.node().await);
    let client = Client::new(one.address);
    let letters = dead(&client, &other.api(), &["ann", "bob", "cid"]).await;
    client.request("POST", "/broken/false", &[], "").await;
    let path = |number: usize| {
        format!("dead-letters/letters.post/{}", letters[number]["id"].as_str().unwrap())
    };
    let shown = one.api().done("GET", &path(0), "").await;
    assert_eq!(shown["message"], json!({"name": "ann"}));
    assert_eq!(other.api().ask("POST", &format!("{}/run", path(0)), "").await.status, 204);
    until_posted(&client, "ann", "1").await;
    assert_eq!(other.api().ask("DELETE", &path(1), "").await.status, 204);
    let (status, code, _) = one.api().refused("DELETE", &path(1), "").await;
    assert_eq!((status, &*code), (404, "no-such-dead-letter"));
    let all = one.api().done("POST", "dead-letters/letters.post/run", "").await;
    assert_eq!(all["moved"], 1);
    until_posted(&client, "cid", "1").await;
    assert_eq!(client.get("/posted/bob").await.text(), "0");
    assert_eq!(one.api().done("GET", "dead-letters", "").await["channels"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_idempotency_key_sends_nothing_through_any_process() {
    let site = Site::new(&[("letters", guest("letters"))]);
    let (one, other) = (site.node().await, site.node().await);
    let client = Client::new(one.address);
    let send = async |process: &tests::Process, key: &str, name: &str| {
        let api = process.api();
        let authorization = api.authorization();
        let headers = [("authorization", &*authorization), ("idempotency-key", key)];
        let path = "/api/v1/channels/letters.post/messages";
        let body = json!({"name": name}).to_string();
        api.client().request("POST", path, &headers, body).await
    };
    // Keys belong to tokens; those of the data directories count as one.
    let first = send(&one, "k1", "ann").await;
    assert_eq!(first.status, 202, "{}", first.text());
    let again = send(&other, "k1", "ann").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.status, again.text()), (202, first.text()));
    until_posted(&client, "ann", "1").await;
    let another = send(&other, "k1", "bob").await;
    assert_eq!(another.status, 422, "{}", another.text());
    assert_eq!(send(&other, "k2", "bob").await.status, 202);
    until_posted(&client, "bob", "1").await;
    assert_eq!(client.get("/posted/ann").await.text(), "1");
}
