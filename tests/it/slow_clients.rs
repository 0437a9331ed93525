//! slowhttptest's four attacks at once: slow heads, slow bodies, many ranges, slow reading.

use std::{path::Path, process::Output};

use tests::{Client, Process, must, run};

use crate::TIDEGATE;

/// Connections of each attack.
const CONNECTIONS: &str = "150";

async fn attack(directory: &Path, mode: &str, url: String) -> Output {
    let arguments = [mode, "-c", CONNECTIONS, "-r", "150", "-i", "1", "-l", "4", "-u", &url];
    run("slowhttptest", directory, &arguments).await
}

/// Descriptors that a process has open.
fn descriptors(host: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", host.pid())).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_by_the_hundred_keep_nobody_out_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("large.bin"), vec![b'x'; 4_000_000]).unwrap();
    let settings = directory.path().join("tidegate.toml");
    let module = tests::example("hello");
    let text = format!(
        "[modules.hello]\nfile = {module:?}\nfiles = {{ '/files' = {:?} }}\n\
         [interface]\nheader_timeout = '1s'\nbody_timeout = '1s'\nwrite_timeout = '1s'\n",
        directory.path()
    );
    std::fs::write(&settings, text).unwrap();
    let host = Process::serve(TIDEGATE, &["--config", settings.to_str().unwrap()]).await;
    let client = Client::new(host.address);
    assert_eq!(client.get("/hello/ann").await.status, 200);
    let before = descriptors(&host);
    let mut attacks = tokio::task::JoinSet::new();
    for (mode, path) in [
        ("-H", "/hello/ann"),
        ("-B", "/hello"),
        ("-R", "/files/large.bin"),
        ("-X", "/files/large.bin"),
    ] {
        let (directory, url) =
            (directory.path().to_owned(), format!("http://{}{path}", host.address));
        attacks.spawn(async move { attack(&directory, mode, url).await });
    }
    let mut served = 0;
    while !attacks.is_empty() {
        assert_eq!(client.get("/hello/ann").await.status, 200);
        served += 1;
        if let Some(output) = attacks.try_join_next() {
            let output = output.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let told = text.lines().filter(|line| line.contains("service available"));
            let told: Vec<bool> = told.map(|line| line.contains("YES")).collect();
            // What tells nothing has not looked.
            assert!(output.status.success() && !told.is_empty(), "{text}");
            assert!(told.iter().all(|available| *available), "{text}");
        }
    }
    assert!(served > 10, "{served}");
    must("nothing is left", async {
        while descriptors(&host) > before {
            assert_eq!(client.get("/hello/ann").await.status, 200);
        }
    })
    .await;
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}
