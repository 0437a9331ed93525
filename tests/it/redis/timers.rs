//! Timers that outlive the process that has set them.

use tests::{Client, guest, must};

use super::Site;

#[tokio::test(flavor = "multi_thread")]
async fn timers_of_a_process_that_is_killed_come_once_by_another() {
    let site = Site::new(&[("timers", guest("timers"))]);
    let interface = site.interface().await;
    let client = Client::new(interface.address);
    let doomed = site.worker(&[]).await;
    for path in ["/timers/a/500/first", "/timers/a/1000/second", "/later/1200/third"] {
        assert_eq!(client.request("POST", path, &[], "").await.status, 200);
    }
    doomed.signal("KILL").await;
    assert_eq!(doomed.wait().await, None);
    let _other = site.worker(&[]).await;
    must("they have come", async {
        for text in ["second", "third"] {
            while client.get(&format!("/came/{text}")).await.text() != "1" {}
        }
    })
    .await;
    assert_eq!(client.get("/came/first").await.text(), "0", "it was replaced");
}
