//! Work that is kept until it is done, whoever dies.

use tests::{Client, Socket, background, guest, must};
use tokio::sync::watch;

use super::{Site, metric};
use crate::once::assert_each_counts_once;

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

/// Orders until it is told to stop. Returns the orders that were taken, and those that nobody knows of.
async fn order(client: Client, stop: watch::Receiver<bool>) -> (Vec<String>, Vec<String>) {
    let (mut taken, mut unknown) = (Vec::new(), Vec::new());
    for number in 0.. {
        if *stop.borrow() {
            break;
        }
        let id = number.to_string();
        match client.try_request("POST", &format!("/order/{id}")).await {
            Some(reply) if reply.status == 200 => taken.push(id),
            _ => unknown.push(id),
        }
    }
    (taken, unknown)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_counts_once_though_workers_are_killed() {
    let site = Site::new(&[("once", guest("once"))]);
    // A lease is three seconds longer.
    site.set("[limits]\ndeadline = '1s'\n");
    let interface = site.interface().await;
    let client = Client::new(interface.address);
    let mut workers = [site.worker(&[]).await, site.worker(&[]).await];
    let (stop, stopping) = watch::channel(false);
    let orders = background(order(client, stopping));
    let mailed = async |least: usize| {
        must("work is done", async {
            loop {
                let totals = client.get("/totals").await.text().to_owned();
                let mailed = totals.rsplit(' ').next().and_then(|count| count.parse().ok());
                if let Some(mailed) = mailed.filter(|&mailed: &usize| mailed >= least) {
                    return mailed;
                }
            }
        })
        .await
    };
    for round in 0..6 {
        let before = mailed(0).await;
        mailed(before + 5).await;
        let next = site.worker(&[]).await;
        let doomed = std::mem::replace(&mut workers[round % 2], next);
        doomed.signal("KILL").await;
        assert_eq!(doomed.wait().await, None);
    }
    stop.send_replace(true);
    let (taken, unknown) = must("the orders end", orders).await.unwrap();
    assert_each_counts_once(interface.address, &taken, &unknown).await;
    assert!(taken.len() > 30, "{} orders", taken.len());
}
