//! Work that is kept until it is done, whoever dies.

use tests::{Client, Socket, guest, must};

use super::{Site, metric};

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_worker_that_is_killed_is_done_by_another() {
    let site = Site::new(&[("retries", guest("retries"))]);
    let interface = site.interface().await;
    let doomed = site.worker(&[]).await;
    let mut watch = Socket::open(interface.address, "/watch").await;
    let client = Client::new(interface.address);
    assert_eq!(client.request("POST", "/work/waits", &[], "").await.status, 200);
    assert_eq!(watch.text().await, "run waits");
    doomed.signal("KILL").await;
    assert_eq!(doomed.wait().await, None);
    let other = site.worker(&[]).await;
    // After the lease: the deadline of a run, and three seconds.
    assert_eq!(watch.text().await, "run waits");
    let redelivered = async {
        let count = "tidegate_messages_redelivered_total";
        while metric(&other, count).await + metric(&interface, count).await != 1 {}
    };
    must("the redelivery is counted once", redelivered).await;
    assert!(site.redis.keys().iter().any(|key| key.ends_with("leased")), "it is kept again");
}
