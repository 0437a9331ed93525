//! A process that is asked to stop: readiness, the pause, and the rate at which sockets are closed.

use std::time::{Duration, Instant};

use tests::{Client, Process, Socket, must, run};

use crate::TIDEGATE;

async fn serve(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    let module = format!("counter={}", tests::guest("counter").display());
    let arguments = [&["--module", &module], arguments].concat();
    let address = "127.0.0.1:0".parse().unwrap();
    Process::serve_with(address, TIDEGATE, &arguments, variables).await
}

#[tokio::test(flavor = "multi_thread")]
async fn during_the_pause_readiness_is_red_and_all_else_goes_on() {
    let host = serve(&[], &[("TIDEGATE_DRAIN_DELAY", "1h")]).await;
    let mut socket = Socket::open(host.address, "/count").await;
    let admin = Client::new(host.admin);
    assert_eq!(admin.get("/readyz").await.status, 200);
    host.signal("TERM").await;
    must("readiness turns red", async { while admin.get("/readyz").await.status != 503 {} }).await;
    socket.send("one").await;
    socket.text().await;
    drop(Socket::open(host.address, "/count").await);
    assert_eq!(Client::new(host.address).get("/nowhere").await.status, 404);
    // Whoever does not want to wait says so again.
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_has_no_pause() {
    let host = serve(&[], &[("TIDEGATE_DRAIN_DELAY", "1h")]).await;
    host.signal("INT").await;
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tidegate_drain_does_as_sigterm_does_and_needs_the_token() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().to_str().unwrap();
    let host = serve(&["--data-dir", directory], &[]).await;
    let admin = host.admin.to_string();
    let mut socket = Socket::open(host.address, "/count").await;
    let drain = async |arguments: &[&str]| {
        let arguments = [&["drain", "--admin", &admin], arguments].concat();
        run(TIDEGATE, data.path(), &arguments).await
    };
    let unauthorized = Client::new(host.admin).request("POST", "/api/v1/drain", &[], "").await;
    assert_eq!(unauthorized.status, 401);
    let wrong = drain(&["--token", "guess"]).await;
    let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(8) && error.contains("401"), "{error}");
    let nowhere = drain(&["--data-dir", "nowhere"]).await;
    let error = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(error.contains("there is no token in nowhere"), "{error}");
    assert_eq!(nowhere.status.code(), Some(8));
    socket.send("still there").await;
    socket.text().await;
    let done = drain(&["--data-dir", directory]).await;
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(socket.closed().await.0, 1001);
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_sockets_are_closed_at_the_rate_that_is_set_and_none_is_reset() {
    const SOCKETS: usize = 5_000;
    const RATE: usize = 2_500;
    tests::raise_descriptor_limit();
    let rate = RATE.to_string();
    let variables = [
        ("TIDEGATE_DRAIN_RATE", rate.as_str()),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
        ("TIDEGATE_LOG", "error"),
    ];
    let host = serve(&[], &variables).await;
    let mut sockets = Vec::with_capacity(SOCKETS);
    while sockets.len() < SOCKETS {
        // As many at a time as wait for the channel.
        let some = (0..50).map(|_| Socket::open(host.address, "/count"));
        sockets.extend(futures_util::future::join_all(some).await);
    }
    let mut closing = tokio::task::JoinSet::new();
    for mut socket in sockets {
        closing.spawn(async move {
            // A reset in its place ends the test.
            assert_eq!(socket.closed().await.0, 1001);
            Instant::now()
        });
    }
    host.signal("TERM").await;
    let mut times = must("all are told", closing.join_all()).await;
    times.sort();
    let took = times[SOCKETS - 1] - times[0];
    let expected = Duration::from_secs_f64(SOCKETS as f64 / RATE as f64);
    assert!(took > expected.mul_f64(0.8), "{took:?} is too fast: {expected:?}");
    assert_eq!(host.wait().await, Some(0));
}
