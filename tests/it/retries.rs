//! Channels that deliver at least once, in one process; over Redis in `redis::retries`.

use tests::Host;

#[tokio::test(flavor = "multi_thread")]
async fn work_that_fails_comes_again_and_then_goes_to_the_dead_letter_channel() {
    let host =
        Host::builder().section("[layer]\nretry_pause = '20ms'\n").guest("retries").start().await;
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    assert_eq!(client.request("POST", "/work/fails", &[], "").await.status, 200);
    for _ in 0..3 {
        assert_eq!(watch.text().await, "run fails");
    }
    assert_eq!(watch.text().await, "dead fails");
    assert_eq!(client.request("POST", "/work/done", &[], "").await.status, 200);
    assert_eq!(watch.text().await, "run done");
    assert_eq!(host.app().metrics().messages_redelivered.get(), 2);
    assert_eq!(host.app().metrics().messages_dead_lettered.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_say_how_often_in_place_of_the_consumer() {
    let host = Host::builder()
        .section("[layer]\nretry_pause = '20ms'\n")
        .section("[modules.retries.retries]\n'retries.work' = 1\n")
        .guest("retries")
        .start()
        .await;
    let mut watch = host.websocket("/watch").await;
    assert_eq!(host.client().request("POST", "/work/fails", &[], "").await.status, 200);
    for expected in ["run fails", "run fails", "dead fails"] {
        assert_eq!(watch.text().await, expected);
    }
}
