//! Sessions that processes share over Redis.

use tests::{Host, RedisServer, must, sessions_section};
use tidegate::telemetry::ByReason;

use super::Browser;
use crate::TIDEGATE;

async fn host(redis: &RedisServer, top: &str) -> Host {
    let layer = format!("[layer]\nurl = {:?}\ntimeout = '500ms'", redis.url());
    let host = Host::builder().set(top).guest("sessions").with("grants.sessions = true");
    host.section(&layer).section(&sessions_section("")).compiler(TIDEGATE).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_processes_know_who_is_signed_in_and_close_the_sockets_of_who_is_not() {
    let redis = RedisServer::start();
    // The first holds connections and runs nothing.
    let (front, back) = (host(&redis, "worker = false").await, host(&redis, "").await);
    let mut ada = Browser::signed_in(&front, "ada").await;
    assert_eq!(ada.text(&front, "/me").await, "200 ada member");
    assert_eq!(ada.text(&back, "/me").await, "200 ada member");
    assert_eq!(ada.send(&front, "POST", "/basket/buoy").await.status, 200);
    assert_eq!(ada.text(&back, "/basket").await, "200 buoy");
    let mut sockets = [ada.open(&front).await, ada.open(&back).await];
    for socket in &mut sockets {
        socket.send("hi").await;
        assert_eq!(socket.text().await, "ada member: hi [buoy]");
    }
    let mut elsewhere = Browser::signed_in(&back, "ada").await;
    assert_eq!(elsewhere.send(&back, "POST", "/end/ada/others").await.status, 200);
    for mut socket in sockets {
        assert_eq!(socket.closed().await, (4401, "the session has ended".to_owned()));
    }
    assert!(ada.text(&front, "/me").await.starts_with("401 "));
    assert_eq!(elsewhere.text(&front, "/me").await, "200 ada member");
    // What the host keeps for itself is no module to those who look at data.
    let shown = back.admin().done("GET", "modules", "").await;
    assert!(!shown.to_string().contains("*sessions"), "{shown}");
    front.stop().await;
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_out_because_the_store_is_away() {
    let redis = RedisServer::start();
    let host = host(&redis, "").await;
    let mut ada = Browser::signed_in(&host, "ada").await;
    redis.freeze();
    let reply = must("a refusal", ada.send(&host, "GET", "/me")).await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("sessions cannot be read now"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("set-cookie"), None);
    let open = must("a refusal", ada.send(&host, "GET", "/home")).await;
    assert_eq!(open.status, 503, "somebody is not nobody");
    // Without a cookie nothing is read.
    let forged = [("cookie", "__Host-session=x")];
    let reply = must("a refusal", host.client().request("GET", "/me", &forged, "")).await;
    assert_eq!(reply.status, 401);
    let reason = "session_store";
    let refused = host.app().metrics().auth_refusals.get_or_create(&ByReason { reason }).get();
    assert_eq!(refused, 2);
    redis.thaw();
    loop {
        let text = ada.text(&host, "/me").await;
        if text == "200 ada member" {
            break;
        }
        assert!(text.starts_with("503 "), "{text}");
    }
    host.stop().await;
}
