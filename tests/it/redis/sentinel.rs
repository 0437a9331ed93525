//! Sentinels and Cluster nodes that lead nowhere, and passwords of their own.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tests::{
    Certificate, Client, RedisCluster, RedisSentinel, RedisServer, background, example, must,
    sentinel,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{Site, faults::until_ready, metric, servers::refused};

fn at(server: &RedisServer) -> String {
    format!("127.0.0.1:{}", server.port())
}

/// A process over this URL serves.
async fn assert_serves(url: &str, settings: &str) {
    let site = Site::over((), url.to_owned(), &[("hello", example("hello"))]);
    site.set(settings);
    let node = site.node().await;
    let reply = Client::new(node.address).get("/hello/Redis").await;
    assert_eq!(reply.status, 200, "{url}: {}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_whose_master_cannot_be_used_is_not_the_only_one_asked() {
    let mut servers = RedisSentinel::start();
    let dead = servers.master.port().to_string();
    servers.master.kill();
    let good = &servers.sentinels[0];
    let promoted = servers.replica.port().to_string();
    let names =
        |sentinel: &RedisServer| sentinel.run(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
    let failover = async {
        while !names(good).contains(&promoted) || !servers.replica.is_master() {
            tokio::task::yield_now().await;
        }
    };
    must("the replica is promoted", failover).await;
    let follower = RedisServer::start_with(&["--replicaof", "127.0.0.1", &promoted]);
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = silent.local_addr().unwrap().port().to_string();
    let of_dead = sentinel(&dead, "");
    let of_replica = sentinel(&follower.port().to_string(), "");
    let of_silent = sentinel(&silent, "");
    let lost = format!("{},{},{}", at(&of_dead), at(&of_replica), at(&of_silent));
    assert_serves(&format!("redis+sentinel://{lost},{}/main/0", at(good)), "").await;
    let (status, told) = refused(&format!("redis+sentinel://{lost}/main/0")).await;
    assert_eq!(status, 10, "{told}");
    for expected in [
        format!("the master 127.0.0.1:{dead} that Sentinel {} names: ", at(&of_dead)),
        format!(
            "the master {} that Sentinel {} names is a replica",
            at(&follower),
            at(&of_replica)
        ),
        format!("Sentinel {} does not lead to a server within 2s", at(&of_silent)),
    ] {
        assert!(told.contains(&expected), "{expected}: {told}");
    }
}

/// A Sentinel that hears of no failover: it names the same master for ever. Counts how often.
async fn stale_sentinel(master: &RedisServer) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, port) = (Arc::new(AtomicUsize::new(0)), master.port().to_string());
    let count = Arc::clone(&asked);
    background(async move {
        while let Ok((socket, _)) = listener.accept().await {
            background(answer_as_sentinel(socket, port.clone(), Arc::clone(&count)));
        }
    });
    (address, asked)
}

