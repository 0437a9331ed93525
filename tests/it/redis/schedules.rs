//! Schedules of several processes.

use tests::{Client, Socket, guest};

use super::Site;
use crate::schedules::assert_each_second_came_once;

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
    let mut came = 0;
    while came < 14 {
        watch.text().await;
        came = client.get("/dues").await.text().lines().count();
    }
    assert_each_second_came_once(&client).await;
}
