//! Interface servers and workers as processes of their own do what one process does.

use tests::{Client, Socket, example, guest, must};

use super::{MODULES, Site, metric};

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_server_and_a_worker_serve_http_and_websocket() {
    let site = Site::new(&[("hello", example("hello")), ("echo", example("echo"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let reply = Client::new(interface.address).get("/hello/Redis").await;
    assert_eq!((reply.status, reply.text()), (200, "Hello, Redis!\n"));
    let mut socket = Socket::open(interface.address, "/echo").await;
    for number in 0..100 {
        socket.send(number.to_string()).await;
        assert_eq!(socket.text().await, number.to_string());
    }
    socket.send_bytes(&b"\x00\xff"[..]).await;
    assert_eq!(&socket.bytes().await[..], b"\x00\xff");
    assert!(metric(&worker, "tidegate_messages_received_total").await > 100);
    assert_eq!(metric(&interface, "tidegate_messages_received_total").await, 0);
    let ready = Client::new(worker.admin).get("/readyz").await;
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
    let ready = Client::new(interface.admin).get("/readyz").await;
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_are_reached_on_every_node() {
    let site = Site::new(&[("chat", example("chat"))]);
    let (one, two) = (site.interface().await, site.interface().await);
    let _workers = (site.worker(&[]).await, site.worker(&[]).await);
    let mut sockets = Vec::new();
    for (number, node) in [&one, &two, &one, &two].into_iter().enumerate() {
        let mut socket = Socket::open(node.address, "/chat/redis").await;
        socket.send(format!("{{\"type\":\"join\",\"name\":\"n{number}\"}}")).await;
        let joined = format!("{{\"type\":\"joined\",\"name\":\"n{number}\"}}");
        while socket.text().await != joined {}
        sockets.push(socket);
    }
    for number in 0..20 {
        let said = format!("{{\"type\":\"say\",\"text\":\"line {number}\"}}");
        sockets[number % 4].send(said).await;
        let line = format!(
            "{{\"type\":\"said\",\"name\":\"n{}\",\"text\":\"line {number}\"}}",
            number % 4
        );
        for socket in &mut sockets {
            // Those who came later were told of, too.
            while must("the line", socket.text()).await != line {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_keep_their_order_and_state_over_many_workers() {
    let site = Site::new(&[("counter", guest("counter"))]);
    let interface = site.interface().await;
    let _workers = (site.worker(&[]).await, site.worker(&[]).await);
    let mut socket = Socket::open(interface.address, "/count").await;
    for _ in 0..200 {
        socket.feed("x").await;
    }
    socket.flush().await;
    for number in 1..=200 {
        assert_eq!(socket.text().await, format!("1:x:{number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reads_only_the_channels_that_it_is_given() {
    let site = Site::new(&[("jobs", example("jobs"))]);
    let interface = site.interface().await;
    let web = site.worker(&["--exclude-channels", "jobs.*"]).await;
    let jobs = site.worker(&["--only-channels", "jobs.*"]).await;
    let mut socket = Socket::open(interface.address, "/jobs/watch").await;
    let json = [("content-type", "application/json")];
    let client = Client::new(interface.address);
    let reply = client.request("POST", "/jobs", &json, r#"{"below":1000}"#).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let mut last = String::new();
    while !last.contains("\"done\"") {
        last = socket.text().await;
    }
    assert!(last.contains("168"), "{last}");
    let runs = r#"tidegate_invocations_total{module="jobs",outcome="ok"}"#;
    // `jobs.count` and `jobs.report` ran there, and the connection's events here.
    must("the jobs ran", async { while metric(&jobs, runs).await < 2 {} }).await;
    assert!(metric(&web, runs).await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_redis_when_the_processes_have_ended() {
    let document = std::fs::read_to_string(tests::root().join("docs/redis.md")).unwrap();
    let (_, left) = document.split_once("### What is left").unwrap();
    let left = left.split("\n## ").next().unwrap();
    let site = Site::new(&[("chat", example("chat")), ("retries", guest("retries"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut socket = Socket::open(interface.address, "/chat/left").await;
    socket.send(r#"{"type":"join","name":"a"}"#).await;
    socket.text().await;
    assert!(site.redis.keys().iter().any(|key| key.contains("group:")), "it is a member");
    let client = Client::new(interface.address);
    assert_eq!(client.request("POST", "/work/fine", &[], "").await.status, 200);
    let is_kept = |key: &str| site.redis.keys().iter().any(|it| it.ends_with(key));
    must("the message is done", async {
        while !is_kept("receipts") || is_kept("leased") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    interface.signal("TERM").await;
    assert_eq!(interface.wait().await, Some(0));
    worker.signal("TERM").await;
    assert_eq!(worker.wait().await, Some(0));
    // What is left has a time to live: it says how the keys are laid out and who read what.
    for key in site.redis.keys() {
        let kind = key.rsplit("}:").next().unwrap().split(':').next().unwrap();
        if MODULES.contains(&kind) {
            continue;
        }
        let is_documented = ["", ":"].iter().any(|end| left.contains(&format!("`{kind}{end}`")));
        let is_of_no_message = !["channel", "group", "groups", "later", "leased"].contains(&kind);
        assert!(is_documented && is_of_no_message, "{key}");
        assert_ne!(site.redis.run(&["TTL", &key]), "-1", "{key}");
    }
}