async fn answer_as_sentinel(socket: TcpStream, port: String, asked: Arc<AtomicUsize>) {
    let mut socket = BufReader::new(socket);
    // A command is *COUNT, then $LENGTH and the bytes of each part, all with line ends.
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let mut parts = Vec::new();
        for _ in 0..line.trim_start_matches('*').trim().parse().unwrap() {
            line.clear();
            socket.read_line(&mut line).await.unwrap();
            let length: usize = line.trim_start_matches('$').trim().parse().unwrap();
            let mut part = vec![0; length + 2];
            socket.read_exact(&mut part).await.unwrap();
            parts.push(String::from_utf8_lossy(&part).trim().to_uppercase());
        }
        let answer = if parts.first().is_some_and(|it| it == "SENTINEL") {
            asked.fetch_add(1, Ordering::SeqCst);
            format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len())
        } else {
            "+OK\r\n".to_owned()
        };
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_goes_past_a_stale_sentinel_to_the_new_master() {
    let mut servers = RedisSentinel::start();
    let (stale, asked) = stale_sentinel(&servers.master).await;
    let url = format!("redis+sentinel://{stale},{}/main/0", at(&servers.sentinels[0]));
    let site = Site::over((), url, &[("hello", example("hello"))]);
    let node = site.node().await;
    let client = Client::new(node.address);
    assert_eq!(client.get("/hello/Redis").await.status, 200);
    let before = asked.load(Ordering::SeqCst);
    assert!(before > 0, "it is asked first");
    servers.master.kill();
    let failover = async {
        while !servers.replica.is_master() {
            tokio::task::yield_now().await;
        }
    };
    must("the replica is promoted", failover).await;
    until_ready(&[&node]).await;
    assert_eq!(client.get("/hello/Redis").await.status, 200);
    assert!(asked.load(Ordering::SeqCst) > before, "it was asked again, and named the dead master");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_node_whose_master_cannot_be_used_is_not_the_only_one_asked() {
    let cluster = ["--cluster-enabled", "yes"];
    let mut gone = RedisServer::start_with(&cluster);
    let seed = RedisServer::start_with(&cluster);
    gone.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    seed.run(&["CLUSTER", "MEET", "127.0.0.1", &gone.port().to_string()]);
    let slots = || seed.run(&["CLUSTER", "SLOTS"]);
    let met = async {
        while !slots().contains(&gone.port().to_string()) {
            tokio::task::yield_now().await;
        }
    };
    must("the nodes have met", met).await;
    gone.kill();
    let good = RedisCluster::start();
    let hosts = good.url().strip_prefix("redis+cluster://").unwrap().to_owned();
    assert_serves(&format!("redis+cluster://{},{hosts}", at(&seed)), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_masters_have_passwords_of_their_own_or_none() {
    let locked = RedisServer::start_with(&["--requirepass", "p,@/:#w"]);
    let open = RedisServer::start();
    let (locked_port, open_port) = (locked.port().to_string(), open.port().to_string());
    let auth = "sentinel auth-pass main \"p,@/:#w\"";
    let bare = sentinel(&locked_port, auth);
    let shared = sentinel(&locked_port, &format!("{auth}\nrequirepass \"p,@/:#w\""));
    let other = sentinel(&locked_port, &format!("{auth}\nrequirepass watch"));
    let guarded = sentinel(&open_port, "requirepass watch");
    let encoded = "p%2C%40%2F%3A%23w";
    let (of_url, raw) = (format!(":{encoded}@"), "layer.password = 'p,@/:#w'");
    let both = format!("{raw}\nlayer.sentinel_password = 'watch'");
    for (login, server, settings) in [
        (&*of_url, &bare, ""),
        (&of_url, &shared, ""),
        (&of_url, &other, "layer.sentinel_password = 'watch'"),
        ("", &bare, raw),
        ("", &other, &both),
        ("", &guarded, "layer.sentinel_password = 'watch'"),
        (":watch@", &guarded, "layer.password = ''"),
        (&of_url, &bare, "layer.sentinel_password = ''"),
    ] {
        assert_serves(&format!("redis+sentinel://{login}{}/main/0", at(server)), settings).await;
    }
    let is_sentinel = "set layer.sentinel_username and layer.sentinel_password";
    let is_master = "layer.username and layer.password";
    for (login, server, refusing, fix) in [
        ("", &bare, format!("the master {}", at(&locked)), is_master),
        (":wrong@", &bare, format!("the master {}", at(&locked)), is_master),
        ("", &other, format!("Sentinel {}", at(&other)), is_sentinel),
        (&of_url, &other, format!("Sentinel {}", at(&other)), is_sentinel),
    ] {
        let url = format!("redis+sentinel://{login}{}/main/0", at(server));
        let (status, told) = refused(&url).await;
        assert_eq!(status, 10, "{told}");
        assert!(told.contains(&refusing) && told.contains(fix), "{url}: {told}");
        assert!(!told.contains("wrong") && !told.contains(encoded), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_may_speak_plain_where_the_master_speaks_tls() {
    let directory = tempfile::tempdir().unwrap();
    Certificate::new().write(directory.path());
    let (certificate, key) = Certificate::files(directory.path());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let port = port.to_string();
    let files = ["--tls-cert-file", certificate, "--tls-key-file", key];
    let more = ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"];
    let _master = RedisServer::start_with(&[&["--tls-port", &*port], &files[..], &more].concat());
    let plain = sentinel(&port, "");
    let url = format!("rediss+sentinel://{}/main/0", at(&plain));
    let site = Site::over((), url, &[("hello", example("hello"))]);
    site.set("layer.sentinel_tls = false");
    let node = site.process(&[], &[("SSL_CERT_FILE", certificate)]).await;
    let reply = Client::new(node.address).get("/hello/Redis").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The command of the documentation makes a user that may do all that is needed, also on database 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_documented_commands_serves_on_database_1() {
    let document = std::fs::read_to_string(tests::root().join("docs/redis.md")).unwrap();
    let command = document.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let redis = RedisServer::start();
    let command = command.replace("PASSWORD", "secret");
    redis.run(&command.split(' ').collect::<Vec<_>>());
    let url = format!("redis://tidegate:secret@{}/1", at(&redis));
    let modules = [("retries", tests::guest("retries")), ("chat", example("chat"))];
    let site = Site::over((), url, &modules);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let client = Client::new(interface.address);
    assert_eq!(client.request("POST", "/work/fails", &[], "").await.status, 200);
    let dead = async {
        let count = "tidegate_messages_dead_lettered_total";
        while metric(&worker, count).await + metric(&interface, count).await != 1 {}
    };
    must("the message is given up", dead).await;
    for process in [interface, worker] {
        assert_eq!(Client::new(process.admin).get("/readyz").await.status, 200);
        process.signal("TERM").await;
        assert_eq!(process.wait().await, Some(0));
    }
    let denied = redis.run(&["ACL", "LOG"]);
    assert!(!denied.contains("reason"), "{denied}");
}
