//! The log of the process: whatever becomes of it, service and shutdown go on.

use std::{
    fs::{self, File, Permissions},
    io::{PipeReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Stdio,
};

use serde_json::{Map, Value};
use tempfile::TempDir;
use tests::{Client, Process, Socket, background, must};

use crate::TIDEGATE;

/// More than the slots that one module may hold.
const FAULTS: usize = 12;

async fn serve(program: &str, log: Stdio) -> Process {
    serve_with(program, log, &[]).await
}

async fn serve_with(program: &str, log: Stdio, variables: &[(&str, &str)]) -> Process {
    let module = format!("panic={}", tests::guest("panic").display());
    let arguments = ["--slots", "4", "--module", &module];
    Process::serve_with_log(log, program, &arguments, variables).await
}

/// A program that does something before it becomes the host.
fn wrapped(directory: &TempDir, script: &str) -> String {
    let path = directory.path().join("wrapped");
    fs::write(&path, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

async fn metric(host: &Process, name: &str) -> u64 {
    let text = Client::new(host.admin).get("/metrics").await.text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}

/// Requests from four clients at once, each answered.
async fn load(host: &Process, path: &'static str, requests: usize, status: u16) {
    let client = Client::new(host.address);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            background(async move {
                for _ in 0..requests / 4 {
                    assert_eq!(client.get(path).await.status, status, "{path}");
                }
            })
        })
        .collect();
    for client in clients {
        must("every request is answered", client).await.unwrap();
    }
}

/// Good runs, runs that fail, and good runs again; then a stop with a socket open.
async fn serves_and_drains(host: Process) {
    load(&host, "/ok", 100, 200).await;
    load(&host, "/run", FAULTS, 500).await;
    load(&host, "/ok", 100, 200).await;
    // A slot answers before it drops the instance.
    let busy = async { while metric(&host, "tidegate_slots_busy").await > 0 {} };
    must("every slot is free", busy).await;
    assert_eq!(Client::new(host.admin).get("/readyz").await.status, 200);
    drains(host).await;
}

async fn drains(host: Process) {
    let mut socket = Socket::open(host.address, "/watch").await;
    host.signal("TERM").await;
    assert_eq!(socket.closed().await.0, 1001);
    // The process waits for the client's end.
    drop(socket);
    assert_eq!(host.wait().await, Some(0));
}

/// Requests until the log has lost lines.
async fn until_lines_are_lost(host: &Process) {
    for _ in 0..100 {
        load(host, "/ok", 400, 200).await;
        if metric(host, "tidegate_log_lines_lost_total").await > 0 {
            return;
        }
    }
    panic!("40,000 lines find room in the log's queue");
}

fn read_whole(mut log: PipeReader) -> String {
    let mut text = Vec::new();
    log.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_is_gone_costs_no_request_no_slot_and_no_drain() {
    let (reader, writer) = std::io::pipe().unwrap();
    let host = serve(TIDEGATE, writer.into()).await;
    drop(reader);
    load(&host, "/ok", 4, 200).await;
    serves_and_drains(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing_and_its_lost_lines_are_counted() {
    let (reader, writer) = std::io::pipe().unwrap();
    let host = serve(TIDEGATE, writer.into()).await;
    until_lines_are_lost(&host).await;
    serves_and_drains(host).await;
    // What the pipe held, and no more.
    assert!(read_whole(reader).len() <= 64 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_again_says_how_many_lines_were_lost() {
    let (reader, writer) = std::io::pipe().unwrap();
    let host = serve(TIDEGATE, writer.into()).await;
    until_lines_are_lost(&host).await;
    let lost = metric(&host, "tidegate_log_lines_lost_total").await;
    let reading = tokio::task::spawn_blocking(move || read_whole(reader));
    drains(host).await;
    let text = must("the log's end", reading).await.unwrap();
    let said: u64 = text
        .lines()
        .filter(|line| line.contains("log lines were lost"))
        .map(|line| line.rsplit_once("lines=").unwrap().1.trim().parse::<u64>().unwrap())
        .sum();
    assert!(said >= lost && lost > 0, "{said} of {lost}");
    assert!(text.contains("stopping; a second signal exits at once"), "the last lines are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_process_whose_log_nobody_reads() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let host = serve(TIDEGATE, writer.into()).await;
    until_lines_are_lost(&host).await;
    // A socket that does not answer the close keeps the process for a while.
    let mut socket = Socket::open(host.address, "/watch").await;
    host.signal("TERM").await;
    assert_eq!(socket.closed().await.0, 1001);
    host.signal("TERM").await;
    assert_eq!(must("the end", host.wait()).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_device_costs_nothing_but_the_log() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let host = serve(TIDEGATE, full.into()).await;
    load(&host, "/ok", 4, 200).await;
    // A count follows its line.
    let lost = async { while metric(&host, "tidegate_log_lines_lost_total").await == 0 {} };
    must("lines are lost", lost).await;
    serves_and_drains(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_standard_error_costs_nothing_but_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let program = wrapped(&directory, &format!("exec {TIDEGATE} \"$@\" 2>&-"));
    serves_and_drains(serve(&program, Stdio::null()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk_goes_on_with_whole_lines_when_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // A disk of 128 KiB of the host's own, half of it taken.
    let script = format!(
        "exec unshare --map-root-user --mount sh -c '\n\
         mount -t tmpfs -o size=128k none {disk}\n\
         head -c 65536 /dev/zero > {disk}/other\n\
         exec {TIDEGATE} \"$@\" 2>> {disk}/log' sh \"$@\"",
        disk = disk.display()
    );
    let program = wrapped(&directory, &script);
    let host = serve(&program, Stdio::inherit()).await;
    let inside = |name: &str| -> PathBuf {
        format!("/proc/{}/root{}/{name}", host.pid(), disk.display()).into()
    };
    until_lines_are_lost(&host).await;
    load(&host, "/run", FAULTS, 500).await;
    // A slot answers before it drops the instance.
    let busy = async { while metric(&host, "tidegate_slots_busy").await > 0 {} };
    must("every slot is free", busy).await;
    fs::remove_file(inside("other")).unwrap();
    load(&host, "/ok", 100, 200).await;
    let log = inside("log");
    let recovered = async {
        while !fs::read_to_string(&log).unwrap().contains("log lines were lost") {
            load(&host, "/ok", 4, 200).await;
        }
    };
    must("the log goes on", recovered).await;
    let text = fs::read_to_string(&log).unwrap();
    let (_, after) = text.split_once("log lines were lost").unwrap();
    // The line that the full disk cut stands alone: each line after it is whole.
    for line in after.lines().skip(1) {
        assert!(line.starts_with("20") || line.starts_with('\u{1b}'), "{line:?} of {text}");
    }
    drains(host).await;
}

/// A setting of the environment: lines are JSON.
const JSON: (&str, &str) = ("TIDEGATE_LOG_FORMAT", "json");

/// Reads a log of JSON, of which each line must be an object with the fields that all have, and none twice.
fn parse(text: &str) -> Vec<Map<String, Value>> {
    text.lines()
        .map(|line| parse_line(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect()
}

fn parse_line(line: &str) -> Result<Map<String, Value>, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Value::Object(fields) = value else { return Err("no object".to_owned()) };
    for name in ["timestamp", "level", "target", "message"] {
        if !fields.get(name).is_some_and(Value::is_string) {
            return Err(format!("{name} is no text"));
        }
    }
    // Written again it is as long, unless a name stood there twice.
    let again = Value::Object(fields.clone()).to_string();
    let is_unique = again.len() == line.len();
    is_unique.then_some(fields).ok_or_else(|| format!("a name is there twice; once: {again}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_json_log_has_its_documented_fields() {
    let (reader, writer) = std::io::pipe().unwrap();
    let reading = tokio::task::spawn_blocking(move || read_whole(reader));
    let host = serve_with(TIDEGATE, writer.into(), &[JSON]).await;
    host.api().deploy("hello", &tests::example("hello")).await;
    load(&host, "/ok", 4, 200).await;
    load(&host, "/run", 8, 500).await;
    drains(host).await;
    let lines = parse(&must("the log's end", reading).await.unwrap());
    let of = |target: &str| {
        let of_it = |line: &&Map<String, Value>| line["target"] == target;
        let found: Vec<_> = lines.iter().filter(of_it).collect();
        assert!(!found.is_empty(), "no line of {target}");
        found
    };
    let answered =
        of("tidegate::access").into_iter().find(|it| it["message"] == "response").unwrap();
    assert!(answered["status"].is_u64() && answered["seconds"].is_f64(), "{answered:?}");
    for name in ["client", "method", "path", "correlation"] {
        assert!(answered[name].is_string(), "{name} of {answered:?}");
    }
    let closed = of("tidegate::access").into_iter().find(|it| it.contains_key("code")).unwrap();
    assert_eq!((&closed["code"], &closed["path"]), (&1001.into(), &"/watch".into()));
    let audit = of("tidegate::audit");
    assert_eq!((&audit[0]["module"], &audit[0]["version"]), (&"hello".into(), &1.into()));
    assert!(audit[0]["who"].is_string() && audit[0]["digest"].is_string(), "{audit:?}");
    let fault = lines.iter().find(|line| line.contains_key("kind")).unwrap();
    assert_eq!((&fault["level"], &fault["module"]), (&"WARN".into(), &"panic".into()));
    assert_eq!(fault["channel"], "http.request.panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_guest_is_a_line_of_json_with_its_run() {
    let (reader, writer) = std::io::pipe().unwrap();
    let reading = tokio::task::spawn_blocking(move || read_whole(reader));
    let module = format!("bridges={}", tests::guest("bridges").display());
    let arguments = ["--module", &module];
    let host = Process::serve_with_log(writer.into(), TIDEGATE, &arguments, &[JSON]).await;
    let reply = Client::new(host.address).get("/run").await;
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
    let lines = parse(&must("the log's end", reading).await.unwrap());
    let of_guest: Vec<_> = lines.iter().filter(|it| it["target"] == "tidegate::guest").collect();
    let [_, line] = of_guest.as_slice() else { panic!("{of_guest:?}") };
    assert_eq!(line["message"], "error bridges: from tracing level=7");
    assert_eq!(line["correlation"], reply.header("x-request-id").unwrap());
    let names = ["module", "version", "consumer"].map(|name| line[name].clone());
    assert_eq!(names, ["bridges".into(), 1.into(), Value::from("run")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_log_that_is_read_again_has_whole_lines_and_tells_of_those_it_lost() {
    let (reader, writer) = std::io::pipe().unwrap();
    let host = serve_with(TIDEGATE, writer.into(), &[JSON]).await;
    until_lines_are_lost(&host).await;
    let lost = metric(&host, "tidegate_log_lines_lost_total").await;
    let reading = tokio::task::spawn_blocking(move || read_whole(reader));
    drains(host).await;
    let lines = parse(&must("the log's end", reading).await.unwrap());
    let told = lines.iter().filter(|line| line["target"] == "tidegate::log");
    let said: u64 = told.map(|line| line["lines"].as_u64().unwrap()).sum();
    assert!(said >= lost && lost > 0, "{said} of {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_fails_says_so_in_the_form_of_its_log() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let mut serve = tokio::process::Command::new(TIDEGATE);
    serve.args(["serve", "--listen", &address, "--admin", "127.0.0.1:0", "--data-dir"]);
    let (name, value) = JSON;
    let output = must("the end", serve.arg(data.path()).env(name, value).output()).await.unwrap();
    assert_eq!(output.status.code(), Some(5));
    let lines = parse(std::str::from_utf8(&output.stderr).unwrap());
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["target"]), (&"ERROR".into(), &"tidegate::exit".into()));
    assert!(last["message"].as_str().unwrap().contains(&address), "{last:?}");
}

#[test]
fn no_field_of_a_line_has_the_name_of_one_that_all_lines_have() {
    let mut waiting = vec![tests::root().join("host/src")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        for call in text.split("tracing::").skip(1) {
            let is_line =
                ["error!(", "warn!(", "info!(", "debug!("].iter().any(|it| call.starts_with(it));
            let fields = call.split("\"").next().unwrap();
            let names = ["timestamp", "level", "message"].iter();
            let clash = names.clone().find(|name| fields.contains(&format!(" {name} = ")));
            assert!(!is_line || clash.is_none(), "{}: {clash:?} in {fields}", path.display());
        }
    }
}
