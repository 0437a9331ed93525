//! Schedules of several processes.

use tests::{Client, Socket, guest, must};

use super::Site;
use crate::schedules::seconds;

#[tokio::test(flavor = "multi_thread")]
async fn each_moment_comes_once_among_processes_of_which_one_is_killed() {
    let site = Site::new(&[("scheduled", guest("scheduled"))]);
    let interface = site.interface().await;
    let workers = [site.worker(&[]).await, site.worker(&[]).await];
    let (client, mut watch) =
        (Client::new(interface.address), Socket::open(interface.address, "/watch").await);
    let [doomed, _other] = workers;
    watch.text().await;
    watch.text().await;
    doomed.signal("KILL").await;
    assert_eq!(doomed.wait().await, None);
    // What it has stored and not sent is sent by the other one after ten seconds.
    must("no second is missing", async { while !matches!(seconds(&client).await, (14.., 0)) {} })
        .await;
}
