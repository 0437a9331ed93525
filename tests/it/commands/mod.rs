//! Commands that ask a host: what they send, what they print, which status they end with. What hosts
//! answer here is said by the test.

mod control;
mod data;
mod live;
mod tokens;

use std::{fs, path::Path, process::Output};

use tests::{Asked, Stub, must, native};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::TIDEGATE;

const DEPLOYED: &str = r#"{"module":"tide","version":3,"digest":"0123456789abcdef","changed":true,
    "previous":2,"routes":[],"warnings":["it sleeps\u001b[2J"],"nodes":[
    {"node":"a","digest":"0123456789abcdef","version":3},
    {"node":"b","digest":"fedcba9876543210","version":2,"fault":"it does not fit"}]}"#;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

async fn tidegate(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = native(directory, TIDEGATE, arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
        command.env_remove(name);
    }
    command.env("USER", "ann").kill_on_drop(true).output().await.unwrap()
}

fn token_of(asked: &Asked) -> &str {
    let line = asked.head.lines().find_map(|line| line.strip_prefix("authorization: bearer "));
    line.unwrap_or_else(|| panic!("no token in {}", asked.head))
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_sends_the_file_and_says_what_is_in_force_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("tide.wasm"), "wasm").unwrap();
    let stub = Stub::start(|_| (201, DEPLOYED.to_owned())).await;
    let admin = format!("http://{}/", stub.address);
    let deploy = ["deploy", "tide", "tide.wasm", "--admin", &admin, "--token", "secret"];
    let output = tidegate(path, &deploy).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "tide 2 → 3 (0123456789ab)\n  warning: it sleeps\\u{1b}[2J\n  node a: 3 (0123456789ab)\n  \
         node b: 2 (fedcba987654), not this version: it does not fit\n"
    );
    let asked = stub.asked().remove(0);
    assert_eq!((asked.line.as_str(), text(&asked.body)), ("PUT /api/v1/modules/tide", "wasm"));
    assert!(asked.head.contains("x-tidegate-user: ann"), "{}", asked.head);
    let output = tidegate(path, &[&deploy[..], &["--json"]].concat()).await;
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json.get("previous"), Some(&2.into()));
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let with_note = [&deploy[..], &["--note", "für Ann"]].concat();
    assert_eq!(tidegate(path, &with_note).await.status.code(), Some(0));
    let asked = stub.asked().pop().unwrap();
    assert!(asked.head.contains("x-tidegate-note: für ann"), "{}", asked.head);
    for flag in ["--note", "--by"] {
        for wrong in ["two\nlines", " ", &"x".repeat(201)] {
            let output = tidegate(path, &[&deploy[..], &[flag, wrong]].concat()).await;
            assert_eq!(output.status.code(), Some(2), "{flag}: {}", text(&output.stderr));
        }
    }
    let by_another = [&deploy[..], &["--by", "release für Ann"]].concat();
    assert_eq!(tidegate(path, &by_another).await.status.code(), Some(0));
    let asked = stub.asked().pop().unwrap();
    assert!(asked.head.contains("x-tidegate-user: release für ann"), "{}", asked.head);
    let rollback = ["rollback", "tide", "2", "--admin", &admin, "--token", "secret"];
    assert_eq!(tidegate(path, &rollback).await.status.code(), Some(0));
    let asked = stub.asked().pop().unwrap();
    assert_eq!(asked.line, "POST /api/v1/modules/tide/rollback");
    assert_eq!(text(&asked.body), r#"{"version":2}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_from_the_flag_then_the_environment_then_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let stub = Stub::start(|_| (200, r#"{"modules":[]}"#.to_owned())).await;
    let admin = stub.address.to_string();
    let modules = ["modules", "--admin", &admin];
    let with = async |arguments: &[&str], environment: Option<&str>| {
        let mut command = native(path, TIDEGATE, &[&modules[..], arguments].concat());
        command
            .env_remove("TIDEGATE_TOKEN")
            .envs(environment.map(|token| ("TIDEGATE_TOKEN", token)));
        let output = command.kill_on_drop(true).output().await.unwrap();
        (output.status.code().unwrap(), text(&output.stderr).to_owned())
    };
    let (status, said) = with(&[], None).await;
    assert!(status == 8 && said.contains("there is no token in tidegate-data"), "{said}");
    assert!(stub.asked().is_empty());
    let other = path.join("other");
    for directory in ["tidegate-data", "other"] {
        fs::create_dir(path.join(directory)).unwrap();
        fs::write(path.join(directory).join("admin-token"), format!("of-{directory}\n")).unwrap();
    }
    let data_dir = ["--data-dir", other.to_str().unwrap()];
    for (arguments, environment, expected) in [
        (&[][..], None, "of-tidegate-data"),
        (&data_dir, None, "of-other"),
        (&data_dir, Some("of-environment"), "of-environment"),
        (&["--token", "of-flag"], Some("of-environment"), "of-flag"),
        // As a variable is that was read from a file.
        (&[], Some("of-file\n"), "of-file"),
    ] {
        assert_eq!(with(arguments, environment).await, (0, String::new()));
        assert_eq!(token_of(stub.asked().last().unwrap()), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_refuses_is_told_as_it_says_it_and_the_status_tells_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("tide.wasm"), "wasm").unwrap();
    let problem = |code: &str| {
        format!(r#"{{"title":"no","status":1,"detail":"the rule; the fix","code":"{code}"}}"#)
    };
    for (status, body, exit, expected) in [
        (422, problem("imports"), 4, "refuses (422): the rule; the fix"),
        (413, problem("too-large"), 4, "the active version stays active"),
        (409, problem("route-conflict"), 4, "refuses (409)"),
        (409, problem("busy"), 8, "refuses (409)"),
        (401, problem("token"), 8, "refuses (401)"),
        (404, "not here\n".to_owned(), 7, "is not the admin listener of a host"),
        (502, "\u{1b}[2Jgone\nerror: forged".to_owned(), 8, "refuses (502): \\u{1b}[2Jgone"),
        (503, String::new(), 8, "refuses (503): Service Unavailable"),
        (200, "{}".to_owned(), 7, "does not answer as this version of Tidegate does"),
    ] {
        let stub = Stub::start(move |_| (status, body.clone())).await;
        let admin = stub.address.to_string();
        let deploy = ["deploy", "tide", "tide.wasm", "--admin", &admin, "--token", "secret"];
        let output = tidegate(path, &deploy).await;
        let said = text(&output.stderr);
        assert!(said.contains("error: module tide: ") && said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(output.status.code(), Some(exit), "{said}");
        assert!(output.stdout.is_empty());
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = tidegate(path, &["modules", "--admin", &gone.to_string(), "--token", "x"]).await;
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("nobody answers on the admin address"), "{output:?}");
    let output = tidegate(path, &["deploy", "tide", "none.wasm", "--token", "x"]).await;
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("module tide: cannot read none.wasm"), "{output:?}");
}

fn record(id: u32) -> String {
    format!(
        r#"{{"id":"{id}","module":"tide","version":1,"consumer":"Echo","channel":"c","outcome":"ok",
        "started_at":"t{id}","fuel":5,"wall_us":1500,"log":[{{"level":"info","text":"line {id}\u001b[2J"}}]}}"#
    )
    .replace('\n', "")
}

