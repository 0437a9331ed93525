//! `deploy`, `rollback`, `modules` and `logs` against a host that serves.

use std::{net::SocketAddr, path::Path, process::Stdio};

use tests::{Client, Process, Socket, example, guest, must, root, run};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::ChildStdout,
};

use crate::TIDEGATE;

/// A host with a data directory of its own, and commands that ask it.
pub(super) struct Asked {
    host: Process,
    directory: tempfile::TempDir,
}

impl Asked {
    pub(super) async fn serve() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Process::serve(TIDEGATE, &["--data-dir", path(directory.path())]).await;
        Self { host, directory }
    }

    /// Where it serves.
    pub(super) const fn address(&self) -> SocketAddr {
        self.host.address
    }

    /// The flags of a command that asks it.
    pub(super) fn flags(&self) -> [String; 4] {
        let (admin, data) = (format!("http://{}", self.host.admin), path(self.directory.path()));
        ["--admin".to_owned(), admin, "--data-dir".to_owned(), data.to_owned()]
    }

    /// Status and output of a command; with a failure, what it says is wrong.
    pub(super) async fn tidegate(&self, arguments: &[&str]) -> (i32, String) {
        let flags = self.flags();
        let asked: Vec<_> = flags.iter().map(String::as_str).collect();
        let output = run(TIDEGATE, &root(), &[arguments, &asked].concat()).await;
        let status = output.status.code().unwrap();
        let told = if status == 0 { output.stdout } else { output.stderr };
        (status, String::from_utf8(told).unwrap())
    }
}

