//! One event per connection in flight: order without locks, however many slots there are.

use tests::Host;

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_one_socket_are_served_in_order_over_many_slots() {
    let host = Host::builder().set("slots = 8").guest("counter").start().await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(host.websocket("/count").await);
    }
    for socket in &mut sockets {
        // All at once: what does not fit waits in the socket.
        for number in 0..300 {
            socket.feed(number.to_string()).await;
        }
        socket.flush().await;
    }
    for socket in &mut sockets {
        for number in 0..300 {
            assert_eq!(socket.text().await, format!("1:{number}:{}", number + 1));
        }
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_sent_before_a_close_are_served_before_the_disconnect() {
    let host = Host::builder().guest("counter").start().await;
    let mut socket = host.websocket("/count").await;
    for number in 0..50 {
        socket.feed(number.to_string()).await;
    }
    socket.close(4000).await;
    let records = std::sync::Arc::clone(host.app().records());
    host.stop().await;
    let log = records.latest().last().unwrap().log.text.clone();
    assert_eq!(log, "info disconnect 4000 after 50\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_keep_their_place_among_group_messages() {
    let host = Host::builder().example("chat").start().await;
    let mut ann = host.websocket("/chat/order").await;
    ann.send(r#"{"type":"join","name":"Ann"}"#).await;
    assert!(ann.text().await.contains("joined"));
    for number in 0..20 {
        ann.send(format!(r#"{{"type":"say","text":"{number}"}}"#)).await;
        ann.send("no json").await;
    }
    for number in 0..20 {
        let said = ann.text().await;
        assert!(said.contains(&format!("\"{number}\"")), "{said}");
        let error = ann.text().await;
        assert!(error.contains("error"), "{error}");
    }
    host.stop().await;
}
