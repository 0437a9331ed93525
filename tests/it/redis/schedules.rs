//! Schedules of several processes.

use std::time::{Duration, Instant};

use tests::{Client, Socket, check_span, guest, must};

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

#[tokio::test(flavor = "multi_thread")]
async fn no_moment_is_missed_or_doubled_while_three_processes_are_killed_in_turn() {
    let site = Site::new(&[("scheduled", guest("scheduled"))]);
    site.set("[interface]\nping_interval = '2h'\n");
    let interface = site.interface().await;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(site.worker(&[]).await);
    }
    let (client, mut watch) =
        (Client::new(interface.address), Socket::open(interface.address, "/watch").await);
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < check_span() {
        for _ in 0..5 {
            watch.text().await;
        }
        let next = site.worker(&[]).await;
        let doomed = std::mem::replace(&mut workers[kills % 3], next);
        doomed.signal("KILL").await;
        assert_eq!(doomed.wait().await, None);
        kills += 1;
    }
    let (least, _) = seconds(&client).await;
    must("no second is missing", async {
        loop {
            let (count, missing) = seconds(&client).await;
            // What a killed one has stored and not sent is sent by another one after ten seconds.
            if count > least + 11 && missing == 0 {
                return;
            }
        }
    })
    .await;
    let (count, _) = seconds(&client).await;
    assert!(Duration::from_secs(count as u64) > check_span(), "{count} moments, {kills} kills");
    #[expect(clippy::print_stderr, reason = "the result of an hour")]
    {
        eprintln!("{count} moments, none missed, none doubled; {kills} processes killed");
    }
}