fn event(id: u32) -> String {
    format!("event: record\nid: {id}\ndata: {}\n\n", record(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_followed_go_on_after_a_reconnect_and_no_record_is_told_twice() {
    let directory = tempfile::tempdir().unwrap();
    // The first stream breaks off in the middle of an event; what was missed is in the next list.
    let mut streams = 0;
    let stub = Stub::start(move |asked| {
        let known = |ids: &[u32]| {
            let newest_first: Vec<_> = ids.iter().rev().map(|id| record(*id)).collect();
            (200, format!("{{\"records\":[{}]}}", newest_first.join(",")))
        };
        if asked.line.starts_with("GET /api/v1/records/stream?module=tide") {
            streams += 1;
            let events = match streams {
                1 => event(3) + &event(4)[..30],
                2 => event(5) + "event: missed\ndata: {\"count\":2}\n\n",
                _ => event(6),
            };
            return (200, events);
        }
        match streams {
            1 => known(&[1, 2, 3]),
            _ => known(&[2, 3, 4, 5]),
        }
    })
    .await;
    let admin = stub.address.to_string();
    let arguments = ["logs", "tide", "-f", "--limit", "2", "--admin", &admin, "--token", "x"];
    let mut command = native(directory.path(), TIDEGATE, &arguments);
    command.stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in 2..=6 {
        let line = must("a record", lines.next_line()).await.unwrap().unwrap();
        assert_eq!(line, format!("t{id} tide@1 Echo c: ok, 1.5 ms, 5 fuel"));
        let line = must("its line", lines.next_line()).await.unwrap().unwrap();
        assert_eq!(line, format!("    info   line {id}\\u{{1b}}[2J"));
    }
    child.kill().await.unwrap();
}