pub(super) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_deployed_replaced_rolled_back_and_listed_while_a_socket_stays_open() {
    let asked = Asked::serve().await;
    let (one, two) = (guest("counter"), guest("counter-2"));
    let (status, said) = asked.tidegate(&["deploy", "counter", path(&one)]).await;
    assert!(status == 0 && said.starts_with("counter 1 ("), "{said}");
    let mut socket = Socket::open(asked.host.address, "/count").await;
    socket.send("a").await;
    assert!(socket.text().await.starts_with("1:a:1"));
    let (_, said) = asked.tidegate(&["deploy", "counter", path(&one)]).await;
    assert!(said.contains("is up to date"), "{said}");
    let (_, said) = asked.tidegate(&["deploy", "counter", path(&two)]).await;
    assert!(said.starts_with("counter 1 → 2 ("), "{said}");
    socket.send("b").await;
    assert!(socket.text().await.starts_with("2:b:2"));
    let (_, said) = asked.tidegate(&["modules"]).await;
    let words: Vec<_> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(words.starts_with(&["counter", "2"]), "{said}");
    let (_, said) = asked.tidegate(&["rollback", "counter"]).await;
    assert!(said.starts_with("counter 2 → 1 ("), "{said}");
    // Not the same socket: its state is of a newer schema now.
    let mut socket = Socket::open(asked.host.address, "/count").await;
    socket.send("c").await;
    assert!(socket.text().await.starts_with("1:c:1"));
    let (_, said) = asked.tidegate(&["modules", "counter"]).await;
    assert!(said.lines().any(|line| line.starts_with("*  1 ")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("   2 ")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("WEBSOCKET  /count  ")), "{said}");
    let (_, said) = asked.tidegate(&["modules", "counter", "--json"]).await;
    let module: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(module.get("active_version"), Some(&1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_and_changes_nothing() {
    let asked = Asked::serve().await;
    let (hello, readme) = (example("hello"), root().join("README.md"));
    assert_eq!(asked.tidegate(&["deploy", "hello", path(&hello)]).await.0, 0);
    for (arguments, status, expected) in [
        (&["deploy", "hello", path(&readme)][..], 4, "it is not WebAssembly"),
        (&["deploy", "other", path(&hello)], 4, "taken by module hello"),
        (&["rollback", "hello"], 8, "409"),
        (&["rollback", "hello", "7"], 8, "404"),
        (&["rollback", "nobody"], 8, "404"),
        (&["modules", "nobody"], 8, "404"),
        (&["modules", "--token", "guess"], 8, "401"),
    ] {
        let (code, said) = asked.tidegate(arguments).await;
        assert_eq!(code, status, "{arguments:?}: {said}");
        assert!(said.starts_with("error: ") && said.contains(expected), "{arguments:?}: {said}");
    }
    let reply = Client::new(asked.host.address).get("/hello/Ada").await;
    assert_eq!(reply.text(), "Hello, Ada!\n");
    let (_, said) = asked.tidegate(&["modules"]).await;
    assert_eq!(said.lines().count(), 2, "{said}");
}

async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, text: &str) -> String {
    loop {
        let line = must(text, lines.next_line()).await.unwrap().expect(text);
        if line.contains(text) {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_show_runs_and_lines_and_go_on_when_the_host_was_away() {
    let asked = Asked::serve().await;
    let flood = guest("log-flood");
    assert_eq!(asked.tidegate(&["deploy", "logged", path(&flood)]).await.0, 0);
    let client = Client::new(asked.host.address);
    assert_eq!(client.get("/much").await.status, 200);
    let (_, said) = asked.tidegate(&["logs", "logged"]).await;
    assert!(said.contains(" logged@1 much http.request.logged: ok, "), "{said}");
    assert!(said.contains("\n    info   xxx"), "{said}");
    assert!(said.contains("(more than limits.log_bytes was logged)"), "{said}");
    let (status, said) = asked.tidegate(&["logs", "nobody"]).await;
    assert!(status == 8 && said.contains("there is no module nobody"), "{said}");
    // Whoever reads leaves after the first line: that is no mistake.
    let data = path(asked.directory.path()).to_owned();
    let script = "\"$0\" \"$@\" | head -n 1; exit ${PIPESTATUS[0]}";
    let admin = asked.host.admin.to_string();
    let arguments = ["-c", script, TIDEGATE, "logs", "--admin", &admin, "--data-dir", &data];
    let output = run("bash", &root(), &arguments).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");

    let Asked { host, directory } = asked;
    let (address, admin) = (host.address, host.admin.to_string());
    let data = path(directory.path());
    let follow = ["logs", "-f", "--limit", "0", "--admin", &admin, "--data-dir", data];
    let mut follower = tokio::process::Command::new(TIDEGATE);
    follower.args(follow).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut follower = follower.spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut notices = BufReader::new(follower.stderr.take().unwrap()).lines();
    // It has begun to listen at some time: each run is one more that it may show.
    let first = async {
        loop {
            client.get("/ok").await;
            let shown =
                tokio::time::timeout(std::time::Duration::from_millis(200), lines.next_line());
            if let Ok(line) = shown.await {
                return line.unwrap().unwrap();
            }
        }
    };
    let line = must("a run is shown", first).await;
    assert!(line.contains("logged@1 ok"), "{line}");
    host.signal("INT").await;
    assert_eq!(host.wait().await, Some(0));
    let notice = must("a notice", notices.next_line()).await.unwrap().unwrap();
    assert!(notice.contains("trying again"), "{notice}");
    // The module came back from the data directory.
    let listen = address.to_string();
    let mut host = tokio::process::Command::new(TIDEGATE);
    host.args(["serve", "--listen", &listen, "--admin", &admin, "--data-dir", data]);
    let mut host = host.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut serving = BufReader::new(host.stdout.take().unwrap()).lines();
    line_with(&mut serving, "admin").await;
    assert_eq!(client.get("/much").await.status, 200);
    line_with(&mut lines, "logged@1 much").await;
    host.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sends_through_a_host_whose_layer_is_its_memory() {
    let asked = Asked::serve().await;
    assert_eq!(asked.tidegate(&["deploy", "jobs", path(&example("jobs"))]).await.0, 0);
    let mut watcher = Socket::open(asked.host.address, "/jobs/watch").await;
    let job = r#"{"id":"cron","below":10,"next":"jobs.report"}"#;
    let (status, said) = asked.tidegate(&["send", "jobs.count", job]).await;
    assert_eq!((status, said.as_str()), (0, "sent to jobs.count\n"));
    let mut last = String::new();
    while !last.contains("\"done\"") {
        last = must("the result", watcher.text()).await;
    }
    let (status, said) =
        asked.tidegate(&["group-send", "jobs.watchers", r#"{"text":"hello"}"#]).await;
    let told = "sent to 1 nodes and channels of jobs.watchers; 0 were full\n";
    assert_eq!((status, said.as_str()), (0, told));
    assert_eq!(watcher.text().await, "hello");
    for (arguments, status, expected) in [
        (["send", "jobs.cuont", "{}"], 8, "no active module reads the channel jobs.cuont"),
        (["send", "jobs count", "{}"], 3, "CHANNEL"),
        (["send", "jobs.count", "[1]"], 3, "the message is an object"),
        (["send", "http.request", "{}"], 3, "carries events of the interface server"),
    ] {
        let (code, said) = asked.tidegate(&arguments).await;
        assert_eq!(code, status, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_shown_and_changed_one_by_one() {
    let asked = Asked::serve().await;
    assert_eq!(asked.tidegate(&["deploy", "hello", path(&example("hello"))]).await.0, 0);
    let (_, said) = asked.tidegate(&["settings", "hello"]).await;
    assert_eq!(said, "hello has no settings of its own: those of tidegate.toml hold\n");
    let changes = ["settings", "hello", "reuse=5", "limits.deadline=3s", "grants.secrets.KEY=hush"];
    let (status, said) = asked.tidegate(&changes).await;
    assert_eq!(
        (status, said.as_str()),
        (0, "grants.secrets.KEY=(kept, not shown)\nlimits.deadline=\"3s\"\nreuse=5\n")
    );
    let (_, said) = asked.tidegate(&["settings", "hello", "reuse=", "--json"]).await;
    assert_eq!(
        said,
        "{\"grants\":{\"secrets\":{\"KEY\":null}},\"limits\":{\"deadline\":\"3s\"}}\n"
    );
    for (arguments, status, expected) in [
        (["settings", "hello", "reuze=2"], 3, "did you mean `reuse`?"),
        (["settings", "hello", "limits.fuel=1"], 8, "cannot live with these settings"),
        (["settings", "nobody", "reuse=2"], 8, "there is no module nobody"),
    ] {
        let (code, said) = asked.tidegate(&arguments).await;
        assert_eq!(code, status, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let public = asked.host.address.to_string();
    let output = run(TIDEGATE, &root(), &["modules", "--admin", &public, "--token", "x"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(told.contains("is not the admin listener of a host"), "{told}");
}
