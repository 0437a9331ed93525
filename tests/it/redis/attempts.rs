//! Ids and attempts of messages over Redis, also where a worker is killed.

use tests::{Client, Socket, guest};

use super::Site;
use crate::attempts::{assert_ids_stay_and_attempts_count, line};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_keeps_its_id_over_workers_and_their_deaths() {
    let site = Site::new(&[("attempts", guest("attempts"))]);
    site.set("[layer]\nretry_pause = '20ms'\n");
    let interface = site.interface().await;
    let doomed = site.worker(&[]).await;
    let mut watch = Socket::open(interface.address, "/watch").await;
    let client = Client::new(interface.address);
    assert_ids_stay_and_attempts_count(&client, &mut watch).await;
    assert_eq!(client.request("POST", "/work/waits", &[], "").await.status, 200);
    let (what, id, attempt) = line(&mut watch).await;
    assert_eq!((&*what, &*attempt), ("work waits", "1"));
    doomed.signal("KILL").await;
    assert_eq!(doomed.wait().await, None);
    let _other = site.worker(&[]).await;
    assert_eq!(line(&mut watch).await, ("work waits".to_owned(), id, "2".to_owned()));
}
